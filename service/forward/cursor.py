"""`forward.db`: where each target stands, what it refused, and whether it is paused.

Only the forwarder's process opens the file for writing, or the CLI under the forwarder's lock
when it does not run. A cursor moves by compare-and-set, together with the counts and whatever
was parked; one that was placed elsewhere in the meantime stays where it was placed. Losing the
last commits to a power cut only sends their events again, so `synchronous` is `NORMAL`.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from events.errors import CommitFailed, Damaged, LogDamaged, Unavailable
from events.log.port import LogReader
from events.log.sqlite import load_queries

FILE: Final = "forward.db"
_SCHEMA_VERSION: Final = 1
_ERROR_CHARS: Final = 500

_sql = load_queries("service.forward", "forward.sql")


class Place(NamedTuple):
    """A target's place in one partition: everything up to `position` is dealt with.

    `hash` is the hash of the segment that holds `position`, of the log `log_id`; `epoch` counts
    how often the cursor was put elsewhere.
    """

    partition: int
    position: int
    hash: bytes
    log_id: str
    epoch: int


@dataclass(frozen=True, slots=True, order=True)
class Parked:
    """`count` events at the positions `first` to `last` that a target refused.

    With `partial` the target took some of the run and did not say which it refused.
    """

    partition: int
    first: int
    last: int
    count: int
    partial: bool
    error: str


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A parked run as it is kept."""

    id: int
    target: str
    partition: int
    first: int
    last: int
    count: int
    partial: bool
    error: str
    parked_ns: int
    requeued: bool
    log_id: str


class TargetRow(NamedTuple):
    """What is kept of a target beside its cursors."""

    name: str
    url: str
    paused: bool
    sent: int
    refused: int
    sent_ns: int
    error: str
    error_ns: int
    parked: int


