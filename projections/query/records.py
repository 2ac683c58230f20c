"""What the records of several answers share; their texts are the OpenAPI document's.

Each view's `question.py` has the records of its own answers.

Times come twice: RFC 3339 for people, `…_ns` (integer nanoseconds since 1970 UTC) for programs;
so do durations, in seconds and ns. A field that is not known is null.
"""

from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

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


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt failed."""

    type: str | None = None
    message: str | None = None
    stack_hash: Hex | None = None
    fingerprint: Annotated[Hex, Meta(description="Its pattern, see `errors/{fingerprint}`")] | (
        None
    ) = None


def failure(
    type_: str | None, message: str | None, stack_hash: str | None, fingerprint: str | None
) -> Failure | None:
    """The error, if anything is known of one."""
    if type_ is None and message is None and fingerprint is None:
        return None
    return Failure(type_, message, stack_hash, fingerprint)
