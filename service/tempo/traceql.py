"""The part of TraceQL that is understood: one set of spans, `{ a = b && (c > d || …) }`.

    { }                                           any span
    { resource.service.name = "shop" && (name =~ "pay.*" || duration > 1.5s) && status = error }

Comparisons are of one span, joined by `&&`, which binds closer, and `||`, with brackets.

Fields are attributes (`span.KEY`, `resource.KEY`, `event.KEY`, `link.KEY`, `instrumentation.KEY`,
or `.KEY` for span and resource; a key may be quoted) and `name`, `status`, `kind`, `duration`, with
or without `span:` before them; `nestedSetParent < 0` is true of roots; `rootServiceName` and
`rootName` are of the trace's root. Operators are `=`, `!=`, `=~`, `!~`, `>`, `>=`, `<` and `<=`;
values are strings, numbers, durations, `true`, `false`, `nil`, and words of status and kind. What
else TraceQL has is refused by a message that says what it was.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import re2

from events.errors import BadInput
from events.schema import Context, Span
from projections.views.spans.search import END_NS, Query
from projections.views.spans.tokens import (
    ANY,
    KIND,
    NAME,
    RESOURCE,
    STATUS,
    seed_of,
    text_of,
    token,
)
from service.tempo.fields import (
    INTRINSICS,
    KINDS,
    NESTED,
    ROOT,
    ROOT_FIELDS,
    SCOPES,
    STATUSES,
    values_of,
)

_OF_ROOTS: Final = (("<", 0), ("=", -1), (">=", 0), ("!=", -1))
"""All that is asked of `nestedSetParent`: whether a span is the root of its trace, -1, or not."""
MOST_CHARACTERS: Final = 4_096
MOST_BRACKETS: Final = 32
_ANY_DURATION: Final = (0, END_NS)
_UNITS_NS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_tokens = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<op>=~|!~|!=|>=|<=|=|>|<)|(?P<and>&&)|(?P<or>\|\|)
    |(?P<open>\()|(?P<close>\))
    |(?P<number>-?\d+(?:\.\d+)?)(?P<unit>ns|us|µs|ms|s|m|h)?(?![\w.])
    |(?P<field>(?:\w+:)?[\w]*(?:\.(?:[\w\-/.@]+|"(?:[^"\\]|\\.)*"))?)(?=[\s=!<>&|)}]|$)
    |(?P<other>.))""",
    re.X,
)
_ESCAPED = re.compile(r"\\(.)")
_COMPARED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge, "<": operator.lt,
    "<=": operator.le,
}  # fmt: skip


class NotUnderstood(BadInput):
    """A query is none of TraceQL, or of a part that is not understood here."""


class Root(NamedTuple):
    """The root of a trace."""

    service: str
    name: str


class Condition(NamedTuple):
    """One comparison. `scope` is empty where span and resource are meant, `intrinsic` or `root`
    where the field is no attribute."""

    scope: str
    key: str
    op: str
    value: Any

    def holds(self, context: Context, span: Span) -> bool:
        """Whether any value that the field has compares so; `!=` wants one that differs.

        What is said of the trace's root may hold.
        """
        return self.scope == ROOT or any(
            _compares(self.op, value, self.value) for value in self._values(context, span)
        )

    def _values(self, context: Context, span: Span) -> Iterator[Any]:
        held = values_of(self.scope, self.key, context, span)
        yield from held
        if not held and self.value is None:
            yield None

    def holds_in(self, context: Context, span: Span, root: Root) -> bool:
        """The same where the trace's root is known."""
        if self.scope != ROOT:
            return self.holds(context, span)
        value = root.service if self.key == "service" else root.name
        return _compares(self.op, value, self.value)

    def conditions(self) -> Iterator["Condition"]:
        """Itself."""
        yield self

    def sets(self, seed: int) -> list[tuple[int, ...]]:
        """See `Joined.sets`."""
        found = self.tokens(seed)
        return [found] if found else []

    def durations(self) -> tuple[float, float]:
        """See `Joined.durations`."""
        if (self.scope, self.key) != ("intrinsic", "duration") or self.value is None:
            return _ANY_DURATION
        low = self.value if self.op in (">", ">=", "=") else 0
        return low, self.value if self.op in ("<", "<=", "=") else END_NS

    def tokens(self, seed: int) -> tuple[int, ...]:
        """What a span has one of that it holds for; none where that cannot be told."""
        if self.op != "=" or self.value is None or self.scope == ROOT:
            return ()
        if self.scope != "intrinsic":
            key = RESOURCE + self.key if self.scope == "resource" else self.key
            return (token(seed, key, text_of(self.value)),)
        if self.key == "name":
            return (token(seed, NAME, str(self.value)),)
        if self.key in ("status", "kind"):
            mark, words = (STATUS, STATUSES) if self.key == "status" else (KIND, KINDS)
            return (token(seed, mark, str(words.index(self.value))),)
        return ()


