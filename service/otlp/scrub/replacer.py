"""Rules applied to strings: every string of a batch is looked at once, until nothing is found."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

import re2

from service.otlp.scrub.kinds.addresses import address_rules, uuid_rule
from service.otlp.scrub.kinds.identities import identity_rules
from service.otlp.scrub.kinds.numbers import number_rules
from service.otlp.scrub.kinds.own import own_rules
from service.otlp.scrub.kinds.secrets import PASSWORD, TOKEN, secret_rules
from service.otlp.scrub.pseudonyms import Pseudonyms
from service.otlp.scrub.rule import Rule

CANDIDATES: Final = 1000
"""A string with more of them is hostile or a list: what follows is replaced as a whole."""
BATCH_CANDIDATES: Final = 100_000
"""A batch with more of them is hostile: further strings with one are replaced as a whole."""
HEAD_BYTES: Final = 128
"""What a match may have before what its pattern finds: RFC 5321 allows 64 characters."""
_UNREAD: Final = b"[scrubbed]"
_NUL: Final = b"\x00"

Checked = tuple[bytes | None, str]
"""What replaces a match, None if it stays; and its kind, empty if nothing private was there."""

Span = tuple[int, int]


class Change(NamedTuple):
    """A string and what becomes of it; `kinds` says what was in it."""

    old: bytes
    new: bytes
    kinds: set[str]


def scrub_rules(
    *, uuids: bool, patterns: Iterable[str] = (), allowed: Iterable[str] = ()
) -> list[Rule]:
    """The rules, the first that matches at a place wins.

    Raises:
        BadInput: one of the two kinds of own patterns is none.
    """
    every = [
        *own_rules(patterns, allowed),
        *secret_rules(),
        *address_rules(),
        *number_rules(),
        *identity_rules(),
    ]
    return [*every, uuid_rule()] if uuids else every


class _Candidates:
    """The matches in a text, one after the other; `here` is the current one, None at the end."""

    def __init__(self, finditer: Callable[..., Iterator[Any]], text: bytes) -> None:
        self._finditer = finditer
        self.text = text
        self.seek(0)

    def seek(self, at: int) -> None:
        """Go to the first from `at` on."""
        self._found = self._finditer(self.text, at)
        self.advance()

    def advance(self) -> None:
        """Go to the next after the current one; cheaper than to seek it."""
        found = next(self._found, None)
        self.here: Span | None = found and found.span()


class Replacer:
    """Applies all rules to strings, until none finds anything more.

    It goes over many at once, and looks at what it knows only once: each call of RE2 from Python
    costs as much as a kilobyte of text, and an error's message stands in three strings of a span.
    """

    def __init__(self, rules: list[Rule]) -> None:
        self.pseudonyms: Pseudonyms | None = None
        options = re2.Options()
        options.never_capture = True
        options.max_mem = 64 << 20  # room for the whole automaton: a flush costs a rescan
        self._finditer = re2.compile("|".join(rule.pattern for rule in rules), options).finditer
        self._rules = rules
        which = re2.Set.FullMatchSet(options)
        for rule in rules:
            which.Add(rule.pattern)
        which.Compile()
        self._which = which.Match
        self._by_sign = {sign: rule for rule in rules for sign in rule.signs}
        self.begin()

    def begin(self) -> None:
        """Begin a batch: with all its candidates left, and nothing known of another's."""
        self.left = BATCH_CANDIDATES
        self._checked: dict[bytes, Checked] = {}

    def replace(self, text: str, kinds: set[str]) -> str:
        """`text` without private data; what was found is added to `kinds`."""
        data = text.encode() + _NUL
        pieces: list[bytes] = []
        kept = 0
        for start, change in self.changes(data):
            pieces += (data[kept:start], change.new)
            kept = start + len(change.old)
            kinds |= change.kinds
        return b"".join((*pieces, data[kept:-1])).decode() if pieces else text

    def changes(self, text: bytes) -> list[tuple[int, Change]]:
        """What becomes of strings that are joined, each followed by NUL.

        Only of those that change, with where they start in `text`, ascending.
        """
        found = list(self._once(text))
        settled = self._settled({change.old: change for _, change in found})
        return [(start, settled[change.old]) for start, change in found]

    def _once(self, text: bytes) -> Iterator[tuple[int, Change]]:
        """The same after one look, with what it made still to be looked at."""
        known: dict[bytes, Change | None] = {}
        candidates = _Candidates(self._finditer, text)
        while candidates.here:
            first = candidates.here[0]
            start = text.rfind(_NUL, 0, first) + 1
            end = text.index(_NUL, first)
            old = text[start:end]
            if old in known:
                candidates.seek(end)
            else:
                known[old] = self._string(old, start, candidates)
            if change := known[old]:
                yield start, change

    def _settled(self, changes: dict[bytes, Change]) -> dict[bytes, Change]:
        """The same by old string; what was put in may say something together with what was left.

        In rounds, not by recursion: a hostile string needs one for every hundred of its bytes.
        """
        settled = dict(changes)
        unsettled = list(changes.values())
        while unsettled:
            ends = list(accumulate(len(change.new) + 1 for change in unsettled))
            joined = b"".join([change.new + _NUL for change in unsettled])
            again: list[Change] = []
            for start, found in self._once(joined):
                change = unsettled[bisect_right(ends, start)]
                again.append(Change(change.old, found.new, change.kinds | found.kinds))
            settled.update((change.old, change) for change in again)
            unsettled = again
        return settled

    def _string(self, old: bytes, start: int, candidates: "_Candidates") -> Change | None:
        """The change of the string `old`, which starts at `start`; goes over its candidates."""
        text, end = candidates.text, start + len(old)
        pieces: list[bytes] = []
        kinds: set[str] = set()
        kept = start
        last = max(self.left - CANDIDATES, 0)
        while (span := candidates.here) and span[0] < end:
            first, after = span[0], min(span[1], end)  # a pattern of the settings may take NUL
            headed = self._by_sign.get(text[first])
            if headed is not None:
                first = _head_at(text, first, kept, headed.head)
            if self.left <= last:
                kinds.add(TOKEN)
                pieces += (text[kept:first], _UNREAD)
                kept = end
                candidates.seek(end)
                break
            self.left -= 1
            if headed is None:
                new, kind = self._check(text, first, after)
            else:
                new, kind = self._by_rules(text, first, after, [headed])
            if kind:
                kinds.add(kind)
            if new is None:
                candidates.seek(span[0] + 1)  # what the rule let pass may hide something else
            else:
                pieces += (text[kept:first], new)
                kept = after
                if after < span[1]:
                    candidates.seek(after)
                else:
                    candidates.advance()
        if not kinds:
            return None
        pieces.append(text[kept:end])
        return Change(old, b"".join(pieces), kinds)

    def _check(self, text: bytes, start: int, end: int) -> Checked:
        """What replaces a match; asking which rule's it is is cheaper than capturing it."""
        key = text[start - 1 : end + 1] if start else _NUL + text[: end + 1]
        checked = self._checked.get(key)
        if checked is None:
            rules = [self._rules[number] for number in sorted(self._which(text[start:end]))]
            checked = self._checked[key] = self._by_rules(text, start, end, rules)
        return checked

    def _by_rules(self, text: bytes, start: int, end: int, rules: Sequence[Rule]) -> Checked:
        """The same by the first of `rules` that has something to say of it."""
        match = text[start:end]
        before = text[start - 1 : start].strip(_NUL) if start else b""
        after = text[end : end + 1].strip(_NUL)
        for rule in rules:
            self.left -= rule.cost - 1
            new = rule.check(match, before, after)
            if new is not None:
                if new == match:
                    return new, ""
                if self.pseudonyms is not None:
                    new = self.pseudonyms.named(match, new)
                return new, PASSWORD if b"[password]" in new else rule.kind
        return None, ""


def _head_at(text: bytes, at: int, least: int, head: frozenset[int]) -> int:
    """Where the run of `head` bytes before `at` begins, at `least` or behind it."""
    least = max(least, at - HEAD_BYTES)
    while at > least and text[at - 1] in head:
        at -= 1
    return at
