"""One try, as its rows show it."""

import msgspec

from projections.runs import words
from projections.runs.more import More


class Attempt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One try. The columns of table `attempt`, named alike. `retry_of` None: the run's first."""

    number: int
    status: int
    flags: int
    started_ns: int
    ended_ns: int | None
    queued_ns: int | None
    retry_of: int | None
    max_attempts: int | None
    source_no: int
    error_no: int | None
    message_no: int | None
    heartbeat_ns: int | None
    heard: int | None
    signs: int | None
    progress: float | None
    trace_id: bytes
    span_id: bytes
    partition: int
    position: int
    name: str | None
    group_id: str | None
    will_retry: bool | None
    more: More | None

    @property
    def failed(self) -> bool:
        return self.status in words.FAILURES

    @property
    def tells_failure(self) -> bool:
        """Is it an occurrence of an error?"""
        return self.error_no is not None and self.status in words.FAILURES

    @property
    def backfilled(self) -> bool:
        return bool(self.flags & words.FLAG_BACKFILLED)

    @property
    def duration_ns(self) -> int:
        """0 while it runs, and where clocks disagree."""
        ended_ns = self.ended_ns
        return 0 if ended_ns is None else max(0, ended_ns - self.started_ns)
