"""What an event is called and which filters take it, for all who show events to people."""

import re
from typing import Final, Literal, get_args

from events import names
from events.abandonment import abandonment_of
from events.schema import AttemptAbandoned, Event, Fact, LogRecord, Span

Kind = Literal["span", "log", "attempt_abandoned", "fact", "unknown"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

FACT_KIND: Final = r"[a-z][a-z0-9_-]{0,63}(\.[a-z][a-z0-9_-]{0,63}){1,3}"
"""`namespace.name`, of two to four parts: what a fact of our own may be."""

FILTER: Final = rf"^({'|'.join(KINDS)}|{FACT_KIND})$(?!\n)"
"""A kind to ask for: one of `KINDS`, or the kind of a fact. Python takes a line's end before `$`;
its `\\Z` is no pattern for those who read the OpenAPI document."""

is_filter = re.compile(FILTER).match
is_fact_kind = re.compile(FACT_KIND).fullmatch


def kind_of(event: Event) -> Kind:
    """What `event` is: a fact of ours is `fact`, but for what has always had its own name."""
    if isinstance(event, Span):
        return "span"
    if isinstance(event, LogRecord):
        return "log"
    if isinstance(event, AttemptAbandoned):
        return "attempt_abandoned"
    if isinstance(event, Fact):
        return "attempt_abandoned" if _tells_of_abandonment(event) else "fact"
    return "unknown"


def _tells_of_abandonment(fact: Fact) -> bool:
    try:
        return abandonment_of(fact) is not None
    except ValueError:
        return False


def is_of_kind(event: Event, kind: str) -> bool:
    """Whether a filter takes `event`: by what it is, or by its kind among our facts."""
    if isinstance(event, Fact) and kind in ("fact", event.kind):
        return True
    return kind_of(event) == kind


def is_reserved(kind: str) -> bool:
    """Whether only Spanledger itself may append facts of this kind."""
    return kind.partition(".")[0] == names.OWN_NAMESPACE