class CursorStore:
    """`forward.db`, safe for several threads."""

    def __init__(self, data: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            data / FILE, isolation_level=None, check_same_thread=False, timeout=5.0
        )
        try:
            for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "trusted_schema = OFF"):
                self._connection.execute(f"PRAGMA {pragma}").fetchall()
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version > _SCHEMA_VERSION:
                raise Damaged(f"{FILE} was written by a newer release: upgrade")
            self._connection.executescript(
                f"BEGIN IMMEDIATE;\n{_sql['schema']}\n"
                f"PRAGMA user_version = {_SCHEMA_VERSION};\nCOMMIT;"
            )
        except sqlite3.OperationalError as exc:
            self._connection.close()
            raise Unavailable(f"{data / FILE} cannot be opened: {exc}") from exc
        except sqlite3.DatabaseError as exc:
            self._connection.close()
            raise Damaged(
                f"{data / FILE} is damaged: {exc}; moved away, every target starts anew, "
                "where its `start` says"
            ) from exc
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            self._connection.close()

    def add_target(self, name: str, url: str) -> None:
        """Make a target known; it keeps its cursor and flag if it was known before."""
        with self._writing():
            self._run("add_target", name=name, url=url)

    def targets(self) -> list[TargetRow]:
        """Every target ever forwarded to, by name."""
        return [TargetRow(*row) for row in self._run("targets")]

    def paused(self, target: str) -> bool:
        """Whether `target` is paused."""
        rows = self._run("paused", name=target)
        return bool(rows and rows[0][0])

    def set_paused(self, target: str, paused: bool) -> None:
        """Pause or resume a target."""
        with self._writing():
            self._run("set_paused", name=target, paused=paused)

    def set_error(self, target: str, error: str) -> None:
        """Remember why a target does not go on; an empty text forgets it."""
        with self._writing():
            self._run("set_error", name=target, error=error[:_ERROR_CHARS], now_ns=time.time_ns())

    def places(self, target: str) -> dict[int, Place]:
        """Where a target stands, by partition; empty if it never started."""
        return {row[0]: Place(*row) for row in self._run("cursors", target=target)}

    def place(self, target: str, partition: int, position: int, hash: bytes, log_id: str) -> None:
        """Put a cursor somewhere; whatever is under way from its former place is void."""
        with self._writing():
            self._run(
                "place", target=target, partition=partition, position=position, hash=hash,
                log_id=log_id,
            )  # fmt: skip

    def advance(
        self, target: str, after: Place, through: Place, sent: int, parked: Sequence[Parked]
    ) -> bool:
        """Move a cursor on with what became of the events between; False if it was moved away."""
        with self._writing():
            self._run(
                "advance", target=target, partition=after.partition, after=after.position,
                epoch=after.epoch, log_id=after.log_id, position=through.position,
                hash=through.hash,
            )  # fmt: skip
            if not self._changes():
                return False
            self._settle(target, after.log_id, sent, parked)
        return True

    def requeued(self, target: str) -> ParkedRow | None:
        """The next parked run of `target` that is to be sent again."""
        rows = self._run("next_requeued", target=target)
        return ParkedRow(*rows[0]) if rows else None

    def unpark(self, row: ParkedRow, sent: int, parked: Sequence[Parked]) -> None:
        """A requeued run was sent; what was refused again is parked anew."""
        with self._writing():
            self._run("unpark", id=row.id)
            if self._changes():  # else it was discarded in the meantime
                self._settle(row.target, row.log_id, sent, parked)

    def parked(self, target: str | None, after: int = 0, limit: int = 100) -> list[ParkedRow]:
        """Parked runs with an id over `after`, oldest first, at most `limit`."""
        rows = self._run("parked", target=target, after=after, limit=limit)
        return [ParkedRow(*row) for row in rows]

    def requeue(self, target: str, id: int | None) -> int:
        """Mark one run, or all, to be sent again; returns how many."""
        with self._writing():
            self._run("requeue", target=target, id=id)
            return self._changes()

    def discard(self, target: str, id: int | None) -> int:
        """Forget one run, or all; returns how many."""
        with self._writing():
            self._run("discard", target=target, id=id)
            return self._changes()

    def _settle(self, target: str, log_id: str, sent: int, parked: Sequence[Parked]) -> None:
        now_ns = time.time_ns()
        for run in parked:
            values = asdict(run) | {"error": run.error[:_ERROR_CHARS]}
            self._run("park", target=target, log_id=log_id, now_ns=now_ns, **values)
        refused = sum(run.count for run in parked)
        self._run("count", target=target, sent=sent, refused=refused, now_ns=now_ns)

    def _run(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(_sql[query], values).fetchall()

    def _changes(self) -> int:
        changes: int = self._connection.execute("SELECT changes()").fetchone()[0]
        return changes

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; a disk that refuses it is `CommitFailed`, and nothing was stored."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
            except sqlite3.DatabaseError as exc:
                raise CommitFailed(f"{FILE} cannot be written: {exc}") from exc
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


def check_place(reader: LogReader, place: Place) -> None:
    """Compare a cursor with the log it is about to read from.

    Raises:
        LogDamaged: the log is another one, is shorter, or has other content there.
    """
    where = f"the cursor at position {place.position} of partition {place.partition}"
    if reader.log_id != place.log_id:
        raise LogDamaged(
            f"{where} belongs to log {place.log_id}, this one is {reader.log_id}: the log was "
            "exchanged; `spanledger forward rewind` starts on the new one"
        )
    found = reader.hash_at(place.partition, place.position)
    if found is None:
        head = reader.head(place.partition).position
        raise LogDamaged(
            f"{where} is beyond the log's end at {head}: an older copy was put back or its end "
            "was cut; `spanledger forward rewind` goes on from a position that is there",
            position=head,
        )
    if found != place.hash:
        raise LogDamaged(
            f"{where} finds other content than it left there: the log's history was changed",
            position=place.position,
        )
