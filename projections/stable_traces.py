"""The stable trace of a run: where the spans of its later tries belong, for who sends them on.

Orchestrators that make a new trace for each try leave one run in many traces. A run's stable
trace is that of its first attempt. A trace with attempts of several runs goes whole, with the run
of its topmost attempt; where two runs are topmost it stays. What the views have not seen yet
stays too: the caller waits for them (`seen`). Nothing is written here.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from events.errors import SpanledgerError
from events.log.port import Recorded
from events.log.sqlite import load_queries
from events.schema import Span
from projections.query.log import Log
from projections.query.lookup import find_tenant, runs_of_trace
from projections.query.reading import Views
from projections.query.rows import select
from projections.query.seen import SQL as SEEN_SQL
from projections.views.traces.fold import positions

SQL: Final = load_queries("projections", "stable_traces.sql")
_READS: Final = ("runs", "attempts", "traces")
_ID_BYTES: Final = 16

STEPS_LIMIT: Final = 8
"""How far one run's stable trace is followed into another run's."""

SPANS_LIMIT: Final = 5000
"""A trace of several runs and more events than this stays, and so do older events of a trace."""


class Home(NamedTuple):
    """Where a trace goes: to `trace_id`, its own if it stays.

    `relatives` are the traces of the run that it belongs to, the first 100; none if it has none.
    """

    trace_id: bytes
    relatives: tuple[bytes, ...] = ()


class _AttemptRow(NamedTuple):
    """A row of the statement `attempts_in_trace`."""

    run_no: int
    span_id: bytes


class StableTraces:
    """Answers from the live views of one data folder; for one thread at a time."""

    def __init__(self, data: Path) -> None:
        self._views = Views(data)
        self._log = Log(data)

    def seen(self) -> int:
        """The position of partition 0 up to which all is known here; 0 if nothing can be read."""
        try:
            with self._views.read() as connection:
                found = connection.execute(SEEN_SQL["places"], {"names": json.dumps(_READS)})
                places = dict.fromkeys(_READS, 0) | dict(found.fetchall())
        except SpanledgerError:  # no views yet, or damaged: they are made anew
            return 0
        return min(places.values())

    def home(self, tenant: str, trace_id: bytes) -> Home:
        """Where a trace goes as the views are now; one that cannot be told stays."""
        try:
            with self._views.read() as connection:
                return self._followed(_Tenant(connection, tenant), trace_id)
        except SpanledgerError:
            return Home(trace_id)

    def before(self, tenant: str, trace_id: bytes, position: int) -> list[Recorded]:
        """The first events of a trace that are stored up to a position, in order."""
        with self._views.read() as connection:
            found = positions(connection, tenant, trace_id)
        wanted = [place for place in found if place <= position][:SPANS_LIMIT]
        return self._of_trace(tenant, trace_id, wanted)

    def close(self) -> None:
        """Close every file."""
        self._views.close()
        self._log.close()

    def _followed(self, tenant: "_Tenant", trace_id: bytes) -> Home:
        """A run's stable trace may itself go to another run's; one in a circle stays."""
        passed = {trace_id: self._next(tenant, trace_id)}
        home = passed[trace_id]
        while home.trace_id not in passed and len(passed) < STEPS_LIMIT:
            following = self._next(tenant, home.trace_id)
            passed[home.trace_id] = following
            home = Home(following.trace_id, (*home.relatives, *following.relatives))
        is_end = passed.get(home.trace_id, home).trace_id == home.trace_id
        return home if is_end else Home(trace_id)

    def _next(self, tenant: "_Tenant", trace_id: bytes) -> Home:
        attempts = tenant.attempts(trace_id)
        traces = {run_no: tenant.traces(run_no) for run_no in {row.run_no for row in attempts}}
        first = {run_no: found[0] for run_no, found in traces.items() if found}
        if len(set(first.values())) > 1:
            events = self._events(tenant, trace_id)
            first = {run_no: first[run_no] for run_no in _topmost(attempts, events) & first.keys()}
        if len(set(first.values())) != 1:
            return Home(trace_id)
        (stable,) = set(first.values())
        relatives = dict.fromkeys(one for run_no in first for one in traces[run_no])
        return Home(stable, tuple(one for one in relatives if one != trace_id))

    def _events(self, tenant: "_Tenant", trace_id: bytes) -> list[Recorded]:
        """All events of a trace; none if there are too many."""
        found = positions(tenant.connection, tenant.name, trace_id)
        return self._of_trace(tenant.name, trace_id, found) if len(found) <= SPANS_LIMIT else []

    def _of_trace(self, tenant: str, trace_id: bytes, places: Sequence[int]) -> list[Recorded]:
        """Digests may collide, so tenant and trace id are compared."""
        with self._log.read() as reader:
            found = reader.fetch(0, places)
        return [
            recorded
            for recorded in found
            if recorded.tenant == tenant and getattr(recorded.event, "trace_id", b"") == trace_id
        ]


class _Tenant:
    """What the views say to one tenant, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.connection = connection
        self.name = name
        self._tenant_no = find_tenant(connection, name)

    def attempts(self, trace_id: bytes) -> list[_AttemptRow]:
        """The attempts in a trace, run by run."""
        values: dict[str, Any] = {"trace": trace_id, "tenant": self._tenant_no}
        return [
            row
            for run_no in runs_of_trace(self.connection, self.name, trace_id)
            for row in select(
                self.connection, SQL["attempts_in_trace"], values | {"run": run_no}, _AttemptRow
            )
        ]

    def traces(self, run_no: int) -> list[bytes]:
        """The traces of a run in order."""
        row = self.connection.execute(SQL["traces_of_run"], {"run": run_no}).fetchone()
        ids = row[0] if row else b""
        return [ids[at : at + _ID_BYTES] for at in range(0, len(ids), _ID_BYTES)]


def _topmost(attempts: Iterable[_AttemptRow], events: Iterable[Recorded]) -> set[int]:
    """The runs with an attempt that lies below no attempt of another run; none without events."""
    parents = {
        recorded.event.span_id: recorded.event.parent_span_id
        for recorded in events
        if isinstance(recorded.event, Span)
    }
    owners: dict[bytes, set[int]] = defaultdict(set)
    for row in attempts:
        owners[row.span_id].add(row.run_no)
    top: set[int] = set()
    for row in attempts if parents else ():
        above, passed = row.span_id, set[bytes]()
        while above not in passed and owners[above] <= {row.run_no}:
            passed.add(above)
            above = parents.get(above, b"")
        if owners[above] <= {row.run_no}:
            top.add(row.run_no)
    return top
