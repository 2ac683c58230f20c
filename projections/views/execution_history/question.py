"""State transitions: what changed when."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from events.log.sqlite import load_queries
from events.times import rfc3339
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, is_filtered
from projections.query.listing import Strand, lookup
from projections.query.parameters import ListQuestion, Since, TaskId, TaskStatus, Until
from projections.query.records import Ns, Page, Rfc3339
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


def history(inquiry: Inquiry, question: HistoryQuestion) -> Page[Transition]:
    """Transitions by time."""
    values = inquiry.numbers(question)
    strands, served = [], "status"
    if values is not None and values["task"] is not None:
        strands = [Strand("transition", KEY, "task_no = ?", (values["task"],))]
        served = "task"
    elif values is not None:
        strands = inquiry.by_status("transition", KEY, question.status)
    found, next_ = inquiry.page(
        question, strands, lookup(inquiry.connection, SQL["transitions"], values or {}, width=4),
        newest_first=question.sort == "-time",
        filtered=values is not None and is_filtered(values, served),
    )  # fmt: skip
    items = [_transition(row) for row in found.rows]
    return Page(items, next_, str(inquiry.position), found.complete)


def _transition(row: tuple[Any, ...]) -> Transition:
    at_ns, _, key, step, task_id, run_id, status, queued_ns, message = row
    number = key & words.NUMBER_LIMIT
    # A start follows the queue if the attempt was seen there; an end always follows a start.
    before = words.RUNNING if step == 2 else words.QUEUED if step and queued_ns else None
    return Transition(
        time=rfc3339(at_ns),
        time_ns=at_ns,
        task_id=task_id,
        run_id=run_id,
        attempt=number or None,
        old_status=None if before is None else words.STATUS_WORDS[before],
        new_status=words.STATUS_WORDS[status],
        reason=message if step == 2 else None,
    )


ENDPOINTS: Final = (
    Endpoint(
        "history", "State transitions: what changed when, newest first.",
        HistoryQuestion, Page[Transition], ("execution_history", "attempts"), history,
    ),
)  # fmt: skip