class Joined(NamedTuple):
    """Expressions of which all (`is_all`), or at least one, are to hold; all of none hold."""

    is_all: bool
    parts: tuple["Expression", ...]

    def holds(self, context: Context, span: Span) -> bool:
        """See `Condition.holds`; what is said of the root may hold."""
        return self._any_or_all(part.holds(context, span) for part in self.parts)

    def holds_in(self, context: Context, span: Span, root: Root) -> bool:
        """See `Condition.holds_in`."""
        return self._any_or_all(part.holds_in(context, span, root) for part in self.parts)

    def conditions(self) -> Iterator[Condition]:
        """All comparisons in it."""
        for part in self.parts:
            yield from part.conditions()

    def sets(self, seed: int) -> list[tuple[int, ...]]:
        """Sets of tokens: a span of which it holds has one of each set."""
        found = [part.sets(seed) for part in self.parts]
        if self.is_all:
            return [one for sets in found for one in sets]
        if not all(found):
            return []
        return [tuple(token for sets in found for token in sets[0])]

    def durations(self) -> tuple[float, float]:
        """The shortest and the longest that a span may last of which it holds."""
        bounds = [part.durations() for part in self.parts] or [_ANY_DURATION]
        low, high = (max, min) if self.is_all else (min, max)
        return low(one[0] for one in bounds), high(one[1] for one in bounds)

    def _any_or_all(self, held: Iterable[bool]) -> bool:
        return all(held) if self.is_all else any(held)


Expression = Condition | Joined


def parse(text: str) -> Expression:
    """What a query asks of a span.

    Raises:
        NotUnderstood: it is not of the part of TraceQL above; the message says what was met.
    """
    if len(text) > MOST_CHARACTERS:
        raise NotUnderstood(f"q: longer than {MOST_CHARACTERS} characters")
    inner = text.strip() or "{}"
    if not (inner.startswith("{") and inner.endswith("}")):
        raise NotUnderstood(
            f"q: expected one set of spans, {{ … }}, not {inner[:80]!r}; pipelines and operators "
            "between sets are not understood here"
        )
    parts = [found for found in _tokens.finditer(inner[1:-1].strip()) if found.group().strip()]
    return _Parser(parts).whole() if parts else Joined(True, ())


class _Parser:
    """Reads tokens from the first to the last."""

    def __init__(self, parts: list[re.Match[str]]) -> None:
        self._parts = parts
        self._at = 0
        self._depth = 0

    def whole(self) -> Expression:
        """All of it is one expression."""
        found = self._either()
        if self._at < len(self._parts):
            _expect(self._parts, self._at, "and", "`&&`, `||`")
        return found

    def _either(self) -> Expression:
        found = [self._both()]
        while self._is("or"):
            found.append(self._both())
        return found[0] if len(found) == 1 else Joined(False, tuple(found))

    def _both(self) -> Expression:
        found = [self._one()]
        while self._is("and"):
            found.append(self._one())
        return found[0] if len(found) == 1 else Joined(True, tuple(found))

    def _one(self) -> Expression:
        if self._is("open"):
            self._depth += 1
            if self._depth > MOST_BRACKETS:
                raise NotUnderstood(f"q: more than {MOST_BRACKETS} brackets in each other")
            found = self._either()
            _expect(self._parts, self._at, "close", "`)`")
            self._at, self._depth = self._at + 1, self._depth - 1
            return found
        field = _expect(self._parts, self._at, "field", "a field")
        if field == "true" and not self._has("op", self._at + 1):
            self._at += 1
            return Joined(True, ())
        op = _expect(self._parts, self._at + 1, "op", "an operator (= != =~ !~ > >= < <=)")
        if self._at + 2 >= len(self._parts):
            raise NotUnderstood(f"q: a value is missing after {op}")
        self._at += 3
        return _condition(field, op, self._parts[self._at - 1])

    def _has(self, kind: str, at: int) -> bool:
        return at < len(self._parts) and bool(self._parts[at].group(kind))

    def _is(self, kind: str) -> bool:
        """Whether the next token is of this kind; then it is passed."""
        if not self._has(kind, self._at):
            return False
        self._at += 1
        return True


