"""`tasks_list`: executions of tasks, newest first."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from service.mcp.tools.executions import Status, execution, told
from service.mcp.tools.tool import Cursor, Document, Since, Source, TaskId, Tool, require_task


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which executions."""

    task_id: TaskId | None = None
    status: Annotated[Status, Meta(description="Only in this status.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=100, description="At most so many.")] = 20
    since: Since | None = None
    backfilled: (
        Annotated[bool, Meta(description="Only imported (true) or only live (false) ones.")] | None
    ) = None
    cursor: Cursor | None = None


def run(source: Source, asked: Arguments, limit: int) -> Document:
    """See `Tool.run`."""
    filters = {
        "task": asked.task_id,
        "status": asked.status,
        "since": asked.since,
        "backfilled": asked.backfilled,
    }
    listed = source.ask("attempts", {**filters, "limit": limit, "cursor": asked.cursor})
    if not listed["items"]:
        require_task(source, asked.task_id)
    count = source.ask("metrics/attempts", filters)
    found = [execution(record) for record in listed["items"]]
    following = listed["next"]
    at_least = "" if count["exact"] else "at least "
    summary = f"{told(found)}. {at_least}{count['count']:,} in all, newest first."
    more = None
    if following is not None:
        more = f"call tasks_list again with the same arguments and cursor={following}"
    return {
        "summary": summary[0].upper() + summary[1:],
        "more": more,
        "total": count["count"],
        "total_is_exact": count["exact"],
        "has_more": following is not None,
        "cursor": following,
        "executions": found,
    }


TOOL: Final = Tool(
    "tasks_list",
    "List executions",
    "Executions (single tries of tasks), newest first, by task, status, time. Start here to see "
    "what ran. `total` counts all that match, not only the ones shown.",
    Arguments,
    run,
)
