"""The watcher: declares attempts abandoned whose heartbeats stopped.

A subscription, never part of a rebuild: what it concludes it appends to the log as a fact, whose
key is made from the attempt and its signs of life, so that it is stored once whoever says it.

Silence is told by when we heard, never by a sender's clock, nor by the clock of this machine: the
watcher remembers how far the views had come at each look. What was heard last at or before a
position that had been reached three intervals ago has been silent since. So the count begins at
the later of the last sign of life and readiness, which is lost while the views lag, for then
heartbeats may be on their way. Attempts that never sent a heartbeat are left alone, and whatever
is heard later corrects everything.

The arrival of a duplicate is not in the log. Where the last sign of life came again (it has no
time, or that of a clock that stands), its attempt is not silent; the log's writer knows.
"""

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from events import names
from events.abandonment import Abandonment, fact_of
from events.errors import SpanledgerError
from events.log.lag import behind
from events.log.port import LogReader
from events.log.sqlite import load_queries
from projections.runs import words
from projections.storage.generation import LINK, connect_reader
from service.append.appender import Appender, Entry

INTERVALS: Final = 3
LAG_LIMIT_S: Final = 1.0
LONGEST_PAUSE_S: Final = 5.0
MOST_AT_ONCE: Final = 1_000
"""Attempts declared abandoned in one look; the next look goes on."""
_MARKS: Final = 64
_SECOND_NS: Final = 1_000_000_000

_sql = load_queries("service.reactors", "watcher.sql")
_log = logging.getLogger(__name__)

HeardAgain = Callable[[Collection[bytes], int], set[bytes] | None]


class _Mark(NamedTuple):
    """How far the views had come at some time of the steady clock."""

    steady_ns: int
    position: int


class Watcher:
    """Watches the attempts of one data folder.

    Args:
        heard_again: of these events, those of which a duplicate came within so many nanoseconds;
            None if that is not known, and nobody is taken for silent.
        clock: now, in nanoseconds since 1970; only says when an abandonment was declared.
        steady: a clock that nobody sets, in nanoseconds; it measures silence.
    """

    def __init__(
        self,
        data: Path,
        open_log: Callable[[], LogReader],
        appender: Appender,
        *,
        heartbeat_interval_s: float,
        heard_again: HeardAgain,
        clock: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._views = data / LINK
        self._open_log = open_log
        self._appender = appender
        self._heard_again = heard_again
        self._patience_ns = int(INTERVALS * heartbeat_interval_s * _SECOND_NS)
        self._pause_s = min(heartbeat_interval_s / 4, LONGEST_PAUSE_S)
        self._clock = clock
        self._steady = steady
        self._marks: deque[_Mark] = deque()

    def run(self, stop: threading.Event) -> None:
        """Look again and again until `stop` is set."""
        while not stop.wait(self._pause_s):
            try:
                self.look()
            except (SpanledgerError, sqlite3.Error, OSError) as exc:
                self._marks.clear()
                _log.debug("cannot watch", extra={"action": "watch", "error": str(exc)})
        self._appender.close()

    def look(self) -> int:
        """Declare what is abandoned by now; returns how many attempts, at most `MOST_AT_ONCE`."""
        if not self._views.exists():
            return 0
        with (
            closing(connect_reader(self._views.resolve())) as views,
            closing(self._open_log()) as reader,
        ):
            views.execute("BEGIN")  # one view of everything that is read below
            position = _position(views)
            if behind(reader, {0: position}).seconds(self._clock()) > LAG_LIMIT_S:
                self._marks.clear()
                return 0
            silent_through = self._silent_through(position)
            found = [] if silent_through is None else self._silent(views, reader, silent_through)
        if found:
            self._declare(found)
        return len(found)

    def _silent_through(self, position: int) -> int | None:
        """Note that the views have come to `position`; the one that they had reached three
        intervals ago, None if that is not known."""
        marks, now_ns = self._marks, self._steady()
        if len(marks) > 1 and marks[-1].steady_ns - marks[-2].steady_ns < (
            self._patience_ns // _MARKS
        ):
            marks.pop()  # too close to the one before to be worth its place
        marks.append(_Mark(now_ns, position))
        while len(marks) > 1 and now_ns - marks[1].steady_ns > self._patience_ns:
            marks.popleft()
        return marks[0].position if now_ns - marks[0].steady_ns > self._patience_ns else None

    def _silent(
        self, views: sqlite3.Connection, reader: LogReader, through: int
    ) -> list[tuple[str, Abandonment]]:
        """What is to be said of the attempts last heard at or before `through`, by tenant."""
        found: list[tuple[str, Abandonment]] = []
        after = 0
        while len(found) < MOST_AT_ONCE:
            limits = {"after": after, "heard": through, "limit": MOST_AT_ONCE}
            rows = views.execute(_sql["silent"], limits).fetchall()
            if not rows:
                break
            after = rows[-1][1]
            ids = _event_ids(reader, [row[1] for row in rows])
            alive = self._heard_again(set(ids.values()), self._patience_ns)
            if alive is None:
                return []
            found += self._lost([row for row in rows if ids.get(row[1]) not in alive], ids)
        return found[:MOST_AT_ONCE]

    def _lost(self, rows: list[Any], ids: dict[int, bytes]) -> Iterator[tuple[str, Abandonment]]:
        now_ns = self._clock()
        for number, heard, signs, heartbeat_ns, tenant, task_id, run_id, trace_id, span_id in rows:
            yield tenant, Abandonment(
                words.attempt_id(tenant, task_id, run_id, number), task_id, run_id, number,
                trace_id, span_id, now_ns, heartbeat_ns, ids.get(heard, b""), signs,
            )  # fmt: skip

    def _declare(self, found: list[tuple[str, Abandonment]]) -> None:
        entries = [Entry(tenant, [fact_of(lost, names.ACTOR_WATCHER)]) for tenant, lost in found]
        appended = self._appender.append_all(entries)
        if appended.stored:
            _log.info(
                "attempts abandoned",
                extra={
                    "action": "watch",
                    "attempts": appended.stored,
                    "attempt_id": found[0][1].attempt_id,
                },
            )


def _event_ids(reader: LogReader, positions: list[int]) -> dict[int, bytes]:
    """The ids of the events at `positions`, ascending; no event is unpacked."""
    ids: dict[int, bytes] = {}
    segment = None
    for position in positions:
        if segment is None or position > segment.last:
            segments = reader.read(0, position - 1, limit_segments=1).segments
            segment = segments[0] if segments else None
        if segment is not None:
            ids[position] = segment.event_id(position)
    return ids


def _position(views: sqlite3.Connection) -> int:
    row = views.execute(_sql["position"]).fetchone()
    return int(row[0]) if row else 0
