"""`spanledger stats`: how long tasks take and how often they succeed."""

from enum import StrEnum
from typing import Annotated

import typer

from service.cli.command import command
from service.cli.lists import question, show_list
from service.cli.options import FILTERS, Asking, Form, Paging, Prefix, Window
from service.cli.output.render import Column, Kind

COLUMNS = (
    Column("task", "task_id", narrow=14),
    Column("executor", "executor", drop=7),
    Column("bucket", "bucket_start", drop=1),
    Column("executions", "executions", Kind.COUNT),
    Column("success", "success_rate", Kind.RATIO),
    Column("failures", "failures", Kind.COUNT, drop=3),
    Column("runs", "runs", Kind.COUNT, drop=6),
    Column("recovered", "recovered_runs", Kind.COUNT, drop=5),
    Column("retries", "retries", Kind.COUNT, drop=2),
    Column("avg", "duration_s.avg", Kind.SECONDS, drop=4),
    Column("min", "duration_s.min", Kind.SECONDS, drop=9),
    Column("p50", "duration_s.p50", Kind.SECONDS),
    Column("p95", "duration_s.p95", Kind.SECONDS, drop=1),
    Column("p99", "duration_s.p99", Kind.SECONDS, drop=4),
    Column("max", "duration_s.max", Kind.SECONDS, drop=8),
)


class Bucket(StrEnum):
    """The length of one step of a trend."""

    HOUR = "hour"
    DAY = "day"


class By(StrEnum):
    """What a line is of."""

    TASK = "task"
    EXECUTOR = "executor"
    BOTH = "both"


@command
def stats(
    window: Window,
    paging: Paging,
    asking: Asking,
    form: Form,
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="Only this task.")] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            "--executor", metavar="ID", help="Only this executor.", rich_help_panel=FILTERS
        ),
    ] = None,
    by: Annotated[
        By,
        typer.Option(
            "--by", help="A line for each task, each executor, or both.", rich_help_panel=FILTERS
        ),
    ] = By.TASK,
    bucket: Annotated[
        Bucket | None,
        typer.Option("--bucket", help="One line for each hour or day.", rich_help_panel=FILTERS),
    ] = None,
    q: Prefix = None,
) -> None:
    """Show executions, success rate, retries and durations of each task.

    Examples:

        spanledger stats

        spanledger stats nightly-report --bucket day --since 2w

        spanledger stats --watch --every 5
    """
    filters = question(
        window,
        paging,
        task=task,
        executor=executor,
        by=by.value,
        bucket=bucket and bucket.value,
        q=q,
    )
    show_list("metrics/tasks", filters, COLUMNS, asking, form, nothing="no figures yet")
