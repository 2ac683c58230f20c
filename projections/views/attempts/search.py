"""Searching attempts by words: `status:failed (executor:w1 OR model:large*) NOT "card declined"`.

A word stands for all attempts that say it somewhere: in task, run, error, executor or another of
the texts that a record has. `field:word` looks in one field, `*` at its end takes any ending,
quotes keep spaces together, and `duration>2s` or `attempt>=2` compare. Terms that stand side by
side must all hold; `AND`, `OR`, `NOT` and brackets say otherwise. Case does not count.

`key:value` with a dot in the key, or `@key:value`, is an attribute of the attempt's span, its
resource, scope, events or links, as it was sent: as a whole, and case counts.
"""

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

from events.errors import BadInput
from events.times import SECOND_NS
from projections.query.refusals import BadQuestion
from projections.query.times import parse_seconds
from projections.runs import words

Test = Callable[[Any], bool]
Reading = Callable[[Any, str], Any]
FIELDS: Final = {
    "task": ("task_id", "task_name"),
    "run": ("run_id",),
    "group": ("group_id",),
    "status": ("status",),
    "error": ("error_type", "error_message"),
    "type": ("error_type",),
    "message": ("error_message",),
    "category": ("category",),
    "severity": ("severity",),
    "fingerprint": ("fingerprint",),
    "executor": ("executor",),
    "tool": ("tool",),
    "model": ("model",),
    "planner": ("planner",),
    "host": ("host",),
    "queue": ("queue",),
    "component": ("component",),
    "environment": ("environment",),
    "system": ("system",),
    "rule": ("rule",),
    "trace": ("trace_id",),
}
"""What `field:` may be, and the fields of a row that it looks in."""
MEASURES: Final = ("duration", "attempt")
_ANYWHERE: Final = tuple(dict.fromkeys(name for names in FIELDS.values() for name in names))
_COMPARED: Final = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq,
}  # fmt: skip
_TOKEN = re.compile(r'\s*(\(|\)|(?:@?[A-Za-z_][\w./-]*[:=])?"(?:[^"\\]|\\.)*"|[^\s()"]+|")')
_MEASURE = re.compile(rf"({'|'.join(MEASURES)})(>=|<=|>|<|=)(.+)", re.IGNORECASE)
_FIELD = re.compile(r"([A-Za-z_]+):(.+)", re.DOTALL)
_ATTRIBUTE = re.compile(r"(?:@([\w./-]+)|([A-Za-z_][\w/-]*\.[\w./-]+))[:=](.+)", re.DOTALL)
_MOST_TERMS: Final = 64
_DEEPEST: Final = 16


class Said(NamedTuple):
    """That one of some fields says a word: as a whole, as its beginning, or anywhere in it."""

    names: Sequence[str]
    word: str
    how: Literal["whole", "beginning", "anywhere"]

    def fits(self, value: Any) -> bool:
        """Whether a field's value does; None never."""
        if value is None:
            return False
        text = str(value).lower()
        if self.how == "whole":
            return text == self.word
        return text.startswith(self.word) if self.how == "beginning" else self.word in text


class Measured(NamedTuple):
    """How one of `MEASURES` compares with a number; durations in ns."""

    name: str
    sign: str
    wanted: float

    def fits(self, value: Any) -> bool:
        """Whether it does; what is not known never."""
        return value is not None and bool(_COMPARED[self.sign](value, self.wanted))


class Attribute(NamedTuple):
    """That the event of an attempt says an attribute."""

    key: str
    value: str


class Not(NamedTuple):
    """That something does not hold."""

    of: "Node"


class AllOf(NamedTuple):
    """That all of several hold."""

    of: Sequence["Node"]


class OneOf(NamedTuple):
    """That one of several holds."""

    of: Sequence["Node"]


Node = Said | Measured | Attribute | Not | AllOf | OneOf


def search(text: str, reading: Reading, says: "Says | None" = None) -> Test:
    """The test that attempts must pass; see `parsed` and `as_test`."""
    return as_test(parsed(text), reading, says)


def parsed(text: str) -> Node:
    """What a search asks for.

    Raises:
        BadQuestion: the text is no search; it says what is wrong and where.
    """
    try:
        return _Parser(_tokens(text)).whole()
    except BadInput as exc:
        raise BadQuestion([("search", str(exc))]) from exc


