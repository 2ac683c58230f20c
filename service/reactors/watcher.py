"""The watcher: declares attempts abandoned whose heartbeats stopped.

A subscription, never part of a rebuild: what it concludes it appends to the log as an event, with
an id made from the attempt and its last sign of life, so that it is stored once whoever says it.
Time is counted by arrival here, never by a sender's clock, from the later of the last sign of
life and readiness; readiness is lost while the views lag, for then heartbeats may be on their
way. Attempts that never sent a heartbeat are left alone, and a late end corrects everything.
"""

import hashlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from events import codec
from events.errors import SpanledgerError
from events.identity import Identity
from events.log.lag import behind
from events.log.port import Batch, Door, LogReader
from events.log.sqlite import load_queries
from events.schema import AttemptAbandoned, Context
from projections.runs import words
from projections.runs.facts import LogFact, LogKind, decode_facts
from projections.storage.generation import LINK, connect_reader

INTERVALS: Final = 3
LAG_LIMIT_S: Final = 1.0
LONGEST_PAUSE_S: Final = 5.0
_SECOND_NS: Final = 1_000_000_000

_sql = load_queries("service.reactors", "watcher.sql")
_log = logging.getLogger(__name__)


class _Seen(NamedTuple):
    """A running attempt's last heartbeat, by the sender's clock, and when it was noticed here."""

    heartbeat_ns: int
    noticed_ns: int


class Watcher:
    """Watches the attempts of one data folder.

    Args:
        open_door: opens the append door; a new one for each time something is to be said.
    """

    def __init__(
        self,
        data: Path,
        open_log: Callable[[], LogReader],
        open_door: Callable[[], Door],
        *,
        heartbeat_interval_s: float,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._views = data / LINK
        self._open_log = open_log
        self._open_door = open_door
        self._patience_ns = int(INTERVALS * heartbeat_interval_s * _SECOND_NS)
        self._pause_s = min(heartbeat_interval_s / 4, LONGEST_PAUSE_S)
        self._clock = clock
        self._ready_ns: int | None = None
        self._seen: dict[int, _Seen] = {}

    def run(self, stop: threading.Event) -> None:
        """Look again and again until `stop` is set."""
        while not stop.wait(self._pause_s):
            try:
                self.look()
            except (SpanledgerError, sqlite3.Error, OSError) as exc:
                self._ready_ns = None
                _log.debug("cannot watch", extra={"action": "watch", "error": str(exc)})

    def look(self) -> int:
        """Declare what is abandoned by now; returns how many attempts."""
        if not self._views.exists():
            return 0
        with (
            closing(connect_reader(self._views.resolve())) as views,
            closing(self._open_log()) as reader,
        ):
            now_ns = self._clock()
            if _lag_s(views, reader, now_ns) > LAG_LIMIT_S:
                self._ready_ns = None
                return 0
            if self._ready_ns is None:
                self._ready_ns = now_ns
            overdue = self._notice(views, now_ns)
            facts = [self._conclude(views, reader, key, now_ns) for key in overdue]
        found = [fact for fact in facts if fact is not None]
        if found:
            self._append(found, now_ns)
        return len(found)

    def _notice(self, views: sqlite3.Connection, now_ns: int) -> list[int]:
        """Note every attempt that beats; returns those whose last beat is too long ago."""
        assert self._ready_ns is not None
        seen: dict[int, _Seen] = {}
        rows = views.execute(_sql["heartbeats"], {"running": words.RUNNING})
        for attempt_key, heartbeat_ns in rows:
            before = self._seen.get(attempt_key)
            known = before is not None and before.heartbeat_ns == heartbeat_ns
            seen[attempt_key] = before if before and known else _Seen(heartbeat_ns, now_ns)
        self._seen = seen
        since_ns = self._ready_ns
        return [
            key
            for key, one in seen.items()
            if now_ns - max(one.noticed_ns, since_ns) > self._patience_ns
        ]

    def _conclude(
        self, views: sqlite3.Connection, reader: LogReader, attempt_key: int, now_ns: int
    ) -> "tuple[str, AttemptAbandoned] | None":
        """The event to append with its tenant; None if there was another sign of life lately."""
        row = views.execute(_sql["attempt"], {"attempt_key": attempt_key}).fetchone()
        tenant, task_id, run_id, facts, trace_id, span_id = row
        last = _last_sign(decode_facts(facts).logs, trace_id, span_id)
        if last is None:
            return None
        arrived = reader.fetch(last.partition, [last.position])
        if arrived and now_ns - arrived[0].received_ns <= self._patience_ns:
            seen = self._seen[attempt_key]
            self._seen[attempt_key] = seen._replace(noticed_ns=arrived[0].received_ns)
            return None
        number = attempt_key & words.NUMBER_LIMIT
        attempt_id = words.attempt_id(tenant, task_id, run_id, number)
        event = AttemptAbandoned(
            attempt_id, task_id, run_id, trace_id, span_id, now_ns, last.time_ns, last.event_id
        )
        return tenant, event

    def _append(self, found: "list[tuple[str, AttemptAbandoned]]", now_ns: int) -> None:
        door = self._open_door()
        try:
            identity = Identity(door.identity_key)
            for tenant, event in found:
                appended = door.append(batch_of(tenant, event, identity, now_ns))
                if appended.stored:
                    _log.info(
                        "attempt abandoned",
                        extra={"action": "watch", "attempt_id": event.attempt_id},
                    )
        finally:
            close = getattr(door, "close", None)
            if close is not None:
                close()


def batch_of(tenant: str, event: AttemptAbandoned, identity: Identity, now_ns: int) -> Batch:
    """One fact of our own, ready for the door."""
    row = codec.encode_event(event)
    content = codec.encode_blocks([(tenant, now_ns, codec.encode_context(Context()), [row])])
    return Batch(
        ids=identity.named_id(event.attempt_id, event.last_heartbeat_event_id),
        payload=codec.pack(content),
        digest=hashlib.sha256(content).digest(),
        count=1,
        content_bytes=len(content),
        time_min_ns=now_ns,
        time_max_ns=now_ns,
    )


def _last_sign(logs: list[LogFact], trace_id: bytes, span_id: bytes) -> LogFact | None:
    """The last sign of life of an attempt; exceptions are none."""
    key = (bytes(trace_id), bytes(span_id))
    signs = [
        log for log in logs if (log.trace_id, log.span_id) == key and log.kind != LogKind.EXCEPTION
    ]
    return max(signs, key=lambda log: (log.time_ns, log.event_id), default=None)


def _lag_s(views: sqlite3.Connection, reader: LogReader, now_ns: int) -> float:
    """Age of the oldest event that the attempts have not seen."""
    row = views.execute(_sql["position"]).fetchone()
    return behind(reader, {0: row[0] if row else 0}).seconds(now_ns)
