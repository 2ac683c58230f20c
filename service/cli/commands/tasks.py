"""`spanledger tasks`: every task with the state of its latest run."""

from service.cli.command import command
from service.cli.lists import question, show_list
from service.cli.options import (
    Asking,
    Form,
    MinAttempts,
    Paging,
    Prefix,
    Sorting,
    Status,
    Task,
    Traits,
    Window,
)
from service.cli.output.render import Column, Kind

COLUMNS = (
    Column("task", "task_id", narrow=16),
    Column("name", "name", drop=5),
    Column("status", "status", Kind.STATUS),
    Column("runs", "runs", Kind.COUNT, drop=4),
    Column("attempts", "attempts", Kind.COUNT, drop=2),
    Column("retries", "retries", Kind.COUNT, drop=3),
    Column("execution", "total_execution_ns", Kind.DURATION, drop=1),
    Column("executor", "executor", drop=7),
    Column("last error", "error.type", drop=6),
    Column("last", "last_started_ns", Kind.MOMENT, drop=1),
)


@command
def tasks(
    window: Window,
    traits: Traits,
    sorting: Sorting,
    paging: Paging,
    asking: Asking,
    form: Form,
    task: Task = None,
    status: Status = None,
    min_attempts: MinAttempts = None,
    q: Prefix = None,
) -> None:
    """List tasks with the state of their latest run.

    Examples:

        spanledger tasks --status failed --since 1d

        spanledger tasks --q nightly- --watch

        spanledger tasks --json | jq '.items[].task_id'
    """
    filters = question(
        window, traits, sorting, paging, task=task, status=status, min_attempts=min_attempts, q=q
    )
    show_list("tasks", filters, COLUMNS, asking, form, nothing="no such task yet")
