"""What a rule of scrubbing is: a kind of private data, a pattern, and a closer look.

Patterns are RE2, written to be cheap in one automaton; no class takes NUL. What may fail after
a run of characters bounds the run: else each of a thousand matches would scan the rest again.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

WIDE: Final = r"\x{80}-\x{10FFFF}"
"""Every character that is not ASCII."""

Check = Callable[[bytes, bytes, bytes], bytes | None]
"""(match, character before, character after) to the replacement, or None: nothing private.

None lets the rules look again from the match's second character on. A check that gives the match
itself says that all of it is harmless.
"""


class Rule(NamedTuple):
    """A kind of private data.

    `cost`: how many plain candidates a match of it is worth. `head`: the pattern finds the rest
    behind these bytes, and what of them stands before it belongs to the match, too; such a rule is
    told by its first byte (`signs`), with which no other rule's matches begin. A counted run at
    the front of a pattern would multiply the states of the automaton instead.
    """

    kind: str
    pattern: str
    check: Check
    cost: int = 1
    signs: bytes = b""
    head: frozenset[int] = frozenset()


def whole(kind: str) -> Check:
    """The check that replaces all of every match."""
    replacement = f"[{kind}]".encode()
    return lambda match, before, after: replacement


def harmless(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """The check of what only looks private: it stays as it is."""
    return match


def has_digit(text: bytes) -> bool:
    """Whether there is an ASCII digit in `text`."""
    return any(48 <= byte < 58 for byte in text)
