"""What an operator asks of the forwarder: status, pause, resume, rewind, parked events.

The running forwarder serves these on its control socket; when it does not run, the CLI takes
its lock and uses them on the files. Answers are plain JSON values; positions are strings.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from events.errors import BadInput, SpanledgerError
from events.log.lag import behind
from events.log.port import LogReader
from events.log.reader import open_reader
from service.forward.condition import Condition
from service.forward.cursor import CursorStore, Place, TargetRow

_DIGITS: Final = 18
"""Of the largest position: all of them fit into 63 bits."""

Answer = dict[str, Any]
Handler = Callable[..., Any]


class Operations:
    """The operations on `forward.db`.

    Args:
        conditions: what each running sender does; without it no sender runs.
        wake: tells a running sender to look at the store again.
    """

    def __init__(
        self,
        store: CursorStore,
        open_log: Callable[[], LogReader],
        *,
        conditions: Callable[[], Mapping[str, Condition]] = dict,
        wake: Callable[[str], None] = lambda target: None,
    ) -> None:
        self._store = store
        self._open_log = open_log
        self._conditions = conditions
        self._wake = wake

    def handlers(self) -> dict[str, Handler]:
        """The operations by the name they have on the control socket."""
        return {
            "status": self.status, "pause": self.pause, "resume": self.resume,
            "rewind": self.rewind, "parked": self.parked, "requeue": self.requeue,
            "discard": self.discard,
        }  # fmt: skip

    def status(self) -> list[Answer]:
        """Every target: where it stands, how far behind, what it does and what went wrong."""
        conditions = self._conditions()
        try:
            reader = self._open_log()
        except SpanledgerError:  # no log yet, or one that cannot be read: no lag to tell
            return [self._describe(row, conditions.get(row.name), None) for row in self._rows()]
        with closing(reader):
            return [self._describe(row, conditions.get(row.name), reader) for row in self._rows()]

    def pause(self, target: str) -> Answer:
        """Send nothing more to `target` until it is resumed; its cursor stays."""
        return self._set_paused(target, True)

    def resume(self, target: str) -> Answer:
        """Go on where `target` was paused."""
        return self._set_paused(target, False)

    def rewind(
        self,
        target: str,
        position: str | None = None,
        time_ns: int | None = None,
        partition: int = 0,
    ) -> Answer:
        """Put the cursor so that everything after `position` is sent (again).

        With `time_ns` instead, everything committed since then, in every partition. Also
        starts a target again that stopped over a log that was exchanged or shortened.
        """
        self._known(target)
        if (position is None) == (time_ns is None):
            raise BadInput("rewind needs either a position or a time")
        with closing(self._open_log()) as reader:
            if time_ns is not None:
                to = {p: reader.position_at(p, time_ns) for p in reader.partitions}
            elif partition in reader.partitions:
                to = {partition: _number(position)}
            else:
                raise BadInput(f"the log has no partition {partition}")
            digests = {p: reader.hash_at(p, at) for p, at in to.items()}
            for p, at in to.items():
                digest = digests[p]
                if digest is None:
                    raise BadInput(f"position {at} is beyond the head, {reader.head(p).position}")
                self._store.place(target, p, at, digest, reader.log_id)
        self._wake(target)
        return {"target": target, "positions": {str(p): str(at) for p, at in to.items()}}

    def parked(self, target: str | None = None, after: int = 0, limit: int = 100) -> Answer:
        """Runs of events that targets refused, oldest first; `next` goes on after the last."""
        rows = self._store.parked(target, after, min(max(limit, 1), 1000))
        items = [
            asdict(row) | {"first": str(row.first), "last": str(row.last),
                             "partial": bool(row.partial), "requeued": bool(row.requeued)}
            for row in rows
        ]  # fmt: skip
        return {"items": items, "next": rows[-1].id if len(rows) == limit else None}

    def requeue(self, target: str, id: int | None = None) -> Answer:
        """Send a parked run again, or all of the target's."""
        self._known(target)
        count = self._store.requeue(target, id)
        self._wake(target)
        return self._counted(target, id, count)

    def discard(self, target: str, id: int | None = None) -> Answer:
        """Give up a parked run, or all of the target's; the log keeps the events."""
        self._known(target)
        return self._counted(target, id, self._store.discard(target, id))

    def _rows(self) -> list[TargetRow]:
        return self._store.targets()

    def _known(self, target: str) -> None:
        names = [row.name for row in self._rows()]
        if target not in names:
            raise BadInput(f"no target {target!r}; known: {', '.join(names) or 'none'}")

    def _set_paused(self, target: str, paused: bool) -> Answer:
        self._known(target)
        self._store.set_paused(target, paused)
        self._wake(target)
        return {"target": target, "paused": paused}

    def _counted(self, target: str, id: int | None, count: int) -> Answer:
        if id is not None and not count:
            raise BadInput(f"nothing is parked under id {id} for target {target!r}")
        return {"target": target, "count": count}

    def _describe(
        self, row: TargetRow, condition: Condition | None, reader: LogReader | None
    ) -> Answer:
        places = self._store.places(row.name)
        state = condition.state if condition else "not running"
        return {
            "name": row.name,
            "url": row.url,
            "state": "paused" if row.paused else state,
            "error": row.error,
            "error_ns": row.error_ns,
            "retry_ns": condition.retry_ns if condition else 0,
            "positions": {str(p): str(place.position) for p, place in places.items()},
            **_lag(places, reader),
            "sent": row.sent,
            "refused": row.refused,
            "parked": row.parked,
            "last_sent_ns": row.sent_ns,
        }


def _lag(places: Mapping[int, Place], reader: LogReader | None) -> Answer:
    """Events behind the head, and seconds since the oldest of them was committed.

    None while there is no telling: without a log, or before the target has its first cursor.
    """
    if reader is None or not places:
        return {"lag_events": None, "lag_s": None}
    lag = behind(reader, {place.partition: place.position for place in places.values()})
    return {"lag_events": lag.events, "lag_s": lag.seconds(time.time_ns())}


def _number(position: str | None) -> int:
    if position is None or not position.isdecimal():
        raise BadInput(f"a position is a decimal number, not {position!r}")
    if len(position) > _DIGITS:
        raise BadInput(f"no log reaches position {position[:_DIGITS]}…")
    return int(position)


@contextmanager
def in_its_place(
    data: Path, open_log: Callable[[Path], LogReader] = open_reader
) -> Iterator[dict[str, Handler]]:
    """The handlers on the files of a data folder; hold the forwarder's lock meanwhile."""
    with closing(CursorStore(data)) as store:
        yield Operations(store, lambda: open_log(data)).handlers()
