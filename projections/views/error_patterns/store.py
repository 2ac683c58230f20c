"""Tables of error patterns: occurrences by difference, and what is counted over them.

First and last seen are read from the occurrences that are left.
"""

import sqlite3
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from projections.runs import words
from projections.runs.attempt import Attempt
from projections.runs.changes import Change, Changes
from projections.runs.scopes import HOUR_NS, Sources
from projections.runs.summary import Run
from projections.runs.words import NUMBER_BITS
from projections.storage.columns import Bound, Columns
from projections.views.store import Store

_Part = TypeVar("_Part", int, str)
_Deltas = dict[tuple[int, _Part], int]
_Key = tuple[int, int, int]


class Occurrence(NamedTuple):
    """A row of table `error_occurrence`; the first three columns are its key."""

    fingerprint_no: int
    seen_ns: int
    attempt_key: int
    message_no: int | None


class PatternRow(NamedTuple):
    """A row of table `error_pattern`."""

    fingerprint_no: int
    tenant_no: int
    occurrences: int
    recovered: int
    unrecovered: int
    runs_lost: int
    tasks: int
    components: int
    first_seen_ns: int
    last_seen_ns: int


OCCURRENCES = Columns("error_occurrence", Occurrence, "INSERT OR REPLACE")
PATTERNS = Columns("error_pattern", PatternRow)
_occurrence = OCCURRENCES.binder()
_key_of = OCCURRENCES.picker("fingerprint_no", "seen_ns", "attempt_key")


@dataclass(slots=True)
class _Pattern:
    """How much a fingerprint's counters change."""

    tenant_no: int
    occurrences: int = 0
    recovered: int = 0
    runs_lost: int = 0
    tasks: int = 0
    components: int = 0


_pattern_row = PATTERNS.binder(_Pattern)
_ADD_TO_PATTERN = (
    PATTERNS.insert + " ON CONFLICT DO UPDATE SET"
    " occurrences = occurrences + excluded.occurrences,"
    " recovered = recovered + excluded.recovered,"
    " unrecovered = unrecovered + excluded.unrecovered,"
    " runs_lost = runs_lost + excluded.runs_lost,"
    " tasks = tasks + excluded.tasks, components = components + excluded.components,"
    " first_seen_ns = excluded.first_seen_ns, last_seen_ns = excluded.last_seen_ns"
)


class _Kept:
    """What the parts of a page change, until it ends."""

    __slots__ = ("components", "hours", "new_tasks", "patterns", "rows", "tasks")

    def __init__(self) -> None:
        self.rows: dict[_Key, Bound | None] = {}  # None: to be deleted
        self.patterns: dict[int, _Pattern] = {}
        self.tasks: _Deltas[int] = {}
        self.components: _Deltas[str] = {}
        self.hours: _Deltas[int] = {}
        self.new_tasks: set[int] = set()