def query_of(asked: Expression, tenant: str, first_ns: int = 0, last_ns: int = END_NS) -> Query:
    """The query of an expression of one span that starts within a time, both ends included."""
    seed = seed_of(tenant)
    shortest_ns, longest_ns = asked.durations()
    return Query(
        tenant,
        ((token(seed, ANY, ""),), *asked.sets(seed)),
        asked.holds,
        first_ns, last_ns,
        math.floor(_in_bounds(shortest_ns)), math.ceil(_in_bounds(longest_ns)),
    )  # fmt: skip


def _in_bounds(ns: float) -> float:
    """A duration as near to this one as spans have: the index holds no others."""
    return min(max(ns, 0), END_NS)


def _expect(parts: list[re.Match[str]], at: int, kind: str, what: str) -> str:
    if at >= len(parts):
        raise NotUnderstood(f"q: {what} is missing at the end")
    found = parts[at].group(kind)
    if not found:
        raise NotUnderstood(
            f"q: expected {what}, not {parts[at].group().strip()!r}; only comparisons of one span "
            "joined by && and || are understood here"
        )
    return found


def _condition(field: str, op: str, given: re.Match[str]) -> Condition:
    scope, key = field_of(field)
    value = _value(given)
    if scope in ("intrinsic", ROOT):
        value = _checked(key, op, value, given)
    if op in ("=~", "!~"):
        if not isinstance(value, str):
            raise NotUnderstood(f"q: {op} takes a string, not {given.group().strip()!r}")
        value = _pattern(value)
    return Condition(scope, key, op, value)


def field_of(text: str) -> tuple[str, str]:
    """The scope and key of a field as it is written; see `Condition`.

    Raises:
        NotUnderstood: there is no such field.
    """
    name = text.removeprefix("span:").removeprefix("trace:")
    if name in ROOT_FIELDS:
        return ROOT, ROOT_FIELDS[name]
    if name in INTRINSICS:
        return "intrinsic", name
    scope, dot, key = text.partition(".")
    if not dot or not key or scope not in ("", *SCOPES):
        raise NotUnderstood(
            f"q: no field is named {text!r}; there are {', '.join(INTRINSICS)}, .KEY, "
            f"{', '.join(f'{one}.KEY' for one in SCOPES)}"
        )
    return scope, _unquoted(key) if key.startswith('"') else key


def _value(given: re.Match[str]) -> Any:
    text, number, unit, word = given.group("text", "number", "unit", "field")
    if text:
        return _unquoted(text)
    if number:
        plain = float(number) if "." in number else int(number)
        if not math.isfinite(plain):
            raise NotUnderstood(f"q: {number[:20]}… is too large a number")
        return round(plain * _UNITS_NS[unit]) if unit else plain
    words = {"true": True, "false": False, "nil": None}
    if word in words:
        return words[word]
    if word in STATUSES or word in KINDS:
        return word
    raise NotUnderstood(f"q: expected a value, not {given.group().strip()!r}; strings are quoted")


def _checked(key: str, op: str, value: Any, given: re.Match[str]) -> Any:
    """A value that can be compared with an intrinsic: that it has one can be asked of each."""
    if value is None and op in ("=", "!="):
        return value
    if key == NESTED and (op, value) not in _OF_ROOTS:
        raise NotUnderstood(f"q: {key} {op} {given.group().strip()}: expected < 0 or >= 0")
    words = {"status": STATUSES, "kind": KINDS}.get(key, ())
    is_right = (
        value in words if words
        else isinstance(value, str) if key in ("name", "service")
        else isinstance(value, int | float) and not isinstance(value, bool)
    )  # fmt: skip
    if not is_right or (words and op not in ("=", "!=")) or (key == "duration" and "~" in op):
        hint = f"= or != one of {', '.join(words)}" if words else "a string or a duration like 1.5s"
        raise NotUnderstood(f"q: {key} {op} {given.group().strip()}: expected {hint}")
    return value


def _unquoted(text: str) -> str:
    inner = text[1:-1]
    return inner if text.startswith("`") else _ESCAPED.sub(r"\1", inner)


def _pattern(text: str) -> Any:
    try:
        return re2.compile(text)
    except re2.error as exc:
        raise NotUnderstood(f"q: {text[:80]!r} is no regular expression: {exc}") from exc


def _compares(op: str, value: Any, wanted: Any) -> bool:
    if op in ("=~", "!~"):
        return isinstance(value, str) and bool(wanted.fullmatch(value)) == (op == "=~")
    if wanted is None:
        return (value is None) == (op == "=") and op in ("=", "!=")
    if isinstance(value, bool) != isinstance(wanted, bool) and not isinstance(wanted, str):
        return False
    if isinstance(wanted, int | float) and not isinstance(value, int | float):
        return False
    if isinstance(wanted, str):
        value = text_of(value)
    return _COMPARED[op](value, wanted)
