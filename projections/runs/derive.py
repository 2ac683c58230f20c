"""From the facts of a run to the run and its attempts: pure, and blind to the order of arrival.

Ties are broken by (start, event id). What a sender says is taken; what is concluded is flagged.
"""

from typing import NamedTuple

import msgspec

from projections.runs import words
from projections.runs.candidates import (
    Abandoned,
    Candidate,
    begins_at_zero,
    candidates_of,
    log_order,
    main_log,
)
from projections.runs.facts import AbandonFact, LogFact, LogKind, More, RunFacts, SpanFact
from projections.runs.numbering import References, RunIdentity, in_order, number, place_of
from projections.runs.times import saturated

_TELLS_ERROR = words.FAILURES | {words.CANCELLED, words.UNKNOWN}


class Attempt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One try. The columns of table `attempt`, named alike."""

    number: int
    status: int
    flags: int
    started_ns: int
    ended_ns: int | None
    queued_ns: int | None
    retry_of: int | None
    max_attempts: int | None
    source_no: int
    fingerprint_no: int | None
    message: str | None
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


class Run(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A run and its attempts by number. The columns of table `run`, named alike."""

    attempts: tuple[Attempt, ...]
    status: int
    recovered: bool
    backfilled: bool
    last_started_ns: int
    first_started_ns: int | None
    last_ended_ns: int | None
    queued_ns: int | None
    total_execution_ns: int
    wall_clock_ns: int | None
    idle_ns: int | None
    overlap_ns: int


def derive(facts: RunFacts, run_identity: RunIdentity) -> Run | None:
    """The run that these facts tell of; None if they tell of no attempt and no queueing.

    `run_identity` is (tenant, task id, run id), of which attempt ids are made.
    """
    if len(facts.spans) == 1 and not facts.logs:
        span = facts.spans[0]
        if span.end_ns and not span.queues and span.number != 0:
            return _single(span)
    return derive_all(facts, run_identity)


def derive_all(facts: RunFacts, run_identity: RunIdentity) -> Run | None:
    """The same by every rule; `derive` goes a shorter way for the run of one ended span."""
    shift = 1 if begins_at_zero(facts) else 0
    candidates, queued = candidates_of(facts, shift)
    if not candidates:
        return None if queued is None else _queued_run(queued)
    number(in_order(candidates, run_identity, shift))
    candidates.sort(key=lambda c: c.number)
    abandoned = Abandoned(facts.abandoned)
    references = References(sorted(candidates, key=place_of), run_identity, shift)
    attempts: list[Attempt] = []
    for candidate in candidates:
        before = attempts[-1].number if attempts else None
        repeated = _repeated(candidate, references, before)
        attempts.append(_attempt(candidate, abandoned, repeated))
    return _run(attempts, queued)


def _single(span: SpanFact) -> Run:
    """A run of one ended attempt: most runs are."""
    start_ns, end_ns, status = span.start_ns, span.end_ns, span.status
    flags = 0 if span.number is not None else words.FLAG_NUMBER_BY_ORDER
    wall = end_ns - start_ns
    if wall < 0:
        flags |= words.FLAG_NEGATIVE_DURATION
    more, will_retry, backfilled = span.more, None, False
    if more is not None:
        will_retry, backfilled = more.will_retry, more.backfilled
        if backfilled:
            flags |= words.FLAG_BACKFILLED
    told = status in _TELLS_ERROR
    attempt = Attempt(
        span.number or 1,
        status,
        flags,
        start_ns,
        end_ns,
        span.queued_ns,
        None,
        span.max_attempts,
        span.source_no,
        span.fingerprint_no if told else None,
        span.message if told else None,
        None,
        None,
        None,
        None,
        span.trace_id,
        span.span_id,
        span.partition,
        span.position,
        span.name,
        span.group_id,
        will_retry,
        more,
    )
    if will_retry and status in words.FAILURES:
        status = words.RETRYING
    return Run(
        (attempt,), status, False, backfilled, start_ns, start_ns, end_ns, span.queued_ns,
        wall if wall > 0 else 0, wall, 0, 0,
    )  # fmt: skip


def _attempt(candidate: Candidate, abandoned: Abandoned, repeated: int | None) -> Attempt:
    logs = sorted(candidate.logs, key=log_order) if candidate.logs else []
    span = candidate.span
    said = span if span is not None else main_log(logs)
    flags = 0 if candidate.claim else words.FLAG_NUMBER_BY_ORDER
    if candidate.moved:
        flags |= words.FLAG_NUMBER_MOVED
    if span is not None and span.end_ns:
        end = _End(span.status, span.end_ns, *_error(span, logs))
    else:
        end = _open_end(candidate, abandoned, logs)
        if end.ended_ns is not None:
            flags |= words.FLAG_STATUS_INFERRED
    status, ended, fingerprint_no, message = end[:4]
    if status not in _TELLS_ERROR:
        fingerprint_no = message = None
    if span is None:
        flags |= words.FLAG_NO_SPAN
    if ended is not None and ended < candidate.start_ns:
        flags |= words.FLAG_NEGATIVE_DURATION
    more = said.more
    if more is not None and more.backfilled:
        flags |= words.FLAG_BACKFILLED
    return Attempt(
        candidate.number,
        status,
        flags,
        candidate.start_ns,
        ended,
        said.queued_ns,
        repeated,
        said.max_attempts,
        said.source_no,
        fingerprint_no,
        message,
        end.heartbeat_ns,
        end.heard,
        end.signs,
        next((log.progress for log in reversed(logs) if log.progress is not None), None),
        said.trace_id,
        said.span_id,
        said.partition,
        said.position,
        said.name,
        said.group_id,
        None if more is None else more.will_retry,
        more,
    )


