"""Figures per task: over all executors, on each, or in hours and days.

The list goes by task, newest start first; the tasks of one executor, latest met first. The lines
of one task begin with that over all executors and go on by executor or, in a trend, by time,
newest first. A page may end inside a task.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from events.log.sqlite import load_queries
from events.times import SECOND_NS, rfc3339, seconds
from projections.query import cursor
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, window
from projections.query.listing import HIGHEST, LOWEST, Budget, Order, Strand, find
from projections.query.lookup import find_executor
from projections.query.parameters import ListQuestion, Moment, Prefix, TaskId, Text
from projections.query.records import Ns, Page, Rfc3339
from projections.query.refusals import BadQuestion
from projections.query.rows import Key, by_keys, select
from projections.storage import buckets
from projections.views.tasks.question import TASK_KEY

SQL = load_queries("projections.views.task_metrics", "question.sql")
_WHOLE: Final = 0
_BY_EXECUTOR: Final = 1
_BUCKETS: Final = {"hour": (2, 3600 * SECOND_NS), "day": (3, 86400 * SECOND_NS)}
_SCOPES: Final[dict[str, tuple[tuple[int, int | None], ...]]] = {
    "task": ((_WHOLE, 0),),
    "executor": ((_BY_EXECUTOR, None),),
    "both": ((_WHOLE, 0), (_BY_EXECUTOR, None)),
}


class Durations(msgspec.Struct, frozen=True):
    """Seconds; from log buckets with an error of at most 2 %."""

    avg: float | None = None
    min: float | None = None
    max: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class TaskMetric(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a task: over all executors, on one of them, or in one hour or day."""

    task_id: str
    executor: Annotated[str, Meta(description="Null: over all executors")] | None
    bucket: Annotated[str, Meta(description="`hour`, `day` or null: over all time")] | None
    bucket_start: Rfc3339 | None
    bucket_start_ns: Ns | None
    executions: Annotated[int, Meta(description="Ended attempts")]
    successes: int
    failures: Annotated[int, Meta(description="Failed, timed out and abandoned attempts")]
    failed: int
    timed_out: int
    abandoned: int
    cancelled: int
    skipped: int
    success_rate: Annotated[float, Meta(description="Per attempts: successes / ended ones")] | None
    runs: int
    completed_runs: int
    failed_runs: int
    run_success_rate: Annotated[float, Meta(description="Per runs")] | None
    recovered_runs: int
    retries: int
    duration_s: Durations
    queue_wait_s: Annotated[
        Durations, Meta(description="From the queue to the start, of ended attempts")
    ]


class MetricsQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of the figures per task."""

    task: TaskId | None = None
    executor: (
        Annotated[
            Text,
            Meta(description="Only the lines of this executor; tasks that appeared last first."),
        ]
        | None
    ) = None
    by: Annotated[
        Literal["both", "task", "executor"],
        Meta(description="A line over all executors (`task`), one for each, or `both`."),
    ] = "both"
    bucket: (
        Annotated[
            Literal["hour", "day"],
            Meta(description="One line for each hour or day of one `task`, newest first."),
        ]
        | None
    ) = None
    since: Annotated[Moment, Meta(description="Buckets from this time on.")] | None = None
    until: Annotated[Moment, Meta(description="Buckets before this time.")] | None = None
    q: Prefix | None = None


class _TaskRow(NamedTuple):
    """A row of the statement `names`; `place` is what its list goes by."""

    place: int
    task_no: int
    task_id: str


class _FiguresRow(NamedTuple):
    """A row of the statement `figures`."""

    key: int
    executions: int
    completed: int
    failed: int
    timed_out: int
    abandoned: int
    cancelled: int
    skipped: int
    retries: int
    runs: int
    completed_runs: int
    failed_runs: int
    recovered_runs: int
    wait_count: int
    duration_count: int
    wait_sum_ns: int
    duration_sum_ns: int
    waits: bytes
    buckets: bytes | None
    executor: str | None


def task_metrics(inquiry: Inquiry, question: MetricsQuestion) -> Page[TaskMetric]:
    """Figures of tasks, or the trend of one."""
    _check(question)
    bound = inquiry.binding(question)
    values = _numbers(inquiry, question)
    if values is None:
        return Page([], None, str(inquiry.position))
    if question.bucket is not None:
        return _trend(inquiry, question, bound, values["task"])
    scopes: tuple[tuple[int, int | None], ...] = _SCOPES[question.by]
    if question.executor is not None:
        scopes = ((_BY_EXECUTOR, values["executor"]),)
    after = inquiry.after(question, bound, 3)
    order = Order(after=_task_after(after))
    strands = _strands(inquiry, values)
    if not strands:
        return Page([], None, str(inquiry.position))
    tasks = find(
        inquiry.connection, strands, order,
        by_keys(inquiry.connection, SQL["names"], values, _TaskRow),
        question.limit, Budget(inquiry.budget_s), filtered=values["q"] is not None,
    )  # fmt: skip
    lines: list[tuple[Key, TaskMetric]] = []
    for task in tasks.rows:
        place = (task.place, task.task_no)
        told = after[2] if after is not None and after[:2] == place else LOWEST
        for scope, only in scopes:
            above, below = (told, HIGHEST) if only is None else (max(only - 1, told), only + 1)
            for row in _figures(inquiry, task.task_no, scope, above, below):
                lines.append(((*place, row.key), _metric(task.task_id, row, None, None)))
        if len(lines) > question.limit:
            break
    return _page(inquiry, bound, question.limit, lines, tasks.after, tasks.complete)


def _strands(inquiry: Inquiry, values: dict[str, Any]) -> list[Strand]:
    """The tasks; those of an executor stand in three ranges, and go by their numbers."""
    if values["task"] is not None:
        return [Strand("task", TASK_KEY, "task_no = ?", (values["task"],))]
    if values["executor"] is not None:
        bound = (values["executor"],)
        return [
            Strand("metric", ("only_executor_no", "task_no"), "only_executor_no = ?", bound),
            Strand("metric", ("key", "task_no"), "scope = 1 AND key = ?", bound),
            Strand("metric_one", ("executor_no", "task_no"), "executor_no = ?", bound),
        ]
    return inquiry.by_status("task", TASK_KEY, None)


def _task_after(after: Key | None) -> Key | None:
    """Where the tasks go on; one whose lines are not all told yet comes again."""
    if after is None:
        return None
    return after[:2] if after[2] == HIGHEST else (after[0], after[1] + 1)


def _page(
    inquiry: Inquiry,
    bound: bytes,
    limit: int,
    lines: Sequence[tuple[Key, TaskMetric]],
    after: Key | None,
    complete: bool,
) -> Page[TaskMetric]:
    last: Key | None = None if after is None else (*after[:2], HIGHEST)
    if len(lines) > limit:
        last, complete = lines[limit - 1][0], True
    next_ = None if last is None else cursor.write(bound, last)
    return Page([line for _, line in lines[:limit]], next_, str(inquiry.position), complete)


def _check(question: MetricsQuestion) -> None:
    errors = []
    if question.bucket is not None and question.task is None:
        errors.append(("bucket", "a trend is of one task: give `task` too"))
    if question.bucket is not None and question.executor is not None:
        errors.append(("executor", "a trend is over all executors: leave `executor` out"))
    for name in ("since", "until"):
        if getattr(question, name) is not None and question.bucket is None:
            errors.append((name, "figures over all time have no bounds: give `bucket` too"))
    if errors:
        raise BadQuestion(errors)


def _numbers(inquiry: Inquiry, question: MetricsQuestion) -> dict[str, Any] | None:
    """Task and executor as numbers; None if one is not known."""
    if question.executor is not None and (
        find_executor(inquiry.connection, inquiry.tenant, question.executor) is None
    ):
        return None
    return inquiry.numbers(question)


def _figures(
    inquiry: Inquiry, task_no: int, scope: int, above: int, below: int
) -> Iterator[_FiguresRow]:
    """The figures of a task in one scope with keys between two, ascending."""
    values = {"task": task_no, "scope": scope, "above": above, "below": below}
    return select(inquiry.connection, SQL["figures"], values, _FiguresRow)


def _trend(
    inquiry: Inquiry, question: MetricsQuestion, bound: bytes, task_no: int
) -> Page[TaskMetric]:
    """One task's buckets, newest first; years of hours are some ten thousand rows."""
    assert question.bucket is not None
    scope, width_ns = _BUCKETS[question.bucket]
    since_ns, until_ns = window(question)
    after = inquiry.after(question, bound, 1)
    above = LOWEST if since_ns is None else -(-since_ns // width_ns) - 1
    below = HIGHEST if until_ns is None else -(-until_ns // width_ns)
    if after is not None:
        below = min(below, after[0])
    rows = list(_figures(inquiry, task_no, scope, above, below))
    rows.reverse()
    page = rows[: question.limit]
    next_ = cursor.write(bound, (page[-1].key,)) if len(rows) > len(page) else None
    assert question.task is not None
    items = [_metric(question.task, row, question.bucket, row.key * width_ns) for row in page]
    return Page(items, next_, str(inquiry.position))


def _metric(task_id: str, row: _FiguresRow, bucket: str | None, start_ns: int | None) -> TaskMetric:
    failures = row.failed + row.timed_out + row.abandoned
    return TaskMetric(
        task_id=task_id,
        executor=row.executor,
        bucket=bucket,
        bucket_start=rfc3339(start_ns),
        bucket_start_ns=start_ns,
        executions=row.executions,
        successes=row.completed,
        failures=failures,
        failed=row.failed,
        timed_out=row.timed_out,
        abandoned=row.abandoned,
        cancelled=row.cancelled,
        skipped=row.skipped,
        success_rate=_share(row.completed, failures),
        runs=row.runs,
        completed_runs=row.completed_runs,
        failed_runs=row.failed_runs,
        run_success_rate=_share(row.completed_runs, row.failed_runs),
        recovered_runs=row.recovered_runs,
        retries=row.retries,
        duration_s=_durations(row.duration_count, row.duration_sum_ns, row.buckets),
        queue_wait_s=_durations(row.wait_count, row.wait_sum_ns, row.waits),
    )


def _share(successes: int, failures: int) -> float | None:
    return successes / (successes + failures) if successes + failures else None


def _durations(count: int, sum_ns: int, packed: bytes | None) -> Durations:
    counts = {buckets.bucket_of(sum_ns): 1} if packed is None else buckets.decode(packed)
    p50, p95, p99 = buckets.percentiles(counts, 0.5, 0.95, 0.99)
    return Durations(
        avg=sum_ns / count / SECOND_NS if count else None,
        min=seconds(buckets.minimum_ns(counts)),
        max=seconds(buckets.maximum_ns(counts)),
        p50=seconds(p50),
        p95=seconds(p95),
        p99=seconds(p99),
    )


ENDPOINTS: Final = (
    Endpoint(
        "metrics/tasks", "Success rates, retries and durations per task, executor, hour or day.",
        MetricsQuestion, Page[TaskMetric], ("task_metrics", "tasks"), task_metrics,
    ),
)  # fmt: skip
