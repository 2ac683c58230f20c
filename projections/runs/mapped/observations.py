"""Observations in the tables of the shared stage: what mapping rules may need again.

An observation stands in a row of its own; under each key by which it is found there is an entry,
in order of start. Keys are digests of 128 bits that begin with the trace id, so that the entries of
a trace lie side by side. What came or was asked for lately is kept in memory, bounded in bytes;
what is not written yet is found as well.
"""

import hashlib
import sqlite3
from bisect import insort
from collections.abc import Sequence
from typing import Final

from projections.mapping.join.memory import place_of
from projections.mapping.join.port import TIME_MAX
from projections.mapping.observe.observation import (
    Observation,
    decode_observation,
    encode_observation,
)
from projections.runs.registry.numbers import Registry
from projections.runs.times import INT64_MAX

HELD_BYTES: Final = 32 << 20
_OBJECT_FACTOR: Final = 4
"""An observation in memory against its bytes."""
_FRONT: Final = 6  # bytes of the trace id in a key
_SPAN, _CHILD, _RECORD, _FILED = b"s", b"c", b"r", b"f"
_READ: Final = (
    "SELECT content FROM observation_key JOIN observation USING (observation_no)"
    " WHERE key = ? ORDER BY start_ns, event_id"
)
_READ_FILED: Final = (
    "SELECT content FROM observation_key JOIN observation USING (observation_no)"
    " WHERE key = ? AND start_ns BETWEEN ? AND ? ORDER BY start_ns {0}, event_id {0} LIMIT ?"
)
_FIRST, _LAST = _READ_FILED.format("ASC"), _READ_FILED.format("DESC")


class StoredObservations:
    """See `projections.mapping.join.port.Observations`; within the caller's transaction.

    Lists that it answers with are not to be changed.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._held: dict[bytes, list[Observation]] = {}
        self._held_bytes = 0
        self._unread: dict[bytes, list[Observation]] = {}  # unwritten, of keys that are not held
        self._contents: list[tuple[int, bytearray]] = []
        self._entries: list[tuple[bytearray, int, bytearray, int]] = []
        self._last_no: int | None = None

    def forget(self) -> None:
        """Drop what is kept in memory, written or not."""
        self._clear()
        self._contents.clear()
        self._entries.clear()
        self._last_no = None

    def _clear(self) -> None:
        self._held.clear()
        self._unread.clear()
        self._held_bytes = 0

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what came since the last time."""
        if self._contents:
            connection.executemany("INSERT INTO observation VALUES (?, ?)", self._contents)
            self._entries.sort()
            connection.executemany("INSERT INTO observation_key VALUES (?, ?, ?, ?)", self._entries)
            self._contents.clear()
            self._entries.clear()
        self._unread.clear()

    def put(self, observation: Observation, filed: Sequence[bytes]) -> bool:
        """See `Observations.put`."""
        it = observation
        own = _own_key(it)
        if any(one.event_id == it.event_id for one in self._at(own)):
            return False
        if self._held_bytes > HELD_BYTES:
            self.flush(self._registry.connection)
            self._clear()
        content = encode_observation(it)
        self._held_bytes += _OBJECT_FACTOR * len(content)
        number = self._next_no()
        self._contents.append((number, bytearray(content)))
        keys = [own, *(_key(_FILED, it.tenant, key, b"") for key in filed)]
        if it.parent_span_id and not it.is_log:
            keys.append(_key(_CHILD, it.tenant, it.trace_id, it.parent_span_id))
        start_ns, event_id = min(it.start_ns, INT64_MAX), bytearray(it.event_id)
        for key in keys:
            self._entries.append((bytearray(key), start_ns, event_id, number))
            if key in self._held:
                insort(self._held[key], it, key=place_of)
            else:
                self._unread.setdefault(key, []).append(it)
        return True

    def _next_no(self) -> int:
        if self._last_no is None:
            select = "SELECT max(observation_no) FROM observation"
            self._last_no = self._registry.connection.execute(select).fetchone()[0] or 0
        self._last_no += 1
        return self._last_no

    def of_span(self, tenant: str, trace_id: bytes, span_id: bytes) -> list[Observation]:
        """See `Observations.of_span`."""
        return self._at(_key(_SPAN, tenant, trace_id, span_id))

    def children(self, tenant: str, trace_id: bytes, span_id: bytes) -> list[Observation]:
        """See `Observations.children`."""
        return self._at(_key(_CHILD, tenant, trace_id, span_id))

    def records(self, tenant: str, trace_id: bytes, span_id: bytes) -> list[Observation]:
        """See `Observations.records`."""
        return self._at(_key(_RECORD, tenant, trace_id, span_id))

    def _at(self, key: bytes) -> list[Observation]:
        """All under a key, from now on in memory."""
        held = self._held.get(key)
        if held is None:
            rows = self._registry.connection.execute(_READ, (key,))
            held = []
            for (content,) in rows:
                held.append(decode_observation(content))
                self._held_bytes += _OBJECT_FACTOR * len(content)
            for it in self._unread.pop(key, ()):
                insort(held, it, key=place_of)
            self._held[key] = held
            self._held_bytes += _OBJECT_FACTOR * len(key)
        return held

    def filed(
        self,
        tenant: str,
        key: bytes,
        low_ns: int = 0,
        high_ns: int = TIME_MAX,
        *,
        newest: bool = False,
        limit: int | None = None,
    ) -> list[Observation]:
        """See `Observations.filed`."""
        whole, connection = _key(_FILED, tenant, key, b""), self._registry.connection
        if whole in self._unread:
            self.flush(connection)
        bounds = (whole, low_ns, high_ns, -1 if limit is None else limit)
        rows = connection.execute(_LAST if newest and limit is not None else _FIRST, bounds)
        found = [decode_observation(content) for (content,) in rows]
        return found[::-1] if newest and limit is not None else found


def _own_key(it: Observation) -> bytes:
    """Where an observation itself is found; a record of no span by nothing but its id."""
    if it.is_log and not (it.trace_id and it.span_id):
        return _key(_RECORD, it.tenant, it.event_id, b"")
    return _key(_RECORD if it.is_log else _SPAN, it.tenant, it.trace_id, it.span_id)


def _key(kind: bytes, tenant: str, trace_id: bytes, rest: bytes) -> bytes:
    text = b"%b%b\x00%b\x00%b" % (kind, tenant.encode(), trace_id, rest)
    digest = hashlib.blake2b(text, digest_size=16 - _FRONT).digest()
    return trace_id[:_FRONT].ljust(_FRONT, b"\x00") + digest
