"""How often retries helped, by category or pattern, and what that advises."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from projections.policies.chances import ENOUGH, Chance, Share
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, window
from projections.query.parameters import Component, Question, Since
from projections.query.records import Behind, Hex, PositionText
from projections.views.retries.history import History, read_history

WORTH: Final = 0.05
"""A retry of which certainly fewer succeed is not advised."""


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """What attempts of one number came to, where the one before failed so."""

    category: str
    fingerprint: Hex | None
    type: str | None
    transient: Annotated[bool, Meta(description="What the rules say of the error")] | None
    attempt: Annotated[int, Meta(description="The number of the attempts that followed")]
    tried: int
    succeeded: int
    share: Share
    low: Annotated[Share, Meta(description="The true share is above this with 97.5 % (Wilson)")]
    high: Annotated[Share, Meta(description="The true share is below this with 97.5 %")]
    wait_s: Annotated[
        float | None, Meta(description="Median pause before those that succeeded, in seconds")
    ]
    worth: Annotated[bool, Meta(description="Whether history speaks for such an attempt")] | None
    advice: Annotated[str, Meta(description="The same in words, with a pause and a bound")]


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """What came of retries: the last failures of the patterns that occurred last."""

    items: list[Retried]
    next: Annotated[str, Meta(description="Always null: there is one page")] | None = None
    position: PositionText
    complete: Annotated[bool, Meta(description="False: there are older failures")] = True
    behind: Behind = []


class RetriesQuestion(Question, frozen=True, kw_only=True):
    """Parameters of the question what retries came to."""

    by: Annotated[
        Literal["category", "pattern"], Meta(description="A line for each category or pattern.")
    ] = "category"
    component: Component | None = None
    since: Since | None = None


def retries(inquiry: Inquiry, question: RetriesQuestion) -> Retries:
    """What retries came to."""
    items: list[Retried] = []
    complete = True
    if inquiry.tenant_no is not None:
        history = read_history(
            inquiry.connection, inquiry.tenant_no, inquiry.verdicts,
            since_ns=window(question)[0] or 0, component=question.component,
        )  # fmt: skip
        items, complete = list(_items(history, question.by)), history.complete
    return Retries(
        items=items, position=str(inquiry.position), complete=complete, behind=inquiry.seen.behind
    )


def _items(history: History, by: str) -> Iterator[Retried]:
    if by == "category":
        for category, chances in history.by_category():
            yield from (_retried(one, chances, category) for one in chances)
        return
    for pattern, chances in history.by_pattern():
        for one in chances:
            known = pattern.known
            made = _retried(one, chances, known.category)
            yield msgspec.structs.replace(
                made, fingerprint=pattern.fingerprint, type=pattern.type, transient=known.transient
            )


def _retried(one: Chance, of: Sequence[Chance], category: str) -> Retried:
    worth = _is_worth(one)
    return Retried(
        category=category, fingerprint=None, type=None, transient=None, attempt=one.attempt,
        tried=one.tried, succeeded=one.succeeded, share=one.share, low=one.low, high=one.high,
        wait_s=one.wait_s, worth=worth, advice=_advice(one, of, worth),
    )  # fmt: skip


def _is_worth(one: Chance) -> bool | None:
    if one.low >= WORTH:
        return True
    if one.high < WORTH:
        return False
    return None if one.tried < ENOUGH else one.share >= WORTH


def _advice(one: Chance, of: Sequence[Chance], worth: bool | None) -> str:
    if worth is None:
        return f"too few to tell: {one.tried}"
    if not worth:
        return f"don't retry: at most {one.high:.1%} succeed"
    last = max(other.attempt for other in of if _is_worth(other))
    after = "" if one.wait_s is None else f" after {one.wait_s:g} s"
    return f"retry{after}, at most {last} attempts"


ENDPOINTS: Final = (
    Endpoint(
        "retries", "How often retries helped, by category or error pattern, and what that advises.",
        RetriesQuestion, Retries, ("error_patterns", "attempts"), retries,
    ),
)  # fmt: skip
