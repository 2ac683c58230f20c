"""Decisions about errors as people give them: checked, and put into the envelope."""

import time
import uuid
from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from events.schema import Fact
from events.times import parse_rfc3339
from projections.errors.fingerprints.versions import CURRENT
from projections.views.error_patterns.question import OneError
from projections.views.triage.decision import KIND, TEXT_CHARACTERS, VERSION, Payload, Subject
from service.append.facts import KEY_CHARACTERS, BadFact

OWNER_CHARACTERS: Final = 200
_LAST_NS: Final = 1 << 63


class NewTriage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision about an error pattern: an action, a note, an owner, or several of them."""

    action: (
        Annotated[
            Literal["resolve", "ignore", "reopen"],
            Meta(description="`resolve`: until it is seen again; `ignore`: until `until`"),
        ]
        | None
    ) = None
    until: Annotated[str, Meta(description="Of `ignore`, RFC 3339; for good if absent")] | None = (
        None
    )
    note: (
        Annotated[
            str, Meta(max_length=TEXT_CHARACTERS, description="Empty takes the last one away")
        ]
        | None
    ) = None
    owner: (
        Annotated[
            str, Meta(max_length=OWNER_CHARACTERS, description="Empty takes the last one away")
        ]
        | None
    ) = None


def triage_of(
    new: NewTriage, actor: str, key: str | None, error: OneError,
    clock: Callable[[], int] = time.time_ns,
) -> Fact:  # fmt: skip
    """The fact that `actor` decided so of an error; it names the first occurrence.

    Raises:
        BadFact: with every field that is wrong.
    """
    faults: list[tuple[str, str]] = []
    if new.action is None and new.note is None and new.owner is None:
        faults.append(("body", "an action, a note or an owner is needed"))
    until_ns = None
    if new.until is not None:
        if new.action != "ignore":
            faults.append(("until", "only `ignore` has an end"))
        try:
            until_ns = parse_rfc3339(new.until)
        except ValueError as exc:
            faults.append(("until", str(exc)))
        else:
            if not 0 < until_ns < _LAST_NS:
                faults.append(("until", "not between 1970 and 2262"))
    if key is not None and not (0 < len(key) <= KEY_CHARACTERS and key.isprintable()):
        faults.append(("idempotency-key", f"1 to {KEY_CHARACTERS} characters that can be printed"))
    if faults:
        raise BadFact(faults)
    first = error.example.first
    about = Subject(error.fingerprint, CURRENT, first.task_id, first.run_id, first.attempt)
    said = Payload(new.action, until_ns, new.note, new.owner)
    subject = {"type": "error", **msgspec.structs.asdict(about)}
    if first.event_id is not None:
        subject["event_id"] = first.event_id
    # A request that is sent again under its key has to be the same fact, so it has no own time.
    time_ns = clock() if key is None else 0
    return Fact(
        KIND, VERSION, time_ns, subject, actor, str(uuid.uuid4()) if key is None else key,
        msgspec.to_builtins(said),
    )  # fmt: skip
