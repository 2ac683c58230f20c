"""Facts as people and programs give them: checked, and put into the envelope."""

import re
import uuid
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from events.errors import BadInput, Rejected
from events.kinds import FACT_KIND, is_fact_kind, is_reserved
from events.schema import Attributes, Fact
from events.times import parse_rfc3339
from projections.query import ids
from projections.query.refusals import BadQuestion

KEY_CHARACTERS: Final = 255
SUBJECT_PARTS: Final = 16
TEXT_CHARACTERS: Final = 1_024
DEPTH: Final = 16
_INT_LIMIT: Final = 1 << 63
_is_part = re.compile(r"[a-z][a-z0-9_]{0,63}").fullmatch
_IDS: Final = {"trace_id": (32, ids.trace_ids), "span_id": (16, ids.span_ids)}


class BadFact(BadInput):
    """A fact breaks a bound; `errors` has one (field, what is wrong) each."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {detail}" for field, detail in errors))
        self.errors = errors


class Conflict(Rejected):
    """The idempotency key stands for a fact that says something else, at `position`."""

    def __init__(self, key: str, position: int) -> None:
        super().__init__(
            f"the idempotency key {key[:80]!r} was used for this kind and subject before, and the "
            f"fact at position {position} says something else; it stays"
        )
        self.position = position


class NewFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fact to append."""

    kind: Annotated[
        str, Meta(description="What it says: `namespace.name`; `spanledger.…` is reserved")
    ]
    subject: Annotated[
        dict[str, str | int],
        Meta(
            description="What it is about: a `type`, and what identifies one of it, such as "
            "`task_id`, `run_id`, `attempt`, `trace_id`"
        ),
    ]
    payload: Annotated[
        dict[str, Any], Meta(description="The rest; its shape is that of kind and version")
    ] = {}
    version: Annotated[int, Meta(ge=1, le=1 << 31, description="Of the payload's shape")] = 1
    time: (
        Annotated[str, Meta(description="When it was so, RFC 3339; when it arrives if absent")]
        | None
    ) = None


def fact_of(new: NewFact, actor: str, key: str | None) -> Fact:
    """The fact that `actor` reports; without a key it is a fact of its own each time.

    Raises:
        BadFact: with every field that breaks a bound.
    """
    errors: list[tuple[str, str]] = []
    if not is_fact_kind(new.kind):
        errors.append(("kind", f"{new.kind[:80]!r} is not like acme.deployed ({FACT_KIND})"))
    elif is_reserved(new.kind):
        errors.append(("kind", "kinds of this namespace are Spanledger's own; take another"))
    time_ns = 0
    if new.time is not None:
        try:
            time_ns = parse_rfc3339(new.time)
        except ValueError as exc:
            errors.append(("time", str(exc)))
        else:
            if not 0 < time_ns < _INT_LIMIT:  # 0 means that nobody said it
                errors.append(("time", "not between 1970 and 2262"))
    if key is not None and not (0 < len(key) <= KEY_CHARACTERS and key.isprintable()):
        errors.append(("idempotency-key", f"1 to {KEY_CHARACTERS} characters that can be printed"))
    errors += _subject_faults(new.subject)
    if fault := _fault(new.payload, DEPTH):
        errors.append(("payload", fault))
    if errors:
        raise BadFact(errors)
    return Fact(
        kind=new.kind,
        version=new.version,
        time_ns=time_ns,
        subject=_spelled(new.subject),
        actor=actor,
        idempotency_key=str(uuid.uuid4()) if key is None else key,
        payload=new.payload,
    )


def _subject_faults(subject: dict[str, str | int]) -> list[tuple[str, str]]:
    faults = []
    if not subject.get("type") or not isinstance(subject["type"], str):
        faults.append(("subject.type", "a text is needed: what kind of thing it is about"))
    if len(subject) > SUBJECT_PARTS:
        faults.append(("subject", f"more than {SUBJECT_PARTS} parts"))
    for name, value in list(subject.items())[:SUBJECT_PARTS]:
        where = f"subject.{name[:64]}"
        if not _is_part(name):
            faults.append((where, "a name has 1 to 64 of a-z 0-9 _"))
        elif isinstance(value, str) and len(value) > TEXT_CHARACTERS:
            faults.append((where, f"longer than {TEXT_CHARACTERS} characters"))
        elif name in _IDS:
            try:
                _spelled_id(name, value)
            except ValueError as exc:
                faults.append((where, str(exc)))
        elif fault := _fault(value, 1):
            faults.append((where, fault))
    return faults


def _spelled(subject: dict[str, str | int]) -> dict[str, str | int]:
    """The subject with its ids in one spelling."""
    return {
        name: _spelled_id(name, value) if name in _IDS else value for name, value in subject.items()
    }


def _spelled_id(name: str, value: str | int) -> str:
    """A trace's or span's id in hex, however the tool that it was copied from shows it.

    Raises:
        ValueError: it is none, or could be two.
    """
    digits, readings = _IDS[name]
    if not isinstance(value, str):
        raise ValueError(f"not {digits} hex digits, as text")
    try:
        found = readings(value)
    except BadQuestion as exc:
        raise ValueError(exc.errors[0][1]) from exc
    if len(found) > 1 and len(value) != digits:
        raise ValueError(f"{value[:64]!r} can be read in two ways; write {digits} hex digits")
    return found[0].hex()


def _fault(value: Any, depth: int) -> str:
    """Why `value` cannot be stored; empty if it can."""
    if isinstance(value, int) and not -_INT_LIMIT <= value < _INT_LIMIT:
        return "a number beyond 64 bits; send it as text"
    if isinstance(value, list | dict):
        if depth == 0:
            return f"nested more than {DEPTH} deep"
        held: Attributes | list[Any] = value
        items = held.values() if isinstance(held, dict) else held
        return next((fault for item in items if (fault := _fault(item, depth - 1))), "")
    return ""
