"""State transitions: what changed when.

They are times of attempts, and of runs that wait for their first one.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from events.log.sqlite import load_queries
from events.times import rfc3339
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, is_filtered
from projections.query.listing import Strand
from projections.query.parameters import ListQuestion, Since, TaskId, TaskStatus, Until
from projections.query.records import Ns, Page, Rfc3339
from projections.query.rows import by_keys
from projections.runs import words
from projections.views.attempts.question import of_task

SQL = load_queries("projections.views.execution_history", "question.sql")
_QUEUED, _RUNNING, _ENDED = range(3)


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change of state."""

    time: Rfc3339 | None
    time_ns: Ns
    task_id: str
    run_id: str | None
    attempt: int | None
    old_status: str | None
    new_status: str
    reason: str | None


class HistoryQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of the list of state transitions."""

    task: TaskId | None = None
    status: Annotated[TaskStatus, Meta(description="Only transitions into this status.")] | None = (
        None
    )
    since: Since | None = None
    until: Until | None = None
    sort: Annotated[
        Literal["-time", "time"], Meta(description="Newest first (`-time`) or oldest first.")
    ] = "-time"


class _TransitionRow(NamedTuple):
    """A row of the statement `transitions`."""

    at_ns: int
    attempt_key: int
    step: int
    task_id: str
    run_id: str
    status: int
    queued_ns: int | None
    error_message: str | None


def history(inquiry: Inquiry, question: HistoryQuestion) -> Page[Transition]:
    """Transitions by time."""
    values = inquiry.numbers(question)
    strands, served = _strands(inquiry, question.status, values)
    return inquiry.page(
        question, strands,
        by_keys(inquiry.connection, SQL["transitions"], values or {}, _TransitionRow, width=3),
        _transition,
        newest_first=question.sort == "-time",
        filtered=values is not None and is_filtered(values, served),
    )  # fmt: skip


def _strands(
    inquiry: Inquiry, status: str | None, values: Mapping[str, Any] | None
) -> tuple[list[Strand], str]:
    """The index ranges to read, and the filter that they serve."""
    if values is None or inquiry.tenant_no is None:
        return [], "status"
    if values["task"] is not None:
        where, bound = "task_no = ?", (values["task"],)
        strands = [_of_queued(where, bound), _of_runs(where, bound)]
        for column, step in (("started_ns", _RUNNING), ("ended_ns", _ENDED)):
            strands += of_task(inquiry, values["task"], *_key_of(column, step))
        return strands, "task"
    where, bound = "tenant_no = ?", (inquiry.tenant_no,)
    strands = []
    if status in (None, words.STATUS_WORDS[words.QUEUED]):
        strands += [_of_queued(where, bound)]
        strands += [_of_runs(f"{where} AND status = {words.QUEUED}", bound, "last_started_ns")]
    if status in (None, words.STATUS_WORDS[words.RUNNING]):
        key, shown = _key_of("started_ns", _RUNNING)
        strands += inquiry.by_status("attempt", key, None, shown)
    key, shown = _key_of("ended_ns", _ENDED)
    return strands + inquiry.by_status("attempt", key, status, shown), "status"


def _key_of(column: str, step: int) -> tuple[tuple[str, str], tuple[str, ...]]:
    return (column, "attempt_key"), (column, "attempt_key", str(step))


def _of_queued(where: str, bound: tuple[int, ...]) -> Strand:
    """The attempts that were seen in a queue."""
    key, shown = _key_of("queued_ns", _QUEUED)
    return Strand("attempt", key, where, bound, shown)


def _of_runs(where: str, bound: tuple[int, ...], column: str = "queued_ns") -> Strand:
    """The runs that have no attempt; they are listed by when they were queued."""
    shown = (column, f"run_no << {words.NUMBER_BITS}", str(_QUEUED))
    return Strand("run", (column, "run_no"), f"{where} AND attempts = 0", bound, shown)


def _transition(row: _TransitionRow) -> Transition:
    ended, before = row.step == _ENDED, None
    # A start follows the queue if the attempt was seen there; an end always follows a start.
    if row.step and (ended or row.queued_ns):
        before = words.STATUS_WORDS[words.RUNNING if ended else words.QUEUED]
    return Transition(
        time=rfc3339(row.at_ns),
        time_ns=row.at_ns,
        task_id=row.task_id,
        run_id=row.run_id,
        attempt=row.attempt_key & words.NUMBER_LIMIT or None,
        old_status=before,
        new_status=words.STATUS_WORDS[row.status],
        reason=row.error_message if ended else None,
    )


ENDPOINTS: Final = (
    Endpoint(
        "history", "State transitions: what changed when, newest first.",
        HistoryQuestion, Page[Transition], ("attempts", "runs"), history,
    ),
)  # fmt: skip
