"""Lists in order, page by page: key ranges merged, rows looked up, the rest filtered in time.

A list is read in two steps. *Strands* are ranges of an index that give keys, which begin with a
time, in the list's order; several are merged. Then the rows of the next keys are looked up, and
only those that pass the other filters are kept. So a list that an index serves costs one page of
look-ups, and any other goes on until its page is full or its time is over; `next` then goes on
from there.

Where few items are wanted, a *sieve* tries a condition on ranges of the strands, one after another,
before any row is looked up. A range is bounded in entries, not in time, so that each is read in
little time however close items lie; where nothing passes, its end is where the next page goes on.
"""

import heapq
import itertools
import sqlite3
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, NamedTuple

from events.errors import Unavailable
from projections.query.rows import Key, R, Rows

HIGHEST: Final = (1 << 63) - 1
LOWEST: Final = -(1 << 63)
_FIRST_SCAN = 128
_WIDEST_SCAN = 8192
_GRACE_S: Final = 1.0
_STEPS_PER_CHECK = 20_000  # of SQLite's virtual machine: about a millisecond
MOST_COUNTED: Final = 100_000
"""Entries of an index that are counted: about 5 ms."""
COUNT_S: Final = 0.02
"""How long rows may be looked at to count them; at least one page of them is."""
_COUNTED_AT_ONCE: Final = 500
_FIRST_RANGE: Final = 2_000
_LARGEST_RANGE: Final = 16_000
"""Entries of each strand that a range has."""


@dataclass(frozen=True, slots=True)
class Order:
    """A direction, and the bounds of the list's time in ns."""

    newest_first: bool = True
    since_ns: int | None = None
    until_ns: int | None = None
    after: Key | None = None


@dataclass(frozen=True, slots=True)
class Strand:
    """A range of one index: `where` fixes its leading columns, then `key` orders it.

    The first column of `key` is the list's time, the others make the key unique. `shown` is what
    is given as the key where that is more than columns: expressions, in the same order.
    """

    table: str
    key: tuple[str, ...]
    where: str
    values: tuple[int | str, ...]
    shown: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many columns its keys have."""
        return len(self.shown or self.key)

    def statement(self, order: Order) -> tuple[str, tuple[int | str, ...]]:
        """The SQL and values that give the strand's keys; names come from our code only."""
        since = LOWEST if order.since_ns is None else order.since_ns
        until = HIGHEST if order.until_ns is None else order.until_ns
        if order.newest_first:
            first, bound, compared, bounded, direction = until, since, "<", ">=", " DESC"
        else:
            first, bound, compared, bounded, direction = since, until, ">", "<", ""
        shown = self.shown or self.key
        start = order.after or (first, *[LOWEST] * (len(shown) - 1))
        columns, places = ", ".join(shown), ", ".join("?" * len(shown))
        sql = (
            f"SELECT {columns} FROM {self.table} WHERE {self.where}"
            f" AND ({columns}) {compared} ({places}) AND {self.key[0]} {bounded} ?"
            f" ORDER BY {', '.join(column + direction for column in self.key)}"
        )
        return sql, (*self.values, *start, bound)


class Part(NamedTuple, Generic[R]):
    """Part of a list: rows in order, the key to go on after (None at the end), and whether the
    time sufficed."""

    rows: list[R]
    after: Key | None
    complete: bool


@dataclass(slots=True)
class Budget:
    """The time that one question may take."""

    seconds: float
    ends: float = field(init=False)

    def __post_init__(self) -> None:
        self.ends = time.monotonic() + self.seconds

    def is_over(self) -> bool:
        return time.monotonic() > self.ends

    def guard(self, connection: sqlite3.Connection) -> None:
        """Let a single statement end (`interrupted`) long after the time is over: a part of a
        search that is under way is worth its end, because the next page would begin there."""
        last = self.ends + max(self.seconds, _GRACE_S)
        connection.set_progress_handler(lambda: time.monotonic() > last, _STEPS_PER_CHECK)


def find(
    connection: sqlite3.Connection,
    strands: Sequence[Strand],
    order: Order,
    rows: Rows[R],
    limit: int,
    budget: Budget,
    *,
    filtered: bool,
) -> Part[R]:
    """The next `limit` rows of the merged strands.

    Args:
        rows: gives the rows of those keys that pass the filters, by key.
        filtered: whether `rows` leaves keys out, so that more of them are looked up at once.
    """
    budget.guard(connection)
    kept: list[tuple[Key, R]] = []
    after: Key | None = None
    scan = max(2 * limit, _FIRST_SCAN) if filtered else limit + 1
    cursors = [connection.execute(*strand.statement(order)) for strand in strands]
    keys: Any = heapq.merge(*cursors, reverse=order.newest_first)  # stepped only as far as taken
    try:
        while True:
            chunk = list(itertools.islice(keys, scan))
            passed = rows(chunk)
            kept += ((key, passed[key]) for key in chunk if key in passed)
            if len(kept) > limit:
                return Part([row for _, row in kept[:limit]], kept[limit - 1][0], True)
            if len(chunk) < scan:
                return Part([row for _, row in kept], None, True)
            after = chunk[-1]
            if budget.is_over():
                break
            mostly = 2 * len(passed) > len(chunk)  # few are left out: look up few in vain
            scan = 2 * (limit + 1 - len(kept)) if mostly else min(scan * 2, _WIDEST_SCAN)
    except sqlite3.OperationalError as exc:
        if not budget.is_over():
            raise  # not by the guard: the file, or what is asked of it
        if after is None:
            raise Unavailable(f"the question took more than {budget.seconds:g} s: {exc}") from exc
    finally:
        keys.close()
        for cursor in cursors:
            cursor.close()
    return Part([row for _, row in kept], after, False)


