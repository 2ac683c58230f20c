"""Which facts of a run make up each of its attempts, and when each of them was queued."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from projections.runs.details import (
    SpanKey,
    key_of,
    only_ends,
    parent_of,
    without_copies,
    without_details,
)
from projections.runs.facts import AbandonFact, LogFact, LogKind, RunFacts, SpanFact
from projections.runs.numbering import place_of

_BEFORE_ALL: Final = -(1 << 63)


class Candidate(msgspec.Struct):
    """An attempt before it has its number."""

    start_ns: int
    event_id: bytes
    claim: int
    span: SpanFact | None
    logs: list[LogFact]
    number: int = 0
    moved: bool = False

    @property
    def said(self) -> SpanFact | LogFact:
        """The fact that speaks for the attempt: the span, else the start record."""
        return self.span if self.span is not None else main_log(self.logs)

    @property
    def span_id(self) -> bytes:
        return self.said.span_id

    @property
    def repeats(self) -> str | None:
        more = self.said.more
        return None if more is None else more.retry_of


def begins_at_zero(facts: RunFacts) -> bool:
    """Does the run's sender count its tries from 0?"""
    spans, logs = facts.spans, facts.logs
    return any(s.number == 0 for s in spans) or any(log.number == 0 for log in logs)


def candidates_of(facts: RunFacts, shift: int) -> tuple[list[Candidate], int | None]:
    """Which spans and log records are attempts, and when the run was last queued."""
    spans = without_copies(span for span in facts.spans if not span.queues)
    queueing = {key_of(span): span.start_ns for span in facts.spans if span.queues}
    beating: dict[SpanKey, set[int | None]] = {}
    for log in facts.logs:
        if says_running(log) and log.span_id:
            beating.setdefault(key_of(log), set()).add(log.number)
    spans, details = without_details(spans, set(queueing), beating)
    claims = (_claim(span, shift) for span in spans)
    candidates = [
        Candidate(span.start_ns, span.event_id, claim, span, [])
        for span, claim in zip(spans, claims, strict=True)
    ]
    candidates += _attach(candidates, facts.logs, details, shift)
    if any(map(only_ends, spans)):
        candidates = _with_ends(candidates)
    return candidates, max((s.start_ns for s in facts.spans if s.queues), default=None)


def _with_ends(candidates: list[Candidate]) -> list[Candidate]:
    """Those that only tell of an end give it to the last one of their trace that runs by then."""
    kept = {one.event_id: one for one in candidates}
    for one in sorted(candidates, key=place_of):
        if one.span is None or not only_ends(one.span):
            continue
        open_ = [c for c in kept.values() if _runs(c) and _may_end(c, one)]
        if open_:
            last = max(open_, key=place_of)
            assert last.span is not None
            last.span = _ended(last.span, one.span)
            del kept[one.event_id]
    return list(kept.values())


def _runs(one: Candidate) -> bool:
    if one.span is None or one.span.end_ns:
        return False
    return not any(log.kind == LogKind.ENDED for log in one.logs)


def _may_end(running: Candidate, end: Candidate) -> bool:
    same = running.said.trace_id == end.said.trace_id
    return same and running.start_ns <= end.start_ns


def _ended(span: SpanFact, end: SpanFact) -> SpanFact:
    return msgspec.structs.replace(
        span, end_ns=end.start_ns, status=end.status, error=end.error, error_no=end.error_no,
        message_no=end.message_no, more=end.more,
    )  # fmt: skip


def _claim(fact: SpanFact | LogFact, shift: int) -> int:
    return 0 if fact.number is None else fact.number + shift


def _attach(
    candidates: list[Candidate], logs: Iterable[LogFact], details: set[SpanKey], shift: int
) -> list[Candidate]:
    """Give each log record to its attempt; returns the attempts known from log records only."""
    by_key: dict[SpanKey, list[Candidate]] = {}
    by_number: dict[int, Candidate] = {}
    for candidate in sorted(candidates, key=place_of):
        assert candidate.span is not None
        by_key.setdefault(key_of(candidate.span), []).append(candidate)
        by_number.setdefault(candidate.claim, candidate)
    running: dict[SpanKey | int, list[LogFact]] = {}
    for log in logs:
        key, claim = key_of(log), _claim(log, shift)
        if log.span_id and key in by_key:
            _at_time(by_key[key], log.time_ns).logs.append(log)
        elif key in details:
            continue
        elif log.span_id:
            running.setdefault(key, []).append(log)
        elif claim in by_number and claim:
            by_number[claim].logs.append(log)
        elif claim:
            running.setdefault(claim, []).append(log)
    groups = (group for group in running.values() if any(map(says_running, group)))
    return [_from_logs(group, shift) for group in groups]