def _error(span: SpanFact, logs: list[LogFact]) -> tuple[int | None, str | None]:
    """The span's own exception, else the last logged one, else the span's status."""
    if span.error < 2:
        for log in reversed(logs):
            if log.kind == LogKind.EXCEPTION:
                return log.fingerprint_no, log.message
    return span.fingerprint_no, span.message


class _End(NamedTuple):
    """How an attempt ended, or stands.

    While it runs and has sent a heartbeat, `heard` is the position of the last sign of life to
    arrive, and `signs` is how many there are.
    """

    status: int
    ended_ns: int | None
    fingerprint_no: int | None
    message: str | None
    heartbeat_ns: int | None = None
    heard: int | None = None
    signs: int | None = None


def _open_end(candidate: Candidate, abandoned: Abandoned, logs: list[LogFact]) -> _End:
    ends = [log for log in logs if log.kind == LogKind.ENDED]
    errors = [log for log in logs if log.kind == LogKind.EXCEPTION]
    if ends:
        end = ends[-1]
        error = errors[-1] if errors and end.message is None else end
        status = words.UNKNOWN if end.status is None else end.status
        return _End(status, end.time_ns, error.fingerprint_no, error.message)
    alive = [log for log in logs if log.kind != LogKind.EXCEPTION]
    last = abandoned.last_of(candidate, logs)
    if last is not None and not _lives_on(alive, last):
        error_no = errors[-1].fingerprint_no if errors else last.fingerprint_no
        text = errors[-1].message if errors else "no heartbeat"
        ended = max(last.last_heartbeat_ns, candidate.start_ns)
        return _End(words.ABANDONED, ended, error_no, text)
    heartbeat = max((log.time_ns for log in alive if log.kind == LogKind.HEARTBEAT), default=None)
    if heartbeat is None:
        return _End(words.RUNNING, None, None, None)
    heard = max(log.position for log in alive)
    return _End(words.RUNNING, None, None, None, heartbeat, heard, len(alive))


def _lives_on(alive: list[LogFact], lost: AbandonFact) -> bool:
    """Whether there is a sign of life that was not known when the attempt was declared lost.

    It is counted, never dated: clocks go wrong, and so does any order. Where an older release did
    not count, the sender's clock has to tell.
    """
    if lost.signs:
        return len(alive) > lost.signs
    return max((log.time_ns for log in alive), default=0) > lost.last_heartbeat_ns


def _repeated(candidate: Candidate, references: References, before: int | None) -> int | None:
    """The number of the attempt that this one repeats: as said, if it is an earlier one of the
    run, else the one before."""
    found = references.find(candidate)
    if isinstance(found, Candidate) and found.number < candidate.number:
        return found.number
    return before


def _queued_run(queued_ns: int) -> Run:
    return Run((), words.QUEUED, False, False, queued_ns, None, None, queued_ns, 0, None, None, 0)


def _run(attempts: list[Attempt], queued_ns: int | None) -> Run:
    last = attempts[-1]
    first_started = min(a.started_ns for a in attempts)
    ends = [a.ended_ns for a in attempts if a.ended_ns is not None]
    total = 0
    for attempt in attempts:
        if attempt.ended_ns is not None and attempt.ended_ns > attempt.started_ns:
            total += attempt.ended_ns - attempt.started_ns
    total = saturated(total)
    last_ended = max(ends, default=None)
    wall = None if last_ended is None else last_ended - first_started
    status = last.status
    if last.failed and (last.will_retry or (queued_ns or 0) > (last.ended_ns or last.started_ns)):
        status = words.RETRYING
    queues = [a.queued_ns for a in attempts if a.queued_ns is not None]
    if queued_ns is not None:
        queues.append(queued_ns)
    return Run(
        tuple(attempts),
        status,
        status == words.COMPLETED and any(a.failed for a in attempts[:-1]),
        any(a.flags & words.FLAG_BACKFILLED for a in attempts),
        max(a.started_ns for a in attempts),
        first_started,
        last_ended,
        min(queues, default=None),
        total,
        wall,
        None if wall is None else max(0, wall - total),
        0 if wall is None else max(0, total - max(0, wall)),
    )
