"""From the facts of a run to the run and its attempts: pure, and blind to the order of arrival.

Ties are broken by (start, event id). What a sender says is taken; what is concluded is flagged.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec

from projections.runs import words
from projections.runs.attempt import Attempt
from projections.runs.candidates import (
    Abandoned,
    Candidate,
    Queueing,
    begins_at_zero,
    candidates_of,
    log_order,
    main_log,
)
from projections.runs.details import key_of, parent_of
from projections.runs.facts import AbandonFact, LogFact, LogKind, RunFacts, SpanFact
from projections.runs.numbering import References, RunIdentity, in_order, number, place_of
from projections.runs.summary import Run, Totals, queued_run, run_of_one
from projections.storage.columns import maker

_TELLS_ERROR = words.FAILURES | {words.CANCELLED, words.UNKNOWN}
_attempt_of_span = maker(
    Attempt, SpanFact, own=("number", "error_no", "message_no"),
    heartbeat_ns=None, heard=None, signs=None, progress=None,
)  # fmt: skip


class Derived(NamedTuple):
    """A run and its attempts, by number."""

    run: Run
    attempts: tuple[Attempt, ...]


def derive(facts: RunFacts, run_identity: RunIdentity) -> Derived | None:
    """The run that these facts tell of; None if they tell of no attempt and no queueing.

    `run_identity` is (tenant, task id, run id), of which attempt ids are made.
    """
    spans = facts.spans
    if not facts.logs and spans:
        if len(spans) > 1:
            if _are_plain(spans):
                return _numbered(spans)
        elif spans[0].end_ns and not spans[0].queues and spans[0].number != 0:
            return _single(spans[0])
    return derive_all(facts, run_identity)


def derive_all(facts: RunFacts, run_identity: RunIdentity) -> Derived | None:
    """The same by every rule; `derive` goes a shorter way for most runs of ended spans."""
    return resolve(facts, run_identity).derived


class Resolved(NamedTuple):
    """What becomes of a run's facts, with what it takes to go on from there."""

    derived: Derived | None
    tries: Sequence[Candidate]  # in their order
    references: References
    shift: int
    queued_ns: int | None


def resolve(facts: RunFacts, run_identity: RunIdentity) -> Resolved:
    """Every rule in turn."""
    shift = 1 if begins_at_zero(facts) else 0
    candidates, queued = candidates_of(facts, shift)
    tries = in_order(candidates, run_identity, shift)
    number(tries)
    references = References(sorted(candidates, key=place_of), run_identity, shift)
    if not candidates:
        derived = None if queued is None else Derived(queued_run(queued), ())
        return Resolved(derived, tries, references, shift, queued)
    abandoned = Abandoned(facts.abandoned)
    attempts: list[Attempt] = []
    totals = Totals()
    by_number = sorted(candidates, key=lambda c: c.number)
    waited = Queueing(facts.spans).by_number(candidates)
    for candidate in by_number:
        before = None
        if attempts:
            totals.add(attempts[-1])
            before = attempts[-1].number
        repeated = repeated_by(candidate, references, before)
        attempt = attempt_of(candidate, abandoned, repeated, waited.get(candidate.number))
        attempts.append(attempt if candidate is by_number[-1] else repeated_later(attempt))
    derived = Derived(totals.run_with(attempts[-1], queued), tuple(attempts))
    return Resolved(derived, tries, references, shift, queued)


def _single(span: SpanFact) -> Derived:
    """A run of one ended attempt: most runs are.

    A short way to what all rules give, to which tests/contract/test_first_rows.py holds it.
    """
    attempt = _ended(span, span.number or 1, None)
    return Derived(run_of_one(attempt), (attempt,))


def _are_plain(spans: Sequence[SpanFact]) -> bool:
    """Is each an ended attempt with a number of its own, said outright, none below another?"""
    numbers, keys = set(), set()
    for span in spans:
        more = span.more
        if not span.number or not span.end_ns or span.queues:
            return False
        if more is not None and (more.retry_of is not None or more.mapped is not None):
            return False
        numbers.add(span.number)
        keys.add(key_of(span))
    if len(numbers) < len(spans) or len(keys) < len(spans):
        return False
    return not any(span.parent_span_id and parent_of(span) in keys for span in spans)


def _numbered(spans: Sequence[SpanFact]) -> Derived:
    """A run of plain spans: as most runs are that were tried again.

    A short way like `_single`, and held to all rules by the same tests.
    """
    attempts: list[Attempt] = []
    totals = Totals()
    before = None
    for span in sorted(spans, key=attrgetter("number")):
        if attempts:
            totals.add(attempts[-1])
        attempts.append(_ended(span, span.number or 1, before))
        before = span.number
    return Derived(totals.run_with(attempts[-1], None), tuple(attempts))