def says_running(log: LogFact) -> bool:
    return not log.loose and log.kind != LogKind.EXCEPTION


def _at_time(candidates: list[Candidate], time_ns: int) -> Candidate:
    """The last attempt that started before a time: one span id may serve several tries."""
    at = bisect_right(candidates, time_ns, key=lambda c: c.start_ns)
    return candidates[max(at - 1, 0)]


def _from_logs(logs: list[LogFact], shift: int) -> Candidate:
    own = sorted((log for log in logs if says_running(log)), key=log_order)
    starts = [log for log in own if log.kind == LogKind.STARTED] or own
    claim = next((_claim(log, shift) for log in own if log.number is not None), 0)
    return Candidate(starts[0].time_ns, starts[0].event_id, claim, None, logs)


def log_order(log: LogFact) -> tuple[int, bytes]:
    return log.time_ns, log.event_id


def main_log(logs: list[LogFact]) -> LogFact:
    """The log record that speaks for an attempt without a span: the first, best a start."""
    own = [log for log in logs if says_running(log)]
    return min(own, key=lambda log: (log.kind != LogKind.STARTED, *log_order(log)))


class Abandoned:
    """What was said of attempts that fell silent, found by their last sign of life.

    An attempt known by number only has no span; facts from before signs were told name the span.
    """

    def __init__(self, facts: Iterable[AbandonFact]) -> None:
        self._by_sign: dict[bytes, list[AbandonFact]] = defaultdict(list)
        self._by_span: dict[SpanKey, list[AbandonFact]] = defaultdict(list)
        self._by_number: dict[int, list[AbandonFact]] = defaultdict(list)
        for fact in facts:
            self._by_sign[fact.last_heartbeat_id].append(fact)
            if fact.span_id:
                self._by_span[fact.trace_id, fact.span_id].append(fact)
            elif fact.number:
                self._by_number[fact.number].append(fact)
        self._by_sign.pop(b"", None)

    def last_of(self, candidate: Candidate, logs: Iterable[LogFact]) -> AbandonFact | None:
        """The last one that is about an attempt with these log records."""
        found: list[AbandonFact] = []
        if self._by_sign:
            for log in logs:
                found += self._by_sign.get(log.event_id, ())
        if not found:
            said = candidate.said
            found = self._by_span.get(key_of(said), []) if said.span_id else []
            found = found or self._by_number.get(candidate.number, [])
        return max(found, key=lambda a: (a.signs, a.last_heartbeat_ns, a.event_id), default=None)


class Queueing:
    """The spans of a run that put it into a queue; each of them counts for one try at most.

    It is the earliest try below it, whatever their clocks say. One that no try lies below is of
    the next try to start after it; the last one counts where several waited for the same. Where
    there is one of both, they belong together.
    """

    def __init__(self, spans: Iterable[SpanFact]) -> None:
        self._starts: dict[SpanKey, int] = {}
        for span in spans:
            if span.queues:
                key = key_of(span)
                self._starts[key] = min(span.start_ns, self._starts.get(key, span.start_ns))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __contains__(self, key: SpanKey | None) -> bool:
        return key in self._starts

    def by_number(self, tries: Iterable[Candidate]) -> dict[int, int]:
        """When tries were queued, by their numbers; without those of which nothing is known."""
        if not self._starts:
            return {}
        ordered = sorted(tries, key=place_of)
        found: dict[int, int] = {}
        left = dict(self._starts)
        for one in ordered:
            parent = _parent(one)
            if parent in left:
                found[one.number] = left.pop(parent)
        if len(ordered) == len(self._starts) == 1:
            return found or {ordered[0].number: left.popitem()[1]}
        return _next_queued(ordered, sorted(left.values())) | found

    def may_change(self, one: Candidate, tries: int, last_ns: int) -> bool:
        """Might one more try be one that was queued, or change when another one was?

        Args:
            tries: how many there are without it.
            last_ns: the latest start of these.
        """
        if not self._starts:
            return False
        again = max(self._starts.values()) > last_ns
        return again or tries < 2 or one.start_ns <= last_ns or _parent(one) in self._starts


def _parent(one: Candidate) -> SpanKey | None:
    return None if one.span is None else parent_of(one.span)


def _next_queued(ordered: Sequence[Candidate], starts: Sequence[int]) -> dict[int, int]:
    found = {}
    before = _BEFORE_ALL
    for one in ordered:
        at = bisect_right(starts, one.start_ns)
        if at and starts[at - 1] >= before:
            found[one.number] = starts[at - 1]
        before = one.start_ns
    return found
