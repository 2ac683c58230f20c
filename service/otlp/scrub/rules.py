"""What counts as private data: one pattern a kind, and a closer look where that says too much.

Patterns are RE2, written to be cheap in one automaton; no class takes NUL. What may fail after
a run of characters bounds the run: else each of a thousand matches would scan the rest again.
"""

import ipaddress
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, Final, NamedTuple

import re2

EMAIL: Final = "email"
IP: Final = "ip"
TOKEN: Final = "token"
CARD: Final = "card"
PASSWORD: Final = "password"
UUID: Final = "uuid"

CANDIDATES: Final = 1000
"""A string with more of them is hostile or a list: what follows is replaced as a whole."""
BATCH_CANDIDATES: Final = 100_000
"""A batch with more of them is hostile: further strings with one are replaced as a whole."""
_UNREAD: Final = b"[scrubbed]"
_NUL: Final = b"\x00"

_WIDE: Final = r"\x{80}-\x{10FFFF}"
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_GROUP: Final = r"[0-9A-Fa-f]{1,4}"
_KEY: Final = (
    r"(?:password|passwd|passphrase|(?:\b|_)(?:pass|pwd)|secret|token|api[_\-]?key"
    r"|access[_\-]?key(?:[_\-]id)?|secret[_\-]?(?:access[_\-]?)?key|private[_\-]?key"
    r"|auth[_\-]?key|credentials?)"
)
_BARE: Final = r"[^\s\"'&,;<>(){}\x00]+"
_SECRET: Final = rf"(?:\"[^\"\x00]+\"|'[^'\x00]+'|(?i:bearer|basic)[ \t]+{_BARE}|{_BARE})"
_KEYED: Final = rf"(?i:{_KEY}[\"']?)[ \t]?[=:][ \t]?"
_KEYED_PARTS: Final = re2.compile(f"({_KEYED})({_SECRET})")
_CARD_LENGTHS: Final = {
    b"2": (16,), b"3": (16, 15, 14), b"4": (19, 16, 13), b"5": (16,), b"6": (19, 18, 17, 16),
}  # fmt: skip

Check = Callable[[bytes, bytes, bytes], bytes | None]
"""(match, character before, character after) to the replacement, or None: nothing private."""


Checked = tuple[bytes | None, str]
"""What replaces a match, None if it stays; and its kind, empty if nothing private was there."""

Span = tuple[int, int]


class Change(NamedTuple):
    """A string and what becomes of it; `kinds` says what was in it."""

    old: bytes
    new: bytes
    kinds: set[str]


class Rule(NamedTuple):
    """A kind of private data."""

    kind: str
    pattern: str
    check: Check


def _whole(kind: str) -> Check:
    replacement = f"[{kind}]".encode()
    return lambda match, before, after: replacement


def _url_password(match: bytes, before: bytes, after: bytes) -> bytes | None:
    colon = match.index(b":", match.index(b"://") + 3)
    return match[: colon + 1] + b"[password]@"


def _keyed(match: bytes, before: bytes, after: bytes) -> bytes | None:
    found = _KEYED_PARTS.fullmatch(match)
    head, secret = found.group(1), found.group(2)
    kind = b"[password]" if b"pass" in head.lower() or b"pwd" in head.lower() else b"[token]"
    quote = secret[:1] if secret[:1] in (b'"', b"'") else b""
    return bytes(head + quote + kind + quote)


