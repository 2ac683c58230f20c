"""State transitions: what changed when."""

from typing import Annotated, Final, Literal, NamedTuple

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

SQL = load_queries("projections.views.execution_history", "question.sql")
KEY = ("at_ns", "task_no", "attempt_key", "step")


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
    task_no: int
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
    strands, served = [], "status"
    if values is not None and values["task"] is not None:
        strands = [Strand("transition", KEY, "task_no = ?", (values["task"],))]
        served = "task"
    elif values is not None:
        strands = inquiry.by_status("transition", KEY, question.status)
    return inquiry.page(
        question, strands,
        by_keys(inquiry.connection, SQL["transitions"], values or {}, _TransitionRow, width=4),
        _transition,
        newest_first=question.sort == "-time",
        filtered=values is not None and is_filtered(values, served),
    )  # fmt: skip


def _transition(row: _TransitionRow) -> Transition:
    ended, before = row.step == 2, None
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
        HistoryQuestion, Page[Transition], ("execution_history",), history,
        joins={"attempts": ("old_status", "reason")},
    ),
)  # fmt: skip
