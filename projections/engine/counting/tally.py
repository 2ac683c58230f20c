"""What came to pass in the pages that were applied, counted for `/metrics`.

An attempt counts once, when its end is first known; what corrects its status later is not counted
again, because a counter never falls. Views tell the state, these figures the pace.
"""

from collections.abc import Iterable

from events import metrics
from events.times import SECOND_NS
from projections.runs import words
from projections.runs.changes import Change


class Tally:
    """Counts changes; `publish` adds what was counted to the metrics, `clear` forgets it."""

    __slots__ = ("attempts", "duration_ns", "errors", "retries", "runs", "wait_ns", "waits")

    def __init__(self) -> None:
        self.attempts = [0] * len(words.STATUS_WORDS)
        self.runs = self.attempts.copy()
        self.duration_ns = self.retries = self.waits = self.wait_ns = 0
        self.errors: dict[int, int] = {}

    def clear(self) -> None:
        """Begin anew."""
        self.attempts = [0] * len(words.STATUS_WORDS)
        self.runs = self.attempts.copy()
        self.duration_ns = self.retries = self.waits = self.wait_ns = 0
        self.errors = {}

    def add(self, changes: Iterable[Change]) -> None:
        """Count what changes add."""
        attempts, runs, duration_ns = self.attempts, self.runs, 0
        for change in changes:
            gone = change.gone
            ended = {one.number for one in gone if one.ended_ns is not None} if gone else ()
            for one in change.came:
                ended_ns, started_ns = one.ended_ns, one.started_ns
                if ended_ns is None or one.number in ended:
                    continue
                attempts[one.status] += 1
                if one.error_no is not None and one.tells_failure:
                    self.errors[one.error_no] = self.errors.get(one.error_no, 0) + 1
                if ended_ns > started_ns:
                    duration_ns += ended_ns - started_ns
                if one.retry_of is not None:
                    self.retries += 1
                if one.queued_ns is not None and started_ns >= one.queued_ns:
                    self.waits += 1
                    self.wait_ns += started_ns - one.queued_ns
            new, old = change.new, change.old
            if new is not None and (old is None or old.status != new.status):
                runs[new.status] += 1
        self.duration_ns += duration_ns

    def join(self, other: "Tally") -> None:
        """Add what another counted."""
        self.attempts = [a + b for a, b in zip(self.attempts, other.attempts, strict=True)]
        self.runs = [a + b for a, b in zip(self.runs, other.runs, strict=True)]
        self.duration_ns += other.duration_ns
        self.retries += other.retries
        self.waits += other.waits
        self.wait_ns += other.wait_ns
        for error_no, count in other.errors.items():
            self.errors[error_no] = self.errors.get(error_no, 0) + count

    def publish(self) -> dict[int, int]:
        """Add what was counted to the metrics, and begin anew; failures by their `error_no`."""
        counters = ((metrics.ATTEMPTS, self.attempts), (metrics.RUN_CHANGES, self.runs))
        for counter, counts in counters:
            for word, count in zip(words.STATUS_WORDS, counts, strict=True):
                if count:
                    counter.labels(word).inc(count)
        metrics.ATTEMPT_SECONDS.inc(self.duration_ns / SECOND_NS)
        metrics.RETRIES.inc(self.retries)
        metrics.QUEUE_WAITS.inc(self.waits)
        metrics.QUEUE_WAIT_SECONDS.inc(self.wait_ns / SECOND_NS)
        errors = self.errors
        self.clear()
        return errors