def _credential(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """`Bearer …` in prose is followed by words, not by a credential."""
    scheme, _, value = match.partition(match[6:7])
    if len(value) < 20 and value.isalpha():
        return None
    return scheme + match[6:7] + b"[token]"


def _prefixed_key(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """A key has digits; `sk-learn-something-else` has not."""
    return b"[token]" if any(48 <= byte < 58 for byte in match) else None


def _ipv6(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """`a::b` is a name in C++ and Rust; an address has a digit and ends where its text does."""
    if before == b":" or after.isalnum() or after in (b"_", b":"):
        return None
    if not any(48 <= byte < 58 for byte in match):
        return None
    try:
        ipaddress.IPv6Address(match.decode())
    except ValueError:
        return None
    return b"[ip]"


def _ipv4(match: bytes, before: bytes, after: bytes) -> bytes | None:
    return None if before == b"." else b"[ip]"


def _basic(match: bytes, before: bytes, after: bytes) -> bytes | None:
    return match[: match.lower().index(b"basic") + 5] + b" [token]"


def _card(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """A card number passes Luhn's check and is no fraction of a number or part of an id."""
    if before in (b".", b"-"):
        return None
    places = [place for place, byte in enumerate(match) if 48 <= byte < 58]
    for length in _CARD_LENGTHS[match[:1]]:
        if length > len(places):
            continue
        end = places[length - 1] + 1
        following = match[end : end + 1] or after
        if not following.isdigit() and following != b"-" and _luhn(match[:end]):
            return b"[card]" + match[end:]
    return None


def _luhn(number: bytes) -> bool:
    digits = [byte - 48 for byte in number if 48 <= byte < 58]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _secret_rules() -> list[Rule]:
    return [
        Rule(
            PASSWORD,
            r"\b[A-Za-z][A-Za-z0-9+.\-]{0,20}://[^\s/:@\x00]{0,64}:[^\s/?#\x00]{1,256}@",
            _url_password,
        ),
        Rule(
            TOKEN,
            r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^\x00\-]*"
            r"(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?",
            _whole(TOKEN),
        ),
        Rule(TOKEN, r"(?i:\bbearer)[ \t:][A-Za-z0-9\-._~+/]{8,}=*", _credential),
        Rule(
            TOKEN,
            r"(?i:\bauthorization[\"']?\s*[:=]\s*[\"']?basic\s+)[A-Za-z0-9+/]{4,}=*", _basic,
        ),
        Rule(
            TOKEN, r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*", _whole(TOKEN)
        ),
        Rule(TOKEN, r"\bA(?:KIA|SIA|GPA|IDA|ROA|NPA|NVA)[A-Z0-9]{16}\b", _whole(TOKEN)),
        Rule(
            TOKEN,
            r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|xapp-|hf_|npm_|pypi-|AIza"
            r"|[spr]k_(?:live|test)_)[A-Za-z0-9_\-]{10,}",
            _whole(TOKEN),
        ),
        Rule(TOKEN, r"\bsk-[A-Za-z0-9_\-]{16,}", _prefixed_key),
        Rule(TOKEN, _KEYED + _SECRET, _keyed),
    ]  # fmt: skip


def scrub_rules(*, uuids: bool) -> list[Rule]:
    """The rules, the first that matches at a place wins."""
    every = [
        Rule(
            EMAIL,
            rf"[A-Za-z0-9._%+\-{_WIDE}]{{1,64}}@[A-Za-z0-9\-{_WIDE}]+(?:\.[A-Za-z0-9\-{_WIDE}]+)*"
            r"\.[A-Za-z]{2,}",
            _whole(EMAIL),
        ),
        *_secret_rules(),
        Rule(IP, rf"\b{_GROUP}(?::{_GROUP}){{7}}", _ipv6),
        Rule(
            IP,
            rf"\b{_GROUP}(?::{_GROUP}){{0,6}}::(?:{_GROUP}(?::{_GROUP}){{0,6}})?", _ipv6,
        ),
        Rule(IP, rf"\b{_OCTET}(?:\.{_OCTET}){{3}}\b", _ipv4),
        Rule(
            CARD,
            r"\b(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|3(?:0[0-5]|[4-8][0-9])[0-9]"
            r"|6(?:011|[245][0-9]{2}))[ \-]?[0-9]{4}(?:[ \-]?[0-9]){5,11}\b",
            _card,
        ),
    ]  # fmt: skip
    if uuids:
        hexa = "[0-9A-Fa-f]"
        pattern = rf"\b{hexa}{{8}}(?:-{hexa}{{4}}){{3}}-{hexa}{{12}}\b"
        every.append(Rule(UUID, pattern, _whole(UUID)))
    return every


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
        self.begin()

    def begin(self) -> None:
        """Begin a batch: with all its candidates left, and nothing known of another's."""
        self.left = BATCH_CANDIDATES
        self._checked: dict[tuple[bytes, bytes, bytes], Checked] = {}

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
            first, after = span
            if self.left <= last:
                kinds.add(TOKEN)
                pieces += (text[kept:first], _UNREAD)
                kept = end
                candidates.seek(end)
                break
            self.left -= 1
            new, kind = self._check(text, first, after)
            if kind:
                kinds.add(kind)
            if new is None:
                candidates.seek(first + 1)  # what the rule let pass may hide something else
            else:
                pieces += (text[kept:first], new)
                kept = after
                candidates.advance()
        if not kinds:
            return None
        pieces.append(text[kept:end])
        return Change(old, b"".join(pieces), kinds)

    def _check(self, text: bytes, start: int, end: int) -> Checked:
        """What replaces a match."""
        before = text[start - 1 : start].strip(_NUL) if start else b""
        key = text[start:end], before, text[end : end + 1].strip(_NUL)
        checked = self._checked.get(key)
        if checked is None:
            checked = self._checked[key] = self._by_rule(*key)
        return checked

    def _by_rule(self, match: bytes, before: bytes, after: bytes) -> Checked:
        """The same by the first rule that matches; asking which is cheaper than capturing it."""
        which = self._which(match)
        if not which:
            return None, ""
        rule = self._rules[min(which)]
        new = rule.check(match, before, after)
        if new is None or new == match:
            return new, ""
        return new, PASSWORD if b"[password]" in new else rule.kind
