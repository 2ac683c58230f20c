"""What a search looks at in rows of attempts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from projections.errors.verdicts import Verdicts
from projections.query.rows import Key, R, Rows
from projections.runs import words
from projections.views.attempts.search import Test


def reading(verdicts: Verdicts) -> Callable[[Any, str], Any]:
    """Gives the value of a row by the names that `projections.views.attempts.search` knows."""

    def of_error(row: Any, name: str) -> Any:
        if row.signature is None:
            return None
        verdict, type_ = verdicts.of(row.signature)
        return type_ if name == "error_type" else getattr(verdict, name)

    derived: dict[str, Callable[[Any], Any]] = {
        "status": lambda row: words.STATUS_WORDS[row.status],
        "attempt": lambda row: row.attempt_key & words.NUMBER_LIMIT,
        "duration": lambda row: None if row.ended_ns is None else row.ended_ns - row.started_ns,
        "trace_id": lambda row: row.trace_id.hex(),
        "error_type": lambda row: of_error(row, "error_type"),
        "category": lambda row: of_error(row, "category"),
        "severity": lambda row: of_error(row, "severity"),
    }

    def read(row: Any, name: str) -> Any:
        return derived[name](row) if name in derived else getattr(row, name)

    return read


def passing(rows: Rows[R], test: Test) -> Rows[R]:
    """Only the rows that pass a test."""

    def passed(keys: Sequence[Key]) -> Mapping[Key, R]:
        return {key: row for key, row in rows(keys).items() if test(row)}

    return passed
