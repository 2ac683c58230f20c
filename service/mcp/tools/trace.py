"""`tasks_by_trace`: everything that ran in one trace, in order."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from events.errors import BadInput
from projections.endpoints import path_of
from service.mcp.tools.executions import execution, told
from service.mcp.tools.tool import Document, Source, Tool, counted


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which trace."""

    trace_id: Annotated[
        str,
        Meta(
            min_length=1, max_length=128,
            description="32 hex digits, or as another tool shows it (Jaeger, Zipkin, Datadog, a "
            "traceparent).",
        ),
    ]  # fmt: skip
    cursor: (
        Annotated[
            str, Meta(max_length=20, description="`cursor` of the answer that this one continues.")
        ]
        | None
    ) = None


def run(source: Source, asked: Arguments, limit: int) -> Document:
    """See `Tool.run`."""
    start = _start(asked.cursor)
    trace = source.ask(path_of("traces", asked.trace_id), {"limit": 1})
    whole = trace["attempts"]
    shown = [execution(record) for record in whole[start : start + limit]]
    next_ = start + len(shown) if start + len(shown) < len(whole) else None
    summary = f"Trace {trace['trace_id']}: {told(whole)}"
    summary += f", {counted(trace['retry_count'], 'retry', 'retries')}"
    if trace["final_status"] is not None:
        summary += f"; the last one is {trace['final_status']}"
    return {
        "summary": f"{summary}.",
        "more": next_ and f"call tasks_by_trace again with the same trace_id and cursor={next_}",
        "trace_id": trace["trace_id"],
        "retry_count": trace["retry_count"],
        "final_status": trace["final_status"],
        "total": len(whole),
        "spans": trace["total"],
        "has_more": next_ is not None,
        "cursor": None if next_ is None else str(next_),
        "executions": shown,
    }


def _start(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit()):
        raise BadInput("cursor: this is none of tasks_by_trace; start without it")
    return int(cursor)


TOOL: Final = Tool(
    "tasks_by_trace",
    "Executions of a trace",
    "All executions of one trace in order of start, how often was retried, and how it ended. For "
    "a trace id from a log line, from Jaeger or from another answer.",
    Arguments,
    run,
    limit=100,
)
