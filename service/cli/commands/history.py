"""`spanledger history`: what changed when."""

from service.cli.command import command
from service.cli.lists import question, show_list
from service.cli.options import Asking, Form, Paging, Sorting, Status, Task, Window
from service.cli.output.render import Column, Kind

COLUMNS = (
    Column("when", "time_ns", Kind.MOMENT),
    Column("task", "task_id", narrow=12),
    Column("run", "run_id", drop=3),
    Column("try", "attempt", Kind.COUNT, drop=1),
    Column("from", "old_status", Kind.STATUS, drop=2),
    Column("to", "new_status", Kind.STATUS),
    Column("reason", "reason", drop=4, narrow=12),
)


@command
def history(
    window: Window,
    sorting: Sorting,
    paging: Paging,
    asking: Asking,
    form: Form,
    task: Task = None,
    status: Status = None,
) -> None:
    """List what changed when: the transitions between states, newest first.

    Examples:

        spanledger history --task nightly-report

        spanledger history --status abandoned --since 1d
    """
    filters = question(window, sorting, paging, task=task, status=status)
    show_list("history", filters, COLUMNS, asking, form, nothing="no such change yet")
