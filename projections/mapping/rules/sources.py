"""Sources: where in a span or log record a value stands, as rules write it.

Own ones are read where they stand: `name kind scope scope.version trace_id span_id
parent_span_id start end status.code status.message event_name body`, `attr.K`, `resource.K`,
`event[NAME].K` and `const JSON`. Open ones need another observation: `parent:` before an own one
(up to three times), `desc[PATTERN]:` (the first descendant so named) and `log[EVENT].K` (a record
kept with the span). `run.later` is true for an attempt of which a later one is known.
"""

import re
from typing import Any, Final

import msgspec

from projections.mapping.rules.patterns import glob
from projections.mapping.rules.problems import Invalid, near

PLAIN: Final = frozenset({
    "name", "kind", "scope", "scope.version", "trace_id", "span_id", "parent_span_id", "start",
    "end", "status.code", "status.message", "event_name", "body",
})  # fmt: skip
LATER: Final = "run.later"
CONTEXT: Final = ("scope", "scope.version", "resource.")
"""Sources that all events of a block share."""
PARENTS_LIMIT: Final = 3
_EVENT = re.compile(r"event\[([^\[\]]+)\]\.(.+)")
_LOG = re.compile(r"log\[([^\[\]]+)\]\.(.+)")
_DESCENDANT = re.compile(r"desc\[([^\[\]]+)\]:(.+)")


class Source(msgspec.Struct, frozen=True):
    """One source. `slot` is where an observation keeps the value of its own part.

    `parents`: how often to go up. `descendant`: the pattern of the descendant's name. `record`:
    the event name of the record. Two of these are empty, or all.
    """

    text: str
    own: str
    slot: int
    parents: int = 0
    descendant: str = ""
    record: str = ""
    constant: Any = None

    @property
    def is_open(self) -> bool:
        """Whether another observation must tell."""
        return bool(self.parents or self.descendant or self.record)

    @property
    def of_context(self) -> bool:
        """Whether all events of a block share it."""
        return not self.is_open and self.own.startswith(CONTEXT)


class Slots:
    """Numbers for own sources, in order of appearance in the rules."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, own: str) -> int:
        """The number of an own source."""
        found = self._numbers.get(own)
        if found is None:
            found = self._numbers[own] = len(self.texts)
            self.texts.append(own)
        return found


def parse_source(text: str, slots: Slots) -> Source:
    """The source that a text means.

    Raises:
        Invalid: there is no such source.
    """
    rest, parents = text, 0
    while rest.startswith("parent:"):
        rest, parents = rest[7:], parents + 1
    if parents > PARENTS_LIMIT:
        raise Invalid(f"`parent:` may be said {PARENTS_LIMIT} times")
    if found := _DESCENDANT.fullmatch(rest):
        if parents or ":" in found[2].partition("[")[0].partition(".")[0]:
            raise Invalid("after `desc[…]:` comes a source of that span itself")
        glob(found[1])
        return Source(text, found[2], slots.number(_own(found[2])), descendant=found[1])
    if found := _LOG.fullmatch(rest):
        if parents:
            raise Invalid("`log[…]` cannot be asked of a parent")
        own = f"attr.{found[2]}" if found[2] != "body" else "body"
        return Source(text, own, slots.number(own), record=found[1])
    if rest.startswith("const "):
        return Source(text, rest, -1, constant=_json(rest[6:]))
    return Source(text, rest, slots.number(_own(rest)), parents=parents)


def _own(text: str) -> str:
    """The same text, if it is an own source."""
    if text in PLAIN or text == LATER or _EVENT.fullmatch(text):
        return text
    prefix, _, name = text.partition(".")
    if prefix in ("attr", "resource") and name:
        return text
    known = {*PLAIN, LATER, "attr.NAME", "resource.NAME", "event[NAME].KEY", "log[EVENT].KEY"}
    like = f"{prefix}.NAME" if name and text not in PLAIN else text
    raise Invalid(f"{text!r} is no source{near(like, known)}")


def event_of(own: str) -> tuple[str, str] | None:
    """Event name and attribute of an `event[…]` source; None for any other."""
    found = _EVENT.fullmatch(own)
    return None if found is None else (found[1], found[2])


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as exc:
        raise Invalid(f"{text!r} is no JSON value: {exc}") from exc
