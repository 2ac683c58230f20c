"""A search as a condition on the columns of table `attempt`, so that few rows are read in vain.

What a row only points to (sources, errors, executors, tasks) is looked through once, and becomes
a set of numbers; texts that every attempt has of its own are read where nothing cheaper decides.
A condition lets through all that the search finds, and perhaps more: a field of which there are
too many values to look through lets everything pass. The rows are tested afterwards.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from projections.query.inquiry import Inquiry
from projections.query.listing import Sieve
from projections.runs import words
from projections.views.attempts.search import (
    FIELDS,
    AllOf,
    Attribute,
    Measured,
    Node,
    Not,
    OneOf,
    Said,
)

_MOST: Final = 5_000
"""Values of one field that are looked through."""
_MOST_SOURCES: Final = 50_000
_FEW: Final = 16
"""Ranges of an index that are merged."""
_SOURCE: Final = (
    "queue", "tool", "model", "planner", "host", "component", "environment", "system", "rule",
)  # fmt: skip
_OF_ERROR: Final = ("error_type", "category", "severity")
_OWN: Final = {
    "run_id": ("run_id", "run_key WHERE run_no = attempt_key >> 20"),
    "group_id": ("group_id", "run WHERE run_no = attempt_key >> 20"),
    "error_message": ("text", "message WHERE message.message_no = attempt.message_no"),
}
"""Texts that every attempt has of its own: the column, and where it stands."""
_MEASURED: Final = {
    "duration": "ended_ns - started_ns", "attempt": f"attempt_key & {words.NUMBER_LIMIT}",
}  # fmt: skip
_HEX: Final = frozenset("0123456789abcdef")


class _Condition(NamedTuple):
    """SQL on a row of `attempt`, and whether it holds for nothing else than what is meant."""

    sql: str
    is_exact: bool = True


_ANYTHING: Final = _Condition("1", is_exact=False)


class Sieving:
    """Makes conditions for the attempts of the tenant that asks."""

    def __init__(self, inquiry: Inquiry) -> None:
        self._connection = inquiry.connection
        self._tenant_no = inquiry.tenant_no
        self._verdicts = inquiry.verdicts
        self._lacks_tasks = "task_name" in inquiry.seen.behind
        self._fits: list[Callable[[Any], bool]] = []

    def of(self, node: Node) -> Sieve:
        """The sieve of a search."""
        sql = self._condition(node).sql
        fits = self._fits

        def says(number: int, value: Any) -> bool:
            return fits[number](value)

        self._connection.create_function("says", 2, says, deterministic=True)
        return Sieve(sql)

    def narrowed(self, node: Node) -> tuple[str, list[int]] | None:
        """The column by which an index finds all that may pass, and its few values; None: there
        is none."""
        terms = node.of if isinstance(node, AllOf) else (node,)
        by_field = {term.names: term for term in terms if isinstance(term, Said)}
        for field, find in (("task", self._task_numbers), ("executor", self._executor_numbers),
                            ("status", _status_numbers)):  # fmt: skip
            said = by_field.get(FIELDS[field])
            numbers = None if said is None else find(said)
            if numbers is not None and len(numbers) <= _FEW:
                return field, numbers
        return None

    def _condition(self, node: Node) -> _Condition:
        match node:
            case Attribute():
                return _ANYTHING  # the log is not asked within a statement
            case Said():
                return self._said(node)
            case Measured():
                sql = f"{_MEASURED[node.name]} {node.sign} {node.wanted!r}"
                return _Condition(f"coalesce({sql}, 0)")
            case Not():
                of = self._condition(node.of)
                return _Condition(f"NOT ({of.sql})") if of.is_exact else _ANYTHING
            case AllOf():
                return _joined(" AND ", map(self._condition, node.of))
            case OneOf():
                return _joined(" OR ", map(self._condition, node.of))

    def _said(self, said: Said) -> _Condition:
        """One word: what sets of numbers decide goes first, what each row must be read for last."""
        names = said.names
        found: list[_Condition] = []
        if "status" in names:
            found.append(_among("status", _status_numbers(said)))
        if of_source := [name for name in _SOURCE if name in names]:
            found.append(self._source(said, of_source))
        if "executor" in names:
            found.append(_among("executor_no", self._executor_numbers(said)))
        if of_error := [name for name in (*_OF_ERROR, "fingerprint") if name in names]:
            found.append(self._errors(said, of_error))
        if "task_id" in names:
            found.append(_among("task_no", self._task_numbers(said)))
        if any(not condition.is_exact for condition in found):
            return _ANYTHING
        if "trace_id" in names and _HEX.issuperset(said.word):
            found.append(_Condition(_compared("lower(hex(trace_id))", said)))
        found += [self._own(said, *_OWN[name]) for name in _OWN if name in names]
        return _joined(" OR ", found)

    def _own(self, said: Said, column: str, place: str) -> _Condition:
        """A text of each attempt; SQLite compares what is ASCII as Python does, but ten times as
        fast."""
        self._fits.append(said.fits)
        test = f"says({len(self._fits) - 1}, {column})"
        if said.word.isascii():
            is_ascii = f"length(CAST({column} AS BLOB)) = length({column})"
            quick = _compared(f"lower({column})", said)
            test = f"CASE WHEN {is_ascii} THEN {quick} ELSE {test} END"
        return _Condition(f"coalesce((SELECT {test} FROM {place}), 0)")

    def _source(self, said: Said, names: Sequence[str]) -> _Condition:
        """Where an attempt ran: there are few values, but many combinations of them."""
        among = f"SELECT count(*) FROM (SELECT 1 FROM source LIMIT {_MOST_SOURCES + 1})"
        if self._connection.execute(among).fetchone()[0] > _MOST_SOURCES:
            return _ANYTHING
        parts = []
        for name in names:
            select = f"SELECT DISTINCT {name} FROM source WHERE tenant_no = ? LIMIT {_MOST + 1}"
            values = [v for (v,) in self._connection.execute(select, (self._tenant_no,))]
            if len(values) > _MOST:
                return _ANYTHING
            if fitting := [_quoted(value) for value in values if said.fits(value)]:
                parts.append(f"{name} IN ({', '.join(fitting)})")
        if not parts:
            return _Condition("0")
        where = f"tenant_no = {self._tenant_no} AND ({' OR '.join(parts)})"
        return _Condition(f"source_no IN (SELECT source_no FROM source WHERE {where})")

    def _executor_numbers(self, said: Said) -> list[int] | None:
        select = f"SELECT executor_no, executor FROM executor WHERE tenant_no = ? LIMIT {_MOST + 1}"
        rows = self._connection.execute(select, (self._tenant_no,)).fetchall()
        if len(rows) > _MOST:
            return None
        return [number for number, text in rows if said.fits(text)]

    def _errors(self, said: Said, names: Sequence[str]) -> _Condition:
        select = (
            "SELECT error_no, content, fingerprint FROM fingerprint JOIN signature"
            " ON error_no BETWEEN fingerprint_no << 16 AND (fingerprint_no << 16) + 65535"
            f" WHERE tenant_no = ? LIMIT {_MOST + 1}"
        )
        rows = self._connection.execute(select, (self._tenant_no,)).fetchall()
        if len(rows) > _MOST:
            return _ANYTHING
        told = (
            (error_no, [self._of_error(name, content, fingerprint) for name in names])
            for error_no, content, fingerprint in rows
        )
        return _among("error_no", [n for n, values in told if any(map(said.fits, values))])

    def _of_error(self, name: str, content: bytes, fingerprint: str) -> Any:
        if name == "fingerprint":
            return fingerprint
        verdict, type_ = self._verdicts.of(content)
        return type_ if name == "error_type" else getattr(verdict, name)

    def _task_numbers(self, said: Said) -> list[int] | None:
        select = (
            "SELECT task_no, task_id, name FROM task JOIN task_key USING (task_no)"
            f" WHERE task.tenant_no = ? LIMIT {_MOST + 1}"
        )
        rows = self._connection.execute(select, (self._tenant_no,)).fetchall()
        if len(rows) > _MOST or self._lacks_tasks:
            return None
        return [number for number, *texts in rows if any(map(said.fits, texts))]


def _status_numbers(said: Said) -> list[int]:
    return [number for number, word in enumerate(words.STATUS_WORDS) if said.fits(word)]


def _compared(text: str, said: Said) -> str:
    """How a text in small letters is compared, where both are ASCII."""
    word = _quoted(said.word)
    if said.how == "whole":
        return f"{text} = {word}"
    if said.how == "beginning":
        return f"substr({text}, 1, {len(said.word)}) = {word}"
    return f"instr({text}, {word}) > 0"


def _among(column: str, numbers: Sequence[int] | None) -> _Condition:
    """That a column is one of some numbers; `+`: it is no reason to read another index."""
    if numbers is None:
        return _ANYTHING
    listed = ", ".join(map(str, numbers))
    return _Condition(f"coalesce(+{column} IN ({listed}), 0)" if listed else "0")


def _joined(word: str, conditions: Iterable[_Condition]) -> _Condition:
    found = list(conditions)
    if not found:
        return _Condition("0")
    sql = word.join(f"({condition.sql})" for condition in found)
    return _Condition(sql, all(condition.is_exact for condition in found))


def _quoted(text: str) -> str:
    """A text as SQL, whatever characters it has."""
    return f"CAST(X'{text.encode().hex()}' AS TEXT)"
