"""Which attribute keys scrubbing leaves alone, everywhere or in single events."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from projections.mapping.rules.identity import Need, Whole

_KEPT: Final = 256
"""Combinations of needs that are remembered; few ever meet in one event."""


class Exemptions:
    """`always` are the keys that are exempt in every event and context.

    A need is looked for in the bytes of an event, where strings stand as msgpack writes them. That
    finds every event that its rule takes, and seldom another one.
    """

    def __init__(self, keys: Iterable[str], whole: Whole | None = None) -> None:
        always, needs = whole or Whole(frozenset())
        self.always = always.union(keys)
        self._needs = [need.keys for need in needs]
        self._marks = [_marks(need) for need in needs]
        self._rarest = [marks[0] for marks in self._marks]
        self._with = lru_cache(_KEPT)(self._union)

    def of(self, row: bytes) -> frozenset[str]:
        """The keys that are exempt in the event `row`."""
        for rarest in self._rarest:
            if rarest in row:
                break
        else:
            return self.always
        met = [
            number for number, marks in enumerate(self._marks) if all(mark in row for mark in marks)
        ]
        return self._with(*met) if met else self.always

    def _union(self, *numbers: int) -> frozenset[str]:
        return self.always.union(*(self._needs[number] for number in numbers))


def _marks(need: Need) -> list[bytes]:
    """What stands in the bytes of every event of the rule, the rarest first."""
    pack = msgspec.msgpack.encode
    found = [pack(key) + (b"" if text is None else pack(text)) for key, text in need.marks]
    return sorted([*found, *map(pack, need.names)], key=len, reverse=True)
