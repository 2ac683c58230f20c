"""`spanledger stats`: how long tasks take and how often they succeed."""

from functools import partial
from typing import Annotated, Any

import typer

from projections.query.table import Column, Kind
from projections.views.task_metrics.question import MetricsQuestion
from service.cli.command import command
from service.cli.filters import filters_of, options_of
from service.cli.lists import show_list
from service.cli.options import Asking, Form

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
    Column("wait p95", "queue_wait_s.p95", Kind.SECONDS, drop=8),
)


@partial(command, options=options_of(MetricsQuestion, "task"))
def stats(
    options: Any,
    asking: Asking,
    form: Form,
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="Only this task.")] = None,
) -> None:
    """Show executions, success rate, retries and durations of each task.

    A line is over all executors, or over one with --by executor.

    Examples:

        spanledger stats

        spanledger stats nightly-report --bucket day --since 2w

        spanledger stats --watch --every 5
    """
    given = filters_of(options)
    show_list(
        "metrics/tasks", lambda: {"task": task, "by": "task"} | given(), COLUMNS, asking, form,
        nothing="no figures yet",
    )  # fmt: skip