def _ended(span: SpanFact, number: int, repeated: int | None) -> Attempt:
    """The attempt that an ended span tells of by itself."""
    start_ns, end_ns, status = span.start_ns, span.end_ns, span.status
    flags = 0 if span.number is not None else words.FLAG_NUMBER_BY_ORDER
    if end_ns < start_ns:
        flags |= words.FLAG_NEGATIVE_DURATION
    if span.queued_ns is not None and span.queued_ns > start_ns:
        flags |= words.FLAG_NEGATIVE_WAIT
    more, will_retry = span.more, None
    if more is not None:
        will_retry = more.will_retry
        flags |= more.flags
    told = status in _TELLS_ERROR
    return _attempt_of_span(
        span,
        number=number,
        flags=flags,
        started_ns=start_ns,
        ended_ns=end_ns,
        retry_of=repeated,
        error_no=span.error_no if told else None,
        message_no=span.message_no if told else None,
        will_retry=will_retry,
    )


def attempt_of(
    candidate: Candidate, abandoned: Abandoned, repeated: int | None, queued_ns: int | None = None
) -> Attempt:
    """What is known of one try; `queued_ns`: when it was queued, if it does not say that itself."""
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
    status, ended, error_no, message_no = (
        end.status, end.ended_ns, end.error_no, end.message_no,
    )  # fmt: skip
    if status not in _TELLS_ERROR:
        error_no = message_no = None
    if span is None:
        flags |= words.FLAG_NO_SPAN
    if ended is not None and ended < candidate.start_ns:
        flags |= words.FLAG_NEGATIVE_DURATION
    if said.queued_ns is not None:
        queued_ns = said.queued_ns
    if queued_ns is not None and queued_ns > candidate.start_ns:
        flags |= words.FLAG_NEGATIVE_WAIT
    more = said.more
    if more is not None:
        flags |= more.flags
    progress = (log.progress for log in reversed(logs) if log.progress is not None)
    return Attempt(
        number=candidate.number, status=status, flags=flags, started_ns=candidate.start_ns,
        ended_ns=ended, queued_ns=queued_ns, retry_of=repeated,
        max_attempts=said.max_attempts, source_no=said.source_no, error_no=error_no,
        message_no=message_no, heartbeat_ns=end.heartbeat_ns, heard=end.heard, signs=end.signs,
        progress=next(progress, None), trace_id=said.trace_id, span_id=said.span_id,
        partition=said.partition, position=said.position, name=said.name, group_id=said.group_id,
        will_retry=None if more is None else more.will_retry, more=more,
    )  # fmt: skip


def repeated_later(attempt: Attempt) -> Attempt:
    """An attempt that is not its run's last, where a rule makes its status depend on that."""
    mapped = None if attempt.more is None else attempt.more.mapped
    if mapped is None or mapped.later is None or attempt.ended_ns is None:
        return attempt
    return msgspec.structs.replace(
        attempt,
        status=mapped.later,
        flags=attempt.flags | words.FLAG_OUTCOME_INFERRED,
        error_no=mapped.later_error_no or attempt.error_no,
        will_retry=mapped.later_retry,
    )


def _error(span: SpanFact, logs: list[LogFact]) -> tuple[int | None, int | None]:
    """The span's own exception, else the last logged one, else the span's status."""
    if span.error < 2:
        for log in reversed(logs):
            if log.kind == LogKind.EXCEPTION:
                return log.error_no, log.message_no
    return span.error_no, span.message_no


class _End(NamedTuple):
    """How an attempt ended, or stands.

    While it runs and has sent a heartbeat, `heard` is the position of the last sign of life to
    arrive, and `signs` is how many there are.
    """

    status: int
    ended_ns: int | None
    error_no: int | None
    message_no: int | None
    heartbeat_ns: int | None = None
    heard: int | None = None
    signs: int | None = None


def _open_end(candidate: Candidate, abandoned: Abandoned, logs: list[LogFact]) -> _End:
    ends = [log for log in logs if log.kind == LogKind.ENDED]
    errors = [log for log in logs if log.kind == LogKind.EXCEPTION]
    if ends:
        end = ends[-1]
        error = errors[-1] if errors and end.message_no is None else end
        status = words.UNKNOWN if end.status is None else end.status
        return _End(status, end.time_ns, error.error_no, error.message_no)
    alive = [log for log in logs if log.kind != LogKind.EXCEPTION]
    last = abandoned.last_of(candidate, logs)
    if last is not None and not _lives_on(alive, last):
        error_no = errors[-1].error_no if errors else last.error_no
        message_no = errors[-1].message_no if errors else words.NO_HEARTBEAT_NO
        ended = max(last.last_heartbeat_ns, candidate.start_ns)
        return _End(words.ABANDONED, ended, error_no, message_no)
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


def repeated_by(candidate: Candidate, references: References, before: int | None) -> int | None:
    """The number of the attempt that this one repeats: as said, if it is an earlier one of the
    run, else the one before."""
    found = references.find(candidate)
    if isinstance(found, Candidate) and found.number < candidate.number:
        return found.number
    return before
