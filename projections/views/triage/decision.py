"""A decision about an error: as a fact says it, and as it is read again."""

from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from events.names import FACT_TRIAGED
from events.schema import Fact

KIND: Final = FACT_TRIAGED
VERSION: Final = 1
TEXT_CHARACTERS: Final = 4_000
Action = Literal["resolve", "ignore", "reopen"]
Text = Annotated[str, Meta(max_length=TEXT_CHARACTERS)]


class Payload(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the fact says besides what it is about."""

    action: Action | None = None
    until_ns: int | None = None
    note: Text | None = None
    owner: Text | None = None


class Subject(msgspec.Struct, frozen=True):
    """What it is about: an error, and an occurrence of it."""

    fingerprint: str
    fingerprint_version: int
    task_id: str
    run_id: str
    attempt: int


class Decision(NamedTuple):
    """A row of table `triage`."""

    tenant: str
    fingerprint: str
    time_ns: int
    partition: int
    position: int
    version: int
    actor: str
    action: str | None
    until_ns: int | None
    note: str | None
    owner: str | None
    task_id: str
    run_id: str
    attempt: int


def decision_of(fact: Fact, tenant: str, received_ns: int, place: tuple[int, int]) -> (
    Decision | None
):  # fmt: skip
    """The decision that a fact at `place` (partition, position) says; None if it says none that
    this release knows."""
    if fact.kind != KIND or fact.version != VERSION:
        return None
    try:
        about, said = _read(fact.subject, Subject), _read(fact.payload, Payload)
    except msgspec.ValidationError:
        return None
    return Decision(
        tenant, about.fingerprint, fact.time_ns or received_ns, *place, about.fingerprint_version,
        fact.actor, said.action, said.until_ns, said.note, said.owner, about.task_id,
        about.run_id, about.attempt,
    )  # fmt: skip


def _read(value: Any, kind: Any) -> Any:
    return msgspec.convert(value, kind)
