"""`spanledger attempts`: every single try."""

from typing import Annotated

import typer

from service.cli.command import command
from service.cli.lists import question, show_list
from service.cli.options import (
    FILTERS,
    Asking,
    Form,
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
    Column("run", "run_id", drop=6),
    Column("try", "attempt", Kind.COUNT),
    Column("status", "status", Kind.STATUS),
    Column("duration", "duration_ns", Kind.DURATION),
    Column("error", "error.type", drop=3, narrow=16),
    Column("message", "error.message", drop=5, narrow=24),
    Column("executor", "executor", drop=7),
    Column("queue", "queue", drop=8),
    Column("trace", "trace_id", drop=4, narrow=32),
    Column("started", "started_ns", Kind.MOMENT, drop=1),
)


@command
def attempts(
    window: Window,
    traits: Traits,
    sorting: Sorting,
    paging: Paging,
    asking: Asking,
    form: Form,
    task: Task = None,
    status: Status = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="ID", help="Only this run of --task.", rich_help_panel=FILTERS
        ),
    ] = None,
    q: Prefix = None,
) -> None:
    """List attempts: single tries of a task, newest first.

    Examples:

        spanledger attempts --status failed --since 1h

        spanledger attempts --task nightly-report --executor worker-3 --json
    """
    filters = question(window, traits, sorting, paging, task=task, status=status, run=run, q=q)
    show_list("attempts", filters, COLUMNS, asking, form, nothing="no such attempt yet")