class ErrorStore(Store):
    """Writes error patterns."""

    name = "error_patterns"
    version = 5
    tables = (
        "error_pattern", "error_occurrence", "error_hour", "error_task", "error_component",
    )  # fmt: skip

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._kept = _Kept()

    def forget(self) -> None:
        """See `Store.forget`."""
        self._kept = _Kept()

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """Keep the difference: a pattern changes many times a page and is written once."""
        kept = self._kept
        for change in changes:
            self._count(change, change.old, change.gone, -1)
            self._count(change, change.new, change.came, 1)
            self._lost(change, change.old, -1)
            self._lost(change, change.new, 1)
            if change.rest is not None and change.new is not None:
                sign = 1 if change.new.completed else -1
                for error_no, count in change.rest.failures:
                    number = error_no >> words.SIGNATURE_BITS
                    self._pattern(number, change.tenant_no).recovered += sign * count
            if change.new_task and change.came:
                kept.new_tasks.add(change.task_no)

    def _count(
        self, change: Change, run: Run | None, attempts: Sequence[Attempt], sign: int
    ) -> None:
        """Count the failures among some attempts of a run."""
        kept = self._kept
        recovered = sign if run is not None and run.completed else 0
        for attempt in attempts:
            if attempt.error_no is None or attempt.status not in words.FAILURES:
                continue
            number = attempt.error_no >> words.SIGNATURE_BITS
            seen_ns = attempt.started_ns if attempt.ended_ns is None else attempt.ended_ns
            row = _occurrence(
                fingerprint_no=number,
                seen_ns=seen_ns,
                attempt_key=change.run_no << NUMBER_BITS | attempt.number,
                message_no=attempt.message_no,
            )
            kept.rows[_key_of(row)] = None if sign < 0 else row
            pattern = self._pattern(number, change.tenant_no)
            pattern.occurrences += sign
            pattern.recovered += recovered
            component = self._sources.source_parts(attempt.source_no)[1] or ""
            _add(kept.tasks, (number, change.task_no), sign)
            _add(kept.components, (number, component), sign)
            _add(kept.hours, (number, seen_ns // HOUR_NS), sign)

    def _lost(self, change: Change, run: Run | None, sign: int) -> None:
        """Count a run that ended in failure with the pattern of its newest one."""
        if run is not None and run.status in words.FAILURES and run.error_no is not None:
            number = run.error_no >> words.SIGNATURE_BITS
            self._pattern(number, change.tenant_no).runs_lost += sign

    def _pattern(self, number: int, tenant_no: int) -> _Pattern:
        pattern = self._kept.patterns.get(number)
        if pattern is None:
            pattern = self._kept.patterns[number] = _Pattern(tenant_no)
        return pattern

    def flush(self, connection: sqlite3.Connection) -> None:
        """See `Store.flush`."""
        kept, self._kept = self._kept, _Kept()
        connection.executemany(
            "DELETE FROM error_occurrence WHERE fingerprint_no = ? AND seen_ns = ?"
            " AND attempt_key = ?",
            sorted(key for key, row in kept.rows.items() if row is None),
        )
        connection.executemany(OCCURRENCES.insert, sorted(filter(None, kept.rows.values())))
        patterns = kept.patterns
        for number, change in _recount(connection, _TASK, kept.tasks, kept.new_tasks):
            patterns[number].tasks += change
        for number, change in _recount(connection, _COMPONENT, kept.components, ()):
            patterns[number].components += change
        list(_recount(connection, _HOUR, kept.hours, ()))
        for number in sorted(patterns):
            _write_pattern(connection, number, patterns[number])


class _Touched(NamedTuple):
    """The statements of a table that counts what a fingerprint touches."""

    select: str
    write: str
    delete: str


_TASK = _Touched(
    "SELECT occurrences FROM error_task WHERE fingerprint_no = ? AND task_no = ?",
    "INSERT INTO error_task (fingerprint_no, task_no, occurrences) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET occurrences = excluded.occurrences",
    "DELETE FROM error_task WHERE fingerprint_no = ? AND task_no = ?",
)
_HOUR = _Touched(
    "SELECT occurrences FROM error_hour WHERE fingerprint_no = ? AND hour = ?",
    "INSERT INTO error_hour (fingerprint_no, hour, occurrences) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET occurrences = excluded.occurrences",
    "DELETE FROM error_hour WHERE fingerprint_no = ? AND hour = ?",
)
_COMPONENT = _Touched(
    "SELECT occurrences FROM error_component WHERE fingerprint_no = ? AND component = ?",
    "INSERT INTO error_component (fingerprint_no, component, occurrences) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET occurrences = excluded.occurrences",
    "DELETE FROM error_component WHERE fingerprint_no = ? AND component = ?",
)


def _add(deltas: _Deltas[_Part], key: tuple[int, _Part], count: int) -> None:
    deltas[key] = deltas.get(key, 0) + count


def _recount(
    connection: sqlite3.Connection,
    touched: _Touched,
    deltas: _Deltas[_Part],
    new: Container[_Part],
) -> Iterator[tuple[int, int]]:
    """Change the counts; yields (fingerprint, +1 or -1) where one appeared or went.

    `new` are those that no row can mention yet.
    """
    written: list[tuple[int, _Part, int]] = []
    deleted: list[tuple[int, _Part]] = []
    key: tuple[int, _Part]
    for key, delta in sorted(deltas.items()):
        if delta == 0:
            continue
        row = None if key[1] in new else connection.execute(touched.select, key).fetchone()
        before = 0 if row is None else row[0]
        after = before + delta
        if after:
            written.append((key[0], key[1], after))
        else:
            deleted.append(key)
        if bool(before) != bool(after):
            yield key[0], 1 if after else -1
    connection.executemany(touched.write, written)
    connection.executemany(touched.delete, deleted)


def _write_pattern(connection: sqlite3.Connection, number: int, change: _Pattern) -> None:
    # Each for itself: SQLite finds either end of an index, but not both in one statement.
    first, last = (
        connection.execute(
            f"SELECT {end}(seen_ns) FROM error_occurrence WHERE fingerprint_no = ?", (number,)
        ).fetchone()[0]
        for end in ("min", "max")
    )
    if first is None:
        connection.execute("DELETE FROM error_pattern WHERE fingerprint_no = ?", (number,))
        return
    connection.execute(
        _ADD_TO_PATTERN,
        _pattern_row(
            change,
            fingerprint_no=number,
            unrecovered=change.occurrences - change.recovered,
            first_seen_ns=first,
            last_seen_ns=last,
        ),
    )
