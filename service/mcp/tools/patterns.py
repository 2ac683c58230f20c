"""`error_pattern`: one error, all of its failures taken together."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from projections.endpoints import path_of
from projections.intervals import wilson
from service.mcp.tools.executions import execution
from service.mcp.tools.tool import (
    LONG_TEXT_LIMIT,
    Document,
    Fingerprint,
    Source,
    Tool,
    counted,
    cut,
)

_ADDED: Final = ("category", "severity", "transient", "suggestion", "state", "confidence", "reason")
"""What is told of a pattern where it is known."""


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pattern."""

    fingerprint: Fingerprint
    limit: Annotated[int, Meta(ge=1, le=50, description="At most so many occurrences.")] = 5


def pattern_of(source: Source, fingerprint: str) -> Document:
    """A pattern's record as lists have it: what only its own page shows takes far longer.

    Raises:
        NotFound, BadQuestion: there is no such pattern.
    """
    items = source.ask("errors", {"pattern": fingerprint, "limit": 1})["items"]
    found: Document = items[0] if items else source.ask(path_of("errors", fingerprint), {})
    return found


def short_pattern(pattern: Document) -> Document:
    """A pattern's record of the API without its lists."""
    short = {
        "fingerprint": pattern["fingerprint"],
        "stack_hash": pattern["stack_hash"],
        "type": pattern["type"],
        "message": cut(pattern["message"]),
        "count": pattern["count"],
        "recovered": pattern["recovered"],
        "unrecovered": pattern["unrecovered"],
        "first_seen": pattern["first_seen"],
        "last_seen": pattern["last_seen"],
    }
    return short | {name: pattern[name] for name in _ADDED if pattern.get(name) is not None}


def recovery(pattern: Document) -> Document:
    """How often the runs of a pattern's failures completed later, with its interval of 95 %."""
    interval = wilson(pattern["recovered"], pattern["count"])
    rate = pattern["recovered"] / pattern["count"] if pattern["count"] else None
    return {
        "recovered": pattern["recovered"],
        "of": pattern["count"],
        "rate": rate if rate is None else round(rate, 4),
        "interval_95": [round(bound, 4) for bound in interval],
    }


def run(source: Source, asked: Arguments, limit: int) -> Document:
    """See `Tool.run`."""
    pattern = pattern_of(source, asked.fingerprint)
    path = path_of("errors", pattern["fingerprint"], "occurrences")
    page = source.ask(path, {"limit": limit})
    found = [{**execution(record), "recovered": record["recovered"]} for record in page["items"]]
    summary = (
        f"{pattern['type'] or 'An error'}, seen {counted(pattern['count'], 'time')} in "
        f"{counted(pattern['tasks'], 'task')} from {pattern['first_seen']} to "
        f"{pattern['last_seen']}; {pattern['recovered']:,} recovered later."
    )
    more = None
    if page["next"] is not None:
        more = "more occurrences: raise limit (50 at most), or tasks_list with task_id and status"
    return {
        "summary": summary,
        "more": more,
        "pattern": short_pattern(pattern)
        | {
            "normal_message": cut(pattern["normal_message"]),
            "stack": cut(pattern["stack"], LONG_TEXT_LIMIT),
            "tasks": pattern["tasks"],
            "task_ids": pattern["task_ids"],
            "components": pattern["components"],
        },
        "recovery": recovery(pattern),
        "occurrences": found,
    }


TOOL: Final = Tool(
    "error_pattern",
    "One error pattern",
    "One error over all tasks: what it is, how often, since when, where, how often runs recovered "
    "from it, the normalised stack, and its newest occurrences.",
    Arguments,
    run,
    limit=5,
)
