"""What the records of several answers share; their texts are the OpenAPI document's.

Each view's `question.py` has the records of its own answers.

Times come twice: RFC 3339 for people, `…_ns` (integer nanoseconds since 1970 UTC) for programs;
so do durations, in seconds and ns. A field that is not known is null.
"""

from typing import Annotated, Generic, Protocol, TypeVar

import msgspec
from msgspec import Meta

from projections.errors.classify.rule import Category, Severity
from projections.errors.verdicts import Verdicts

T = TypeVar("T")

Hex = Annotated[str, Meta(description="Lower-case hex digits")]
Ns = Annotated[int, Meta(description="Nanoseconds (times: since 1970 UTC)")]
Rfc3339 = Annotated[str, Meta(description="RFC 3339 time, UTC")]
PositionText = Annotated[
    str, Meta(description="A place in the log, opaque (embedded log: a decimal number)")
]

Behind = Annotated[
    list[str], Meta(description="Fields that are null because the view they come from lags")
]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Part of a list."""

    items: list[T]
    next: Annotated[str, Meta(description="`cursor` that goes on here; null at the end")] | None
    position: Annotated[
        PositionText, Meta(description="What the views had seen of the log, at least")
    ]
    complete: Annotated[
        bool, Meta(description="False: the time budget ended; `next` searches on")
    ] = True
    behind: Behind = []


class Count(msgspec.Struct, frozen=True):
    """The number of items of a list."""

    count: int
    exact: Annotated[
        bool, Meta(description="False: there are more, counting them all would take too long")
    ]
    position: PositionText


ExecutorText = Annotated[
    str, Meta(description="The most exact that is known: id, tool, model, instance or host")
]


class RanBy(msgspec.Struct, frozen=True, kw_only=True):
    """What ran an attempt."""

    executor: ExecutorText | None
    tool: str | None
    model: str | None
    planner: str | None
    host: str | None


CategoryWord = Annotated[Category, Meta(description="What failed, see docs/errors.md")]
SeverityWord = Annotated[Severity, Meta(description="How bad it is")]
Transient = Annotated[
    bool, Meta(description="Would the same call succeed later? Null: nobody could tell")
]
Confidence = Annotated[float, Meta(description="0 to 1: how often such a verdict is right")]
Reason = Annotated[str, Meta(description="Why it is of this category")]
Suggestion = Annotated[str, Meta(description="A step that a person can take")]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an attempt failed: what it said, then what the rules say of it."""

    type: str | None = None
    message: str | None = None
    stack_hash: Hex | None = None
    fingerprint: Annotated[Hex, Meta(description="Its pattern, see `errors/{fingerprint}`")] | (
        None
    ) = None
    category: CategoryWord | None = None
    severity: SeverityWord | None = None
    transient: Transient | None = None
    confidence: Confidence | None = None
    reason: Reason | None = None
    suggestion: Suggestion | None = None


class FailureRow(Protocol):
    """What a row that shows an error has of it."""

    @property
    def error_message(self) -> str | None: ...
    @property
    def stack_hash(self) -> str | None: ...
    @property
    def fingerprint(self) -> str | None: ...
    @property
    def signature(self) -> bytes | None: ...
    @property
    def component(self) -> str | None: ...


def failure(verdicts: Verdicts, row: FailureRow) -> Failure | None:
    """The error that a row shows; None if it has none."""
    if row.signature is None:
        return None
    return Failure(
        message=row.error_message, stack_hash=row.stack_hash, fingerprint=row.fingerprint,
        **verdicts.told(row.signature, row.error_message, row.component),
    )  # fmt: skip