def count(
    connection: sqlite3.Connection,
    strands: Sequence[Strand],
    order: Order,
    rows: Rows[Any] | None,
) -> tuple[int, bool]:
    """How many items the strands have, and whether these are all.

    Args:
        rows: leaves out what the list's filters do; None where an index serves all of them, and
            then only entries of the index are read, `MOST_COUNTED` of them.
    """
    if rows is not None:
        return _looked_up(connection, strands, order, rows, Budget(COUNT_S))
    found = 0
    for strand in strands:
        sql, values = strand.statement(order)
        counting = f"SELECT count(*) FROM ({sql} LIMIT ?)"
        found += connection.execute(counting, (*values, MOST_COUNTED + 1 - found)).fetchone()[0]
        if found > MOST_COUNTED:
            return MOST_COUNTED, False
    return found, True


def _looked_up(
    connection: sqlite3.Connection,
    strands: Sequence[Strand],
    order: Order,
    rows: Rows[Any],
    budget: Budget,
) -> tuple[int, bool]:
    found = 0
    after = order.after
    while True:
        at = Order(order.newest_first, order.since_ns, order.until_ns, after)
        part = find(connection, strands, at, rows, _COUNTED_AT_ONCE, budget, filtered=True)
        found += len(part.rows)
        after = part.after
        if after is None or budget.is_over():
            return found, after is None


class Sieve(NamedTuple):
    """A condition on the rows of a strand's table, as SQL made by us."""

    sql: str


def sift(
    connection: sqlite3.Connection,
    strands: Sequence[Strand],
    sieve: Sieve,
    order: Order,
    rows: Rows[R],
    limit: int,
    budget: Budget,
) -> Part[R]:
    """The next `limit` rows of the merged strands that pass a sieve, and then `rows`.

    Args:
        rows: gives the rows of those keys that pass, by key.
    """
    budget.guard(connection)
    kept: list[tuple[Key, R]] = []
    after: Key | None = None
    entries = _FIRST_RANGE
    try:
        while True:
            end = _end(connection, strands, order, entries)
            with closing(_passing(connection, strands, sieve, _until(order, end))) as keys:
                while chunk := list(itertools.islice(keys, limit + 1)):
                    passed = rows(chunk)
                    kept += ((key, passed[key]) for key in chunk if key in passed)
                    if len(kept) > limit:
                        return Part([row for _, row in kept[:limit]], kept[limit - 1][0], True)
            if end is None:
                return Part([row for _, row in kept], None, True)
            beyond = LOWEST if order.newest_first else HIGHEST
            after = (end, *[beyond] * (strands[0].width - 1))
            if budget.is_over():
                break
            order = replace(order, after=after)
            entries = min(entries * 2, _LARGEST_RANGE)
    except sqlite3.OperationalError as exc:
        if not budget.is_over():
            raise  # not by the guard: the file, or what is asked of it
        after = kept[-1][0] if kept else after
        if after is None:
            raise Unavailable(f"the question took more than {budget.seconds:g} s: {exc}") from exc
    return Part([row for _, row in kept], after, False)


def _end(
    connection: sqlite3.Connection, strands: Sequence[Strand], order: Order, entries: int
) -> int | None:
    """The time at which a range ends in which no strand has more entries than that, but for those
    of one time; None if everything that is left fits."""
    ends: list[int] = []
    for strand in strands:
        sql, values = strand.statement(order)
        nth = connection.execute(f"{sql} LIMIT 1 OFFSET ?", (*values, entries - 1)).fetchone()
        if nth is not None:
            ends.append(nth[0])
    if not ends:
        return None
    return max(ends) if order.newest_first else min(ends)


def _until(order: Order, end: int | None) -> Order:
    """The order bounded by the end of a range, whose own time belongs to it."""
    if end is None:
        return order
    if order.newest_first:
        return replace(order, since_ns=end)
    return replace(order, until_ns=end + 1)


def _passing(
    connection: sqlite3.Connection, strands: Sequence[Strand], sieve: Sieve, order: Order
) -> Generator[Key, None, None]:
    """Keys of a range that pass the sieve, in order."""
    cursors = []
    for strand in strands:
        sql, values = replace(strand, where=f"{strand.where} AND ({sieve.sql})").statement(order)
        cursors.append(connection.execute(sql, values))
    try:
        yield from heapq.merge(*cursors, reverse=order.newest_first)
    finally:
        for cursor in cursors:
            cursor.close()
