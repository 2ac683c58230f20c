"""What runs now, and what came to an end lately: figures over all tasks of a tenant.

They are counted from indexes when asked for, each to a bound, so that nothing need be kept for
them: a figure that reached its bound is `at_least` what it says.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from events.log.sqlite import load_queries
from events.times import SECOND_NS, rfc3339, seconds
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry
from projections.query.parameters import Question
from projections.query.records import Ns, PositionText, Rfc3339
from projections.runs import words

SQL = load_queries("projections.views.overview", "question.sql")
_WINDOWS_S: Final = {"15m": 900, "1h": 3600, "6h": 21_600, "1d": 86_400, "7d": 604_800}
BUCKETS: Final = 60
_MOST_NOW: Final = 10_000
_MOST_ENDED: Final = 100_000
_MOST_RUNS: Final = 10_000
_SAMPLE: Final = 2_000
_ENDINGS: Final = tuple(
    number for number, word in enumerate(words.STATUS_WORDS)
    if word in ("completed", "failed", "timed_out", "abandoned", "cancelled", "skipped", "unknown")
)  # fmt: skip


class Quantiles(msgspec.Struct, frozen=True):
    """Seconds, over the newest ones of the window."""

    p50: float | None
    p95: float | None
    p99: float | None
    sample: Annotated[int, Meta(description="How many they are of, at most 2,000")]


class Bucket(msgspec.Struct, frozen=True):
    """Attempts that ended in a sixtieth of the window."""

    start_ns: Ns
    completed: int
    failed: Annotated[int, Meta(description="Failed, timed out and abandoned ones")]
    other: Annotated[int, Meta(description="Cancelled, skipped and unknown ones")]


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant does now, and what ended in a window of time."""

    since: Rfc3339 | None
    since_ns: Ns
    until_ns: Ns
    running: Annotated[int, Meta(description="Attempts that run now")]
    retrying: Annotated[int, Meta(description="Runs that failed and are tried again")]
    queued: Annotated[int, Meta(description="Runs that wait for their first attempt")]
    ended: Annotated[dict[str, int], Meta(description="Attempts that ended, by status")]
    success_rate: (
        Annotated[float, Meta(description="Completed / (completed + failed), per attempts")] | None
    )
    throughput: Annotated[float, Meta(description="Attempts that ended, per second")]
    runs_completed: int
    runs_failed: Annotated[int, Meta(description="Failed for good, timed out or abandoned")]
    runs_recovered: Annotated[int, Meta(description="Completed after a failed attempt")]
    duration_s: Annotated[Quantiles, Meta(description="Of completed attempts")]
    queue_wait_s: Annotated[Quantiles, Meta(description="Of attempts that were seen in a queue")]
    buckets: list[Bucket]
    at_least: Annotated[
        list[str], Meta(description="Figures that reached the bound of counting, and may be more")
    ]
    position: PositionText


class OverviewQuestion(Question, frozen=True, kw_only=True):
    """Parameters of the overview."""

    window: Annotated[
        Literal["15m", "1h", "6h", "1d", "7d"], Meta(description="The time up to now.")
    ] = "1h"


def overview(inquiry: Inquiry, question: OverviewQuestion) -> Overview:
    """Figures of a tenant."""
    width_ns = _WINDOWS_S[question.window] * SECOND_NS // BUCKETS
    # Windows end with a bucket, so that a bucket's figures do not change as time goes on.
    until_ns = (time.time_ns() // width_ns + 1) * width_ns
    since_ns = until_ns - BUCKETS * width_ns
    counting = _Counting(inquiry.connection, inquiry.tenant_no, since_ns, until_ns, width_ns)
    ended, buckets = counting.ended()
    failures = sum(ended[word] for word in ("failed", "timed_out", "abandoned"))
    runs = {number: counting.runs(number) for number in (words.COMPLETED, *words.FAILURES)}
    decided = ended["completed"] + failures
    return Overview(
        since=rfc3339(since_ns),
        since_ns=since_ns,
        until_ns=until_ns,
        running=counting.now("attempts_now", words.RUNNING, "running"),
        retrying=counting.now("runs_now", words.RETRYING, "retrying"),
        queued=counting.now("runs_now", words.QUEUED, "queued"),
        ended=ended,
        success_rate=ended["completed"] / decided if decided else None,
        throughput=sum(ended.values()) * SECOND_NS / (until_ns - since_ns),
        runs_completed=runs[words.COMPLETED][0],
        runs_failed=sum(runs[number][0] for number in words.FAILURES),
        runs_recovered=runs[words.COMPLETED][1],
        duration_s=counting.quantiles("durations"),
        queue_wait_s=counting.quantiles("waits"),
        buckets=buckets,
        at_least=sorted(counting.at_least),
        position=str(inquiry.position),
    )


class _Counting:
    """The statements, with what they share; notes which figures reached their bounds."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        tenant_no: int | None,
        since_ns: int,
        until_ns: int,
        width_ns: int,
    ) -> None:
        self._connection = connection
        self._values: Mapping[str, Any] = {
            "tenant": tenant_no, "since": since_ns, "until": until_ns, "width": width_ns,
        }  # fmt: skip
        self.at_least: set[str] = set()

    def _rows(self, name: str, most: int, status: int | None = None) -> list[tuple[Any, ...]]:
        values = {**self._values, "most": most, "status": status}
        return self._connection.execute(SQL[name], values).fetchall()

    def now(self, name: str, status: int, figure: str) -> int:
        """How many have a status."""
        ((count,),) = self._rows(name, _MOST_NOW, status)
        if count == _MOST_NOW:
            self.at_least.add(figure)
        return int(count)

    def ended(self) -> tuple[dict[str, int], list[Bucket]]:
        """How many attempts ended with each status, and in each bucket."""
        counts = [[0, 0, 0] for _ in range(BUCKETS)]
        ended = {}
        for status in _ENDINGS:
            kind = 0 if status == words.COMPLETED else 1 if status in words.FAILURES else 2
            total = 0
            for bucket, count in self._rows("ended", _MOST_ENDED, status):
                counts[bucket][kind] += count
                total += count
            ended[words.STATUS_WORDS[status]] = total
            if total == _MOST_ENDED:
                self.at_least.add("ended")
        since_ns, width_ns = self._values["since"], self._values["width"]
        buckets = [
            Bucket(since_ns + place * width_ns, *three) for place, three in enumerate(counts)
        ]
        return ended, buckets

    def runs(self, status: int) -> tuple[int, int]:
        """How many runs have a status, and how many of them recovered."""
        ((count, recovered),) = self._rows("runs", _MOST_RUNS, status)
        if count == _MOST_RUNS:
            self.at_least.add("runs_failed" if status in words.FAILURES else "runs_completed")
        return count, recovered

    def quantiles(self, name: str) -> Quantiles:
        """Of what a statement gives; negative ones, of clocks that differ, do not count."""
        status = words.COMPLETED if name == "durations" else None
        found = sorted(ns for (ns,) in self._rows(name, _SAMPLE, status) if ns >= 0)
        p50, p95, p99 = (_at(found, share) for share in (0.5, 0.95, 0.99))
        return Quantiles(p50, p95, p99, len(found))


def _at(ordered: Sequence[int], share: float) -> float | None:
    """Seconds at a share of some durations, by nearest rank."""
    place = min(int(share * len(ordered)), len(ordered) - 1)
    return seconds(ordered[place]) if ordered else None


ENDPOINTS: Final = (
    Endpoint(
        "overview", "What runs now, and what ended in the last minutes, hours or days.",
        OverviewQuestion, Overview, ("attempts", "runs"), overview,
    ),
)  # fmt: skip
