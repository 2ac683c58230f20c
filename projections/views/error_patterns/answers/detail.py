"""One error pattern in full: why these are one, where they happened, and what became of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from events.log.sqlite import load_queries
from events.schema import LogRecord, Span
from events.times import rfc3339
from projections.errors.fingerprints.versions import CURRENT, VERSIONS
from projections.errors.signature import decode_signature
from projections.query.inquiry import Inquiry
from projections.query.records import Hex, Ns, Rfc3339
from projections.query.rows import select
from projections.runs import words
from projections.runs.scopes import HOUR_NS
from projections.views.error_patterns.answers.correlation import Pair, correlated, pairs_of
from projections.views.error_patterns.answers.decided import Triaged

SQL = load_queries("projections.views.error_patterns.answers", "detail.sql")
NEWEST: Final = 1_000
"""Occurrences that are looked at for where they ran and how they recovered."""
SAMPLE: Final = 60
"""Events that are read again of failing attempts, and as many of passing ones."""
_PASSING: Final = 2_000
_LISTED: Final = 20
HOURS: Final = 48
DAYS: Final = 30
VERSION: Final = "service.version"


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """What makes these failures one error."""

    version: Annotated[int, Meta(description="Of the fingerprint")]
    basis: Annotated[str, Meta(description="own, stack, type and message, message, nothing")]
    components: Annotated[dict[str, str], Meta(description="What the fingerprint is made of")]


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence."""

    attempt_id: Hex
    task_id: str
    run_id: str
    attempt: int
    seen_at: Rfc3339 | None
    seen_ns: Ns
    event_id: Annotated[
        Hex, Meta(description="Of the event that says most; null if it is gone")
    ] | (None)
    position: str


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """The first and last occurrence, and the newest of the kind that is most frequent lately."""

    first: Example
    last: Example
    typical: Example


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the runs of the newest occurrences; `of` is how many runs these are."""

    of: int
    recovered: int
    by_attempt: Annotated[
        dict[str, int], Meta(description="How many runs completed with which attempt")
    ]
    median_ns: Annotated[int, Meta(description="From the failure to the run's end")] | None
    median_s: float | None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How many were seen from a moment on, for an hour or a day."""

    since: Rfc3339 | None
    count: int


class _Row(NamedTuple):
    """A row of the statements `newest` and `first`."""

    seen_ns: int
    attempt_key: int
    error_no: int
    position: int
    host: str | None
    executor: str | None
    run_id: str
    task_id: str
    run_attempts: int | None
    run_status: int | None
    last_ended_ns: int | None


class _Passing(NamedTuple):
    """A row of the statement `passing`."""

    position: int
    is_touched: int


class _Event(NamedTuple):
    """What is read again of an event."""

    event_id: str
    pairs: set[Pair]
    version: str


def detail_of(
    inquiry: Inquiry,
    fingerprint_no: int,
    content: bytes,
    hours: Sequence[tuple[int, int]],
    triage: list[Triaged],
) -> dict[str, Any]:
    """The rest of what is known of a pattern, by field of its record.

    Args:
        content: its signature.
        hours: when it was seen, see table `error_hour`.
    """
    values = {"fingerprint": fingerprint_no, "limit": NEWEST}
    newest = list(select(inquiry.connection, SQL["newest"], values, _Row))
    first = next(select(inquiry.connection, SQL["first"], values, _Row))
    typical = _typical(newest)
    passing = _passing(inquiry, fingerprint_no)
    sample = newest[:SAMPLE]
    events = _events(inquiry, {row.position for row in (first, typical, *sample)} | set(passing))
    failing = [events[row.position] for row in sample if row.position in events]
    found = VERSIONS[CURRENT](decode_signature(content))
    return {
        "why": Why(version=CURRENT, basis=found.basis, components=dict(found.components)),
        "versions": _most(event.version for event in failing),
        "hosts": _most(row.host for row in newest),
        "executors": _most(row.executor for row in newest),
        "example": Examples(
            first=_example(inquiry, first, events),
            last=_example(inquiry, newest[0], events),
            typical=_example(inquiry, typical, events),
        ),
        "recovery": _recovery(newest),
        "hours": _seen(hours, 1)[-HOURS:],
        "days": _seen(hours, 24)[-DAYS:],
        "correlated": correlated(
            [event.pairs for event in failing],
            [events[position].pairs for position in passing if position in events],
        ),
        "triage": triage,
    }


def _typical(newest: Sequence[_Row]) -> _Row:
    """The newest occurrence of the signature that most of them have."""
    ((error_no, _),) = Counter(row.error_no for row in newest).most_common(1)
    return next(row for row in newest if row.error_no == error_no)


def _passing(inquiry: Inquiry, fingerprint_no: int) -> list[int]:
    """Positions of passing attempts: of the same tasks, else of any."""
    values = {"fingerprint": fingerprint_no, "tenant": inquiry.tenant_no, "limit": _PASSING}
    rows = list(select(inquiry.connection, SQL["passing"], values, _Passing))
    touched = [row.position for row in rows if row.is_touched]
    return (touched if len(touched) >= SAMPLE // 4 else [row.position for row in rows])[:SAMPLE]


def _events(inquiry: Inquiry, positions: set[int]) -> dict[int, _Event]:
    """The stored events of attempts, by position; none of 0, where the attempt is not known."""
    with inquiry.log.read() as reader:
        found = reader.fetch(0, sorted(positions - {0}))
    events = {}
    for recorded in found:
        event, resource = recorded.event, recorded.context.resource_attributes
        if isinstance(event, Span | LogRecord):
            version = str(resource.get(VERSION) or "")
            pairs = pairs_of({**resource, **event.attributes})
            events[recorded.position] = _Event(recorded.event_id.hex(), pairs, version)
    return events


def _example(inquiry: Inquiry, row: _Row, events: dict[int, _Event]) -> Example:
    number = row.attempt_key & words.NUMBER_LIMIT
    event = events.get(row.position)
    return Example(
        attempt_id=words.attempt_id(inquiry.tenant, row.task_id, row.run_id, number),
        task_id=row.task_id, run_id=row.run_id, attempt=number, seen_at=rfc3339(row.seen_ns),
        seen_ns=row.seen_ns, event_id=None if event is None else event.event_id,
        position=str(row.position),
    )  # fmt: skip


def _recovery(newest: Sequence[_Row]) -> Recovery:
    """A run counts once, however often it failed; its first failure among these is what it
    recovered from."""
    runs = {row.attempt_key >> words.NUMBER_BITS: row for row in newest}  # the oldest stays
    recovered = [row for row in runs.values() if row.run_status == words.COMPLETED]
    waits = [row.last_ended_ns - row.seen_ns for row in recovered if row.last_ended_ns is not None]
    middle = int(median(waits)) if waits else None
    by_attempt = Counter(row.run_attempts or 0 for row in recovered)
    return Recovery(
        of=len(runs), recovered=len(recovered),
        by_attempt={str(number): by_attempt[number] for number in sorted(by_attempt)},
        median_ns=middle, median_s=None if middle is None else middle / 1e9,
    )  # fmt: skip


def _seen(hours: Sequence[tuple[int, int]], step: int) -> list[Seen]:
    counts: Counter[int] = Counter()
    for hour, count in hours:
        counts[hour // step] += count
    return [Seen(since=rfc3339(at * step * HOUR_NS), count=counts[at]) for at in sorted(counts)]


def _most(texts: Iterable[str | None]) -> list[str]:
    """Texts, the most frequent first; at most twenty."""
    counts = Counter(text for text in texts if text)
    return sorted(counts, key=lambda text: (-counts[text], text))[:_LISTED]
