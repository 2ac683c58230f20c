"""The attributes that tell which error it is: the sender's own identity of it, and its codes."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from events.names import EXCEPTION_EVENT
from projections.errors.codes import ATTRIBUTES
from projections.errors.signature import OWN_KEYS

KEYS: Final = tuple(dict.fromkeys((*OWN_KEYS, *ATTRIBUTES)))
_KEYS: Final = frozenset(KEYS)


class Event(Protocol):
    """An event of a span, as far as this needs it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def attributes(self) -> dict[str, Any]:
        """Its attributes."""


def telling(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `attributes` that matter."""
    return {key: attributes[key] for key in _KEYS & attributes.keys()}


def told_by(attributes: Mapping[str, Any], events: Iterable[Event]) -> dict[str, Any]:
    """Those of a span, over them those of the exception that it recorded last."""
    told = telling(attributes)
    exceptions = [event for event in events if event.name == EXCEPTION_EVENT]
    if exceptions:
        told.update(telling(exceptions[-1].attributes))
    return told