def as_test(node: Node, reading: Reading, says: "Says | None" = None) -> Test:
    """The test that attempts must pass.

    Args:
        reading: gives a row's value by the name of a field, one of those in `FIELDS` and
            `MEASURES`; durations in ns.
        says: whether a row's event says an attribute; None: none does.
    """
    match node:
        case Said():
            return lambda row: any(node.fits(reading(row, name)) for name in node.names)
        case Measured():
            return lambda row: node.fits(reading(row, node.name))
        case Attribute():
            return lambda row: says is not None and says(row, node)
        case Not():
            test = as_test(node.of, reading, says)
            return lambda row: not test(row)
        case AllOf() | OneOf():
            tests = [as_test(each, reading, says) for each in node.of]
            holds = all if isinstance(node, AllOf) else any
            return lambda row: holds(test(row) for test in tests)


Says = Callable[[Any, Attribute], bool]


def required(node: Node) -> list[Attribute]:
    """Attributes that every attempt has which passes."""
    terms = node.of if isinstance(node, AllOf) else (node,)
    return [term for term in terms if isinstance(term, Attribute)]


def _tokens(text: str) -> list[str]:
    found = _TOKEN.findall(text)
    if len(found) > _MOST_TERMS:
        raise BadInput(f"more than {_MOST_TERMS} words and signs")
    if '"' in found:
        raise BadInput("a quotation mark is not closed")
    return found


class _Parser:
    """Reads tokens from left to right: OR binds least, NOT most."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        """All of it."""
        if not self._tokens:
            raise BadInput("nothing to search for")
        node = self._any()
        if self._at < len(self._tokens):
            raise BadInput(f"a bracket is closed that was not opened, at word {self._at + 1}")
        return node

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _any(self) -> Node:
        found = [self._all()]
        while self._next() == "OR":
            self._at += 1
            found.append(self._all())
        return found[0] if len(found) == 1 else OneOf(found)

    def _all(self) -> Node:
        found = [self._one()]
        while self._next() not in ("", "OR", ")"):
            self._at += self._next() == "AND"
            found.append(self._one())
        return found[0] if len(found) == 1 else AllOf(found)

    def _one(self) -> Node:
        token = self._next()
        self._at += 1
        if token in ("", "AND", "OR", ")"):
            raise BadInput(f"a word is missing at place {self._at}")
        if token == "NOT":
            return Not(self._one())
        if token == "(":
            return self._bracket()
        return self._term(token)

    def _bracket(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadInput(f"brackets are nested more than {_DEEPEST} deep")
        node = self._any()
        if self._next() != ")":
            raise BadInput("a bracket is not closed")
        self._at += 1
        self._depth -= 1
        return node

    def _term(self, token: str) -> Node:
        measure = _MEASURE.fullmatch(token)
        if measure is not None:
            return self._measured(*measure.groups())
        attribute = _ATTRIBUTE.fullmatch(token)
        if attribute is not None:
            return Attribute(attribute[1] or attribute[2], _unquoted(attribute[3]))
        field = _FIELD.fullmatch(token)
        if field is None:
            return self._said(_ANYWHERE, _unquoted(token), whole=False)
        name = field[1].lower()
        if name not in FIELDS:
            known = ", ".join((*FIELDS, *MEASURES))
            raise BadInput(
                f"{field[1]!r} is no field; known here: {known}; an attribute is @{field[1]}:…"
            )
        return self._said(FIELDS[name], _unquoted(field[2]), whole=name not in _TEXTS)

    def _said(self, names: Sequence[str], word: str, *, whole: bool) -> Node:
        """A word in any of these fields: all of it, its beginning before `*`, or anywhere in it."""
        sought = word.lower()
        if sought.endswith("*") and len(sought) > 1:
            return Said(names, sought[:-1], "beginning")
        return Said(names, sought, "whole" if whole else "anywhere")

    def _measured(self, name: str, sign: str, text: str) -> Node:
        measure = name.lower()
        if measure == "duration":
            wanted = float(parse_seconds("duration", text) * SECOND_NS)
        elif text.isascii() and text.isdigit():
            wanted = min(float(text), float(words.NUMBER_LIMIT))  # above all that there are
        else:
            raise BadInput(f"{measure}{sign} needs a whole number, not {text!r}")
        return Measured(measure, sign, wanted)


_TEXTS: Final = ("error", "message", "type")
"""Fields in which a word is looked for anywhere, not as the whole."""


def _unquoted(word: str) -> str:
    if len(word) > 1 and word[0] == word[-1] == '"':
        return re.sub(r"\\(.)", r"\1", word[1:-1])
    return word
