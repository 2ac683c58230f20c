"""A dictionary of what may be needed again, bounded in bytes.

When it is full it is emptied, not trimmed: what it holds can be had again from where it came, and
an order of use would cost more with every look-up than that does.
"""

import sys
from collections.abc import Callable, Hashable
from functools import wraps
from typing import Final, TypeVar

ENTRY_BYTES: Final = 200
"""What an entry costs beside its texts and arrays: its slot, a tuple or two, a number."""

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class BoundedDict(dict[_K, _V]):
    """A plain dictionary for reading; entries come by `keep`, never by assignment.

    Args:
        limit_bytes: a bound of what `keep` was told, `ENTRY_BYTES` added for each entry.
    """

    __slots__ = ("held_bytes", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self.limit_bytes = limit_bytes
        self.held_bytes = 0

    def keep(self, key: _K, value: _V, size_bytes: int) -> None:
        """Keep an entry whose texts and arrays have so many bytes, unless it alone is too large."""
        size_bytes += ENTRY_BYTES
        if self.held_bytes + size_bytes > self.limit_bytes:
            self.clear()
        if size_bytes <= self.limit_bytes:
            self.held_bytes += size_bytes
            self[key] = value

    def clear(self) -> None:
        """Drop everything."""
        super().clear()
        self.held_bytes = 0


def text_bytes(*parts: str | bytes | None) -> int:
    """The memory of texts."""
    return sum(map(sys.getsizeof, parts))


def remembered(limit_bytes: int) -> Callable[[Callable[..., _V]], Callable[..., _V]]:
    """Remember what a pure function of texts answers, within a bound of the texts' bytes.

    An answer counts for as much as the texts that it was made of; it must not be larger.
    """

    def decorate(function: Callable[..., _V]) -> Callable[..., _V]:
        answers: BoundedDict[tuple[str | bytes | None, ...], _V] = BoundedDict(limit_bytes)

        @wraps(function)
        def remembering(*texts: str | bytes | None) -> _V:
            try:
                return answers[texts]
            except KeyError:
                answer = function(*texts)
                answers.keep(texts, answer, 2 * text_bytes(*texts))
                return answer

        remembering.answers = answers  # type: ignore[attr-defined]
        return remembering

    return decorate
