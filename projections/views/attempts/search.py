"""Searching attempts by words: `status:failed (executor:w1 OR model:large*) NOT "card declined"`.

A word stands for all attempts that say it somewhere: in task, run, error, executor or another of
the texts that a record has. `field:word` looks in one field, `*` at its end takes any ending,
quotes keep spaces together, and `duration>2s` or `attempt>=2` compare. Terms that stand side by
side must all hold; `AND`, `OR`, `NOT` and brackets say otherwise. Case does not count.
"""

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from events.errors import BadInput
from events.times import SECOND_NS
from projections.query.refusals import BadQuestion
from projections.query.times import parse_seconds

Test = Callable[[Any], bool]
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
_TOKEN = re.compile(r'\s*(\(|\)|(?:[A-Za-z_]+:)?"(?:[^"\\]|\\.)*"|[^\s()"]+|")')
_MEASURE = re.compile(rf"({'|'.join(MEASURES)})(>=|<=|>|<|=)(.+)", re.IGNORECASE)
_FIELD = re.compile(r"([A-Za-z_]+):(.+)", re.DOTALL)
_MOST_TERMS: Final = 64
_DEEPEST: Final = 16


def search(text: str, reading: Callable[[Any, str], Any]) -> Test:
    """The test that attempts must pass.

    Args:
        reading: gives a row's value by the name of a field, one of those in `FIELDS` and
            `MEASURES`; durations in ns.

    Raises:
        BadQuestion: the text is no search; it says what is wrong and where.
    """
    try:
        return _Parser(_tokens(text), reading).whole()
    except BadInput as exc:
        raise BadQuestion([("search", str(exc))]) from exc


def _tokens(text: str) -> list[str]:
    found = _TOKEN.findall(text)
    if len(found) > _MOST_TERMS:
        raise BadInput(f"more than {_MOST_TERMS} words and signs")
    if '"' in found:
        raise BadInput("a quotation mark is not closed")
    return found


class _Parser:
    """Reads tokens from left to right: OR binds least, NOT most."""

    def __init__(self, tokens: Sequence[str], reading: Callable[[Any, str], Any]) -> None:
        self._tokens = tokens
        self._reading = reading
        self._at = 0
        self._depth = 0

    def whole(self) -> Test:
        """All of it."""
        if not self._tokens:
            raise BadInput("nothing to search for")
        test = self._any()
        if self._at < len(self._tokens):
            raise BadInput(f"a bracket is closed that was not opened, at word {self._at + 1}")
        return test

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _any(self) -> Test:
        tests = [self._all()]
        while self._next() == "OR":
            self._at += 1
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._next() not in ("", "OR", ")"):
            self._at += self._next() == "AND"
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        token = self._next()
        self._at += 1
        if token in ("", "AND", "OR", ")"):
            raise BadInput(f"a word is missing at place {self._at}")
        if token == "NOT":
            test = self._one()
            return lambda row: not test(row)
        if token == "(":
            return self._bracket()
        return self._term(token)

    def _bracket(self) -> Test:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadInput(f"brackets are nested more than {_DEEPEST} deep")
        test = self._any()
        if self._next() != ")":
            raise BadInput("a bracket is not closed")
        self._at += 1
        self._depth -= 1
        return test

    def _term(self, token: str) -> Test:
        measure = _MEASURE.fullmatch(token)
        if measure is not None:
            return self._measured(*measure.groups())
        field = _FIELD.fullmatch(token)
        if field is None:
            return self._said(_ANYWHERE, _unquoted(token), whole=False)
        name = field[1].lower()
        if name not in FIELDS:
            known = ", ".join((*FIELDS, *MEASURES))
            raise BadInput(f"{field[1]!r} is no field; known here: {known}")
        return self._said(FIELDS[name], _unquoted(field[2]), whole=name not in _TEXTS)

    def _said(self, names: Sequence[str], word: str, *, whole: bool) -> Test:
        """A word in any of these fields: all of it, its beginning before `*`, or anywhere in it."""
        reading, sought = self._reading, word.lower()
        is_prefix = sought.endswith("*") and len(sought) > 1
        if is_prefix:
            sought = sought[:-1]

        def test(row: Any) -> bool:
            for name in names:
                value = reading(row, name)
                if value is None:
                    continue
                text = str(value).lower()
                if text.startswith(sought) if is_prefix else text == sought if whole else (
                    sought in text
                ):  # fmt: skip
                    return True
            return False

        return test

    def _measured(self, name: str, sign: str, text: str) -> Test:
        reading, measure, compare = self._reading, name.lower(), _COMPARED[sign]
        if measure == "duration":
            wanted = float(parse_seconds("duration", text) * SECOND_NS)
        elif text.isascii() and text.isdigit():
            wanted = float(text)
        else:
            raise BadInput(f"{measure}{sign} needs a whole number, not {text!r}")

        def test(row: Any) -> bool:
            value = reading(row, measure)
            return value is not None and compare(value, wanted)

        return test


_TEXTS: Final = ("error", "message", "type")
"""Fields in which a word is looked for anywhere, not as the whole."""


def _unquoted(word: str) -> str:
    if len(word) > 1 and word[0] == word[-1] == '"':
        return re.sub(r"\\(.)", r"\1", word[1:-1])
    return word
