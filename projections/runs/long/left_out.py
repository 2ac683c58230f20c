"""What a run of too many attempts leaves out: how many there are, and what they add up to.

A run shows its first attempts, by (start, event id), up to a limit. Those behind stay in the log;
of each so much is kept that the run as a whole goes on telling of all.
"""

from typing import Final

import msgspec

from projections.runs import words
from projections.runs.facts import LogFact, SpanFact
from projections.runs.summary import Run
from projections.runs.times import saturated

ATTEMPTS_LIMIT: Final = 100_000
"""Attempts that a run shows, unless told otherwise."""


class Brief(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is kept of an attempt that is left out."""

    event_id: bytes
    start_ns: int
    end_ns: int
    status: int
    will_retry: bool | None

    @property
    def place(self) -> tuple[int, bytes]:
        return self.start_ns, self.event_id


decode_brief = msgspec.msgpack.Decoder(Brief).decode


def brief_of(span: SpanFact) -> Brief:
    """What is kept of a span that has ended."""
    will_retry = None if span.more is None else span.more.will_retry
    return Brief(span.event_id, span.start_ns, span.end_ns, span.status, will_retry)


class LeftOut:
    """The attempts that a run leaves out; all of them come behind those that it shows."""

    __slots__ = ("attempts", "failed", "last", "last_ended_ns", "total_ns")

    def __init__(self) -> None:
        self.attempts = self.failed = self.total_ns = self.last_ended_ns = 0
        self.last: Brief | None = None

    def add(self, one: Brief) -> None:
        """Count one more."""
        self.attempts += 1
        self.failed += one.status in words.FAILURES
        self.total_ns += max(0, one.end_ns - one.start_ns)
        self.last_ended_ns = max(self.last_ended_ns, one.end_ns)
        if self.last is None or one.place > self.last.place:
            self.last = one

    def counted_in(self, run: Run, failed: int, queued_ns: int | None) -> Run:
        """The run with what it leaves out; `failed` are the failures among those that it shows."""
        last = self.last
        if last is None or run.first_started_ns is None:
            return run
        status = last.status
        again = last.will_retry or (queued_ns or 0) > last.end_ns
        if status in words.FAILURES and again:
            status = words.RETRYING
        total = saturated(run.total_execution_ns + self.total_ns)
        last_ended = max(run.last_ended_ns or 0, self.last_ended_ns)
        wall = last_ended - run.first_started_ns
        return msgspec.structs.replace(
            run,
            status=status,
            attempts=run.attempts + self.attempts,
            left_out=self.attempts,
            recovered=status == words.COMPLETED and failed + self.failed > 0,
            last_started_ns=max(run.last_started_ns, last.start_ns),
            last_ended_ns=last_ended,
            total_execution_ns=total,
            wall_clock_ns=wall,
            idle_ns=max(0, wall - total),
            overlap_ns=max(0, total - max(0, wall)),
        )


def time_of(fact: SpanFact | LogFact) -> tuple[int, bytes]:
    """When a fact was, by its sender's clock: no fact counts as earlier for arriving so."""
    return (fact.start_ns if isinstance(fact, SpanFact) else fact.time_ns), fact.event_id


def is_counted(span: SpanFact) -> bool:
    """Does a span count for the limit?"""
    return span.end_ns > 0 and not span.queues
