"""Reading the embedded log: read-only, in short transactions, beside a running writer."""

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from events.errors import LogDamaged
from events.log import sqlite
from events.log.chain import genesis
from events.log.head import read_head
from events.log.port import PAGE_BYTES, Head, Page, Recorded, Segment, within_bytes

_sql = sqlite.load_queries("events.log", "queries.sql")
_END = (1 << 63) - 1


class LogStats(NamedTuple):
    """Size of a log. Times are nanoseconds; 0 while it is empty."""

    segments: int
    events: int
    first_ns: int
    last_ns: int
    payload_bytes: int
    id_bytes: int


def open_reader(data: Path) -> "SqliteReader":
    """Open the log of a data folder for reading; see `connect_reader` for what it raises."""
    return SqliteReader(data)


class SqliteReader:
    """`LogReader` on `ledger.db`. Use from one thread at a time."""

    partitions: tuple[int, ...] = (0,)

    def __init__(self, data: Path) -> None:
        self._data = data
        self._connection = sqlite.connect_reader(data)
        try:
            self.log_id, self.identity_key = sqlite.read_meta(self._connection)
        except BaseException:
            self._connection.close()
            raise

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        with sqlite.reading():
            return self._connection.execute(_sql[query], values).fetchall()

    def head(self, partition: int = 0) -> Head:
        """See `LogReader.head`."""
        rows = self._rows("head")
        return Head(*rows[0]) if rows else Head(0, genesis(self.log_id), 0)

    def read(
        self,
        partition: int,
        after: int,
        *,
        through: int | None = None,
        limit_segments: int = 64,
        limit_bytes: int = PAGE_BYTES,
    ) -> Page:
        """See `LogReader.read`."""
        end = _END if through is None else through
        values = {"start": after + 1, "through": end, "limit": limit_segments}
        with sqlite.reading(), closing(self._connection.execute(_sql["read"], values)) as rows:
            found = (s for s in (Segment(0, *row) for row in rows) if s.last > after)
            segments = within_bytes(found, limit_bytes)
        last = segments[-1].last if segments else after
        return Page(partition, after, min(last, max(end, after)), segments, self)

    def fetch(self, partition: int, positions: Sequence[int]) -> list[Recorded]:
        """See `LogReader.fetch`."""
        found: list[Recorded] = []
        wanted = sorted(set(positions))
        at = 0
        while at < len(wanted):
            page = self.read(partition, wanted[at] - 1, limit_segments=1)
            if not page.segments:
                break
            end = bisect_right(wanted, page.segments[0].last, at)
            found += page.segments[0].recorded_at(wanted[at:end])
            at = max(end, at + 1)
        return found

    def hash_at(self, partition: int, position: int) -> bytes | None:
        """See `LogReader.hash_at`."""
        if position == 0:
            return genesis(self.log_id)
        rows = self._rows("at", position=position)
        if not rows or position >= rows[0][0] + rows[0][1]:
            return None
        digest: bytes = rows[0][2]
        return digest

    def position_at(self, partition: int, time_ns: int) -> int:
        """See `LogReader.position_at`; a binary search, since commit times never decrease."""
        low, high = 0, self.head().position
        while low < high:
            first, count, _, committed_ns = self._rows("at", position=(low + high + 1) // 2)[0]
            if committed_ns < time_ns:
                low = first + count - 1
            else:
                high = first - 1
        return low

    def check_head(self) -> None:
        """Compare the log's end with the one on record.

        Raises:
            LogDamaged: the log is shorter than on record, has another hash, or is another log.
        """
        recorded = read_head(self._data)
        if recorded is None:
            return
        if recorded.log_id != self.log_id:
            raise LogDamaged(
                f"{sqlite.FILE} is log {self.log_id}, but the recorded head belongs to log "
                f"{recorded.log_id}: the file was exchanged for another"
            )
        found = self.hash_at(0, recorded.position)
        if found is None:
            raise LogDamaged(
                f"the log ends at position {self.head().position}, the recorded head is "
                f"{recorded.position}: its end was cut, or an older copy was put back",
                position=self.head().position,
            )
        if found != recorded.hash:
            raise LogDamaged(
                f"at position {recorded.position} the log differs from the recorded head: its "
                "history was changed",
                position=recorded.position,
            )

    def stats(self) -> LogStats:
        """Count the whole log; reads every segment's row header."""
        return LogStats(*self._rows("stats")[0])

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._connection.close()
