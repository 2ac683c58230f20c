"""`spanledger runs`: executions of tasks, each with all its retries."""

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
    Column("run", "run_id", narrow=12),
    Column("task", "task_id", narrow=12),
    Column("group", "group_id", drop=8),
    Column("status", "status", Kind.STATUS),
    Column("attempts", "attempts", Kind.COUNT, drop=2),
    Column("retries", "retries", Kind.COUNT, drop=3),
    Column("recovered", "recovered", Kind.YES, drop=4),
    Column("execution", "total_execution_ns", Kind.DURATION, drop=1),
    Column("wall clock", "wall_clock_ns", Kind.DURATION, drop=6),
    Column("idle", "idle_ns", Kind.DURATION, drop=7),
    Column("started", "first_started_ns", Kind.MOMENT, drop=1),
)


@command
def runs(
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
    """List runs: executions of tasks with all their retries, newest first.

    Examples:

        spanledger runs --task nightly-report

        spanledger runs --min-attempts 2 --since 1d --csv > retried.csv
    """
    filters = question(
        window, traits, sorting, paging, task=task, status=status, min_attempts=min_attempts, q=q
    )
    show_list("runs", filters, COLUMNS, asking, form, nothing="no such run yet")
