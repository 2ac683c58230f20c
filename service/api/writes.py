"""Every request that writes: its path, its body, and the fact that it appends.

The HTTP API and its OpenAPI document are made from this table, as those that ask are from
`projections.endpoints`. A new one is a record of its body and a function that makes the fact.
"""

from collections.abc import Callable
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from events.schema import Fact
from projections.query.records import Hex, PositionText
from service.append.facts import NewFact, fact_of
from service.append.triage import NewTriage, triage_of


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a write, once it is durable; the same whenever it is sent again."""

    event_id: Hex
    position: Annotated[
        PositionText, Meta(description="Where it stands; ask with it as `min_position`")
    ]
    idempotency_key: Annotated[
        str, Meta(description="The one that was sent, else one made for this request")
    ]


class Write(NamedTuple):
    """One kind of request that writes.

    `path` is below /api/v1. `fact` makes what is appended of a `takes`, the actor, and the
    idempotency key if one was sent. Where the path has an argument, the fact is about what a
    question at `about` (with the same argument) answers, and is made of this answer, too.
    """

    path: str
    summary: str
    takes: type[msgspec.Struct]
    fact: Callable[..., Fact]
    about: str = ""


WRITES: Final = (
    Write(
        "facts", "Append a fact: what was decided or happened, and no telemetry tells.",
        NewFact, fact_of,
    ),
    Write(
        "errors/{fingerprint}/triage",
        "Resolve, ignore or reopen an error pattern, give it an owner or a note.",
        NewTriage, triage_of, "errors/{fingerprint}",
    ),
)  # fmt: skip
