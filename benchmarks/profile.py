"""Where the projector's time goes: µs an event of every part, table and index.

The log is folded as in live folding, into a views file with its indexes, through a connection
that times each statement; what is left of a part's time is its Python. What an index costs is
measured alone: the rows of its table go into a new file with it, page by page, and without.
"""

import inspect
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from benchmarks import ledger
from benchmarks.figures import Figure
from benchmarks.running import scratch
from events.log.port import LogReader
from events.log.reader import open_reader
from projections import generation
from projections.assembly import make_folds
from projections.attributes import Extractor
from projections.feeding import PAGE_EVENTS
from projections.pages import Pager
from projections.port import Fold
from projections.registry.runs import RunStage
from projections.view import ParkAll, View

_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+(\w+)", re.IGNORECASE)
_WRITES: Final = ("INSERT", "UPDATE", "DELETE", "REPLACE")

Spent = defaultdict[str, float]


class TimedConnection:
    """A connection that adds up processor time by table and by read or write."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._places: dict[str, str] = {}
        self.spent_s: Spent = defaultdict(float)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        """Rows are fetched at once, so that their time counts."""
        return self._timed(sql, lambda: _Rows(self._connection.execute(sql, *values)))

    def executemany(self, sql: str, values: Any) -> Any:
        """The values are made first: what makes them is not the table's."""
        held = list(values)
        return self._timed(sql, lambda: self._connection.executemany(sql, held))

    def _timed(self, sql: str, call: Callable[[], Any]) -> Any:
        started_s = time.thread_time()
        try:
            return call()
        finally:
            place = self._places.get(sql) or self._places.setdefault(sql, _place(sql))
            self.spent_s[place] += time.thread_time() - started_s


class _Rows:
    """A cursor whose rows were all fetched."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self._rows = iter(cursor.fetchall())

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def _place(sql: str) -> str:
    words = sql.split(None, 1)
    verb = words[0].upper()
    if verb in ("COMMIT", "BEGIN", "SAVEPOINT", "RELEASE"):
        return "COMMIT" if verb == "COMMIT" else "transactions"
    found = _TABLE.search(sql)
    kind = "write" if any(word in sql.upper().split() for word in _WRITES) else "read"
    return f"{found[1] if found else verb.lower()}, {kind}"


def run(quick: bool) -> list[Figure]:
    """One profile a load."""
    events = 100_000 if quick else 400_000
    return [figure for load in ("mixed", "attempts") for figure in _profile(load, events)]


def _profile(load: str, events: int) -> list[Figure]:
    with scratch() as data:
        ledger.grow(data, load, events)
        path = data / "views-1.db"
        with closing(open_reader(data)) as reader:
            parts = _fold(path, reader)
        with closing(sqlite3.connect(path)) as views:
            indexes = _indexes(views, data)

    def figure(name: str, seconds: float) -> Figure:
        return Figure(
            name=name, value=seconds / events * 1e6, unit="µs/event", roles="projector",
            cores="1 of 2", load=f"{load}, {events:,} events",
        )  # fmt: skip

    whole = figure("projector", sum(parts.values()))
    return [whole, *(figure(f"  {n}", s) for n, s in _ranked(parts)),
            *(figure(f"  index {n}", s) for n, s in _ranked(indexes))]  # fmt: skip


def _ranked(spent_s: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(spent_s.items(), key=lambda item: -item[1])


def _fold(path: Path, reader: LogReader) -> dict[str, float]:
    """Fold the whole log; seconds by statement, and what is left for Python."""
    connection = TimedConnection(generation.connect(path))
    held: Any = connection
    folds = make_folds(None)
    python_s = _time_parts(folds, connection)
    view = View.create(path, held, folds, reader, number=1, indexed=True)
    connection.spent_s.clear()
    pager, parking, reading_s = Pager(reader, 0, PAGE_EVENTS), ParkAll(), 0.0
    started_s = time.thread_time()
    while True:
        before_s = time.thread_time()
        page = pager.read(view.position(0))
        reading_s += time.thread_time() - before_s
        if not page.count:
            break
        view.apply(page, parking)
        view.keep_small()
    whole_s = time.thread_time() - started_s
    view.close()
    known = dict(connection.spent_s) | python_s | {"log, read": reading_s}
    return known | {"Python elsewhere": whole_s - sum(known.values())}


def _time_parts(folds: Sequence[Fold], connection: TimedConnection) -> Spent:
    """Make each part of the folds add up the processor time that it needs beside its SQL."""
    spent_s: Spent = defaultdict(float)

    def beside_sql_s() -> float:
        return time.thread_time() - sum(connection.spent_s.values())

    def timed_steps(steps: Iterator[Any], label: str) -> Iterator[Any]:
        while True:
            started_s = beside_sql_s()
            try:
                step = next(steps)
            except StopIteration:
                return
            finally:
                spent_s[f"Python of {label}"] += beside_sql_s() - started_s
            yield step

    def timed(owner: Any, name: str, label: str) -> None:
        call = getattr(owner, name)

        def timing(*values: Any) -> Any:
            started_s = beside_sql_s()
            try:
                found = call(*values)
                return timed_steps(found, label) if inspect.isgenerator(found) else found
            finally:
                spent_s[f"Python of {label}"] += beside_sql_s() - started_s

        setattr(owner, name, timing)

    timed(Extractor, "extract", "extraction")
    timed(RunStage, "apply", "facts")
    for fold in folds:
        for projection in fold.projections:
            for name in ("update", "apply"):
                if hasattr(projection, name):
                    timed(projection, name, projection.name)
    return spent_s


def _indexes(views: sqlite3.Connection, folder: Path) -> dict[str, float]:
    """What each secondary index adds to inserting its table's rows in their order."""
    tables = dict(views.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    found = views.execute(
        "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    alone = {t: _insert(views, folder, t, tables[t], "") for t in {table for _, table, _ in found}}
    return {
        name: max(_insert(views, folder, table, tables[table], sql) - alone[table], 0.0)
        for name, table, sql in found
    }


def _insert(views: sqlite3.Connection, folder: Path, table: str, sql: str, index: str) -> float:
    path = folder / "index.db"
    generation.remove_file(path)
    rows = views.execute(f"SELECT * FROM {table}")
    marks = ", ".join("?" * len(rows.description))
    spent_s = 0.0
    with closing(generation.connect(path)) as target:
        target.execute(sql)
        if index:
            target.execute(index)
        while page := rows.fetchmany(PAGE_EVENTS):
            started_s = time.thread_time()
            target.execute("BEGIN")
            target.executemany(f"INSERT INTO {table} VALUES ({marks})", page)
            target.execute("COMMIT")
            spent_s += time.thread_time() - started_s
    return spent_s
