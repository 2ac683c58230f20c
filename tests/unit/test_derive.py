"""Facts of a run become attempts: numbers, statuses, times."""

import itertools
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from projections.runs import words
from projections.runs.attempt import Attempt
from projections.runs.derive import derive, derive_all
from projections.runs.facts import AbandonFact, LogFact, LogKind, RunFacts, SpanFact
from projections.runs.more import More
from tests.events import BASE_NS, SECOND_NS, span_id, trace_id

IDENTITY = ("default", "task-1", "run-1")
_serial = itertools.count(1)

BAD, BOOM = 1, 2  # numbers of messages


def span(at_s: int = 0, *, ids: int | None = None, parent: int = 0, **changes: Any) -> SpanFact:
    """A completed span of one second, `at_s` seconds after the base."""
    number = next(_serial)
    start_ns = BASE_NS + at_s * SECOND_NS
    values: dict[str, Any] = {
        "event_id": number.to_bytes(16, "big"),
        "partition": 0,
        "position": number,
        "trace_id": trace_id(1),
        "span_id": span_id(number + 1_000 if ids is None else ids),
        "parent_span_id": span_id(parent) if parent else b"",
        "start_ns": start_ns,
        "end_ns": start_ns + SECOND_NS,
        "number": None,
        "status": words.COMPLETED,
        "queues": False,
        "source_no": 1,
        "error": 0,
        "error_no": None,
        "message_no": None,
        "name": None,
        "group_id": None,
        "queued_ns": None,
        "max_attempts": None,
        "more": None,
    }
    return SpanFact(**values | changes)


def failed(at_s: int = 0, **changes: Any) -> SpanFact:
    return span(at_s, status=words.FAILED, error=2, error_no=7, message_no=BAD, **changes)


def log(kind: LogKind, at_s: int = 0, *, ids: int | None = 1, **changes: Any) -> LogFact:
    """A log record of span `ids`, `at_s` seconds after the base."""
    number = next(_serial)
    values: dict[str, Any] = {
        "event_id": number.to_bytes(16, "big"),
        "partition": 0,
        "position": number,
        "kind": kind,
        "loose": False,
        "trace_id": trace_id(1),
        "span_id": b"" if ids is None else span_id(ids),
        "time_ns": BASE_NS + at_s * SECOND_NS,
        "number": None,
        "status": None,
        "source_no": 1,
        "error_no": None,
        "message_no": None,
        "progress": None,
        "name": None,
        "group_id": None,
        "queued_ns": None,
        "max_attempts": None,
        "more": None,
    }
    return LogFact(**values | changes)


def lost(last_s: int, *, ids: int = 1, **changes: Any) -> AbandonFact:
    number = next(_serial)
    last_ns = BASE_NS + last_s * SECOND_NS
    fact = AbandonFact(
        number.to_bytes(16, "big"), trace_id(1), span_id(ids), last_ns + 9, last_ns, 5
    )
    return msgspec.structs.replace(fact, **changes)


def run_of(*facts: SpanFact | LogFact | AbandonFact) -> Any:
    """The run, with its attempts in place of how many there are."""
    run = maybe_run_of(*facts)
    assert run is not None
    return run


def maybe_run_of(*facts: SpanFact | LogFact | AbandonFact) -> Any:
    derived = derive(
        RunFacts(
            [f for f in facts if isinstance(f, SpanFact)],
            [f for f in facts if isinstance(f, LogFact)],
            [f for f in facts if isinstance(f, AbandonFact)],
        ),
        IDENTITY,
    )
    if derived is None:
        return None
    assert derived.run.attempts == len(derived.attempts)
    values = {name: getattr(derived.run, name) for name in derived.run.__struct_fields__}
    return SimpleNamespace(**values | {"attempts": derived.attempts})


def numbers(run: Any) -> list[tuple[int, int]]:
    """(number, start in seconds after the base) of each attempt."""
    return [(a.number, (a.started_ns - BASE_NS) // SECOND_NS) for a in run.attempts]


def only(run: Any) -> Attempt:
    (attempt,) = run.attempts
    assert isinstance(attempt, Attempt)
    return attempt


# Numbers


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([(None, 0)], [(1, 0)]),
        ([(None, 5), (None, 1), (None, 3)], [(1, 1), (2, 3), (3, 5)]),
        ([(1, 0), (2, 5)], [(1, 0), (2, 5)]),
        ([(3, 0)], [(3, 0)]),
        ([(1, 0), (1, 5)], [(1, 0), (2, 5)]),
        ([(1, 5), (1, 0), (2, 9)], [(1, 0), (2, 9), (3, 5)]),
        ([(2, 4), (None, 0), (None, 9)], [(1, 0), (2, 4), (3, 9)]),
        ([(1, 4), (None, 0)], [(1, 4), (2, 0)]),
        ([(1, 0), (1, 1), (1, 2)], [(1, 0), (2, 1), (3, 2)]),
        ([(0, 0)], [(1, 0)]),
        ([(0, 0), (1, 5), (2, 9)], [(1, 0), (2, 5), (3, 9)]),
        ([(0, 5), (1, 0)], [(1, 5), (2, 0)]),
        ([(0, 0), (0, 5), (1, 9)], [(1, 0), (2, 9), (3, 5)]),
        ([(0, 0), (None, 5)], [(1, 0), (2, 5)]),
    ],
)
def test_numbers(claims: list[tuple[int | None, int]], expected: list[tuple[int, int]]) -> None:
    """Numbers that are said hold; of two tries that say one, the later gets the next free one.

    Numbers that begin at 0 are shifted together.
    """
    for order in itertools.permutations(claims):
        run = run_of(*(span(at_s, number=number) for number, at_s in order))
        assert numbers(run) == expected


def test_a_moved_number_is_marked() -> None:
    """Both attempts are kept, and the one with another number than it said shows it."""
    run = run_of(span(0, number=1), span(5, number=1))
    assert [bool(a.flags & words.FLAG_NUMBER_MOVED) for a in run.attempts] == [False, True]


def test_a_number_by_order_is_marked_as_inferred() -> None:
    """The sender did not say it."""
    assert only(run_of(span())).flags & words.FLAGS_INFERRED
    assert not only(run_of(span(number=1))).flags & words.FLAGS_INFERRED


def test_equal_starts_are_told_apart_by_event_id() -> None:
    """Never by arrival."""
    one, two = span(0, ids=1), span(0, ids=2)
    for order in ((one, two), (two, one)):
        assert [a.span_id for a in run_of(*order).attempts] == [span_id(1), span_id(2)]


def test_retry_of_is_the_attempt_before() -> None:
    """Even if a number between them is missing."""
    run = run_of(failed(0, number=1), span(5, number=3))
    assert [a.retry_of for a in run.attempts] == [None, 1]


@pytest.mark.parametrize(
    "said", ["1", span_id(31).hex(), words.attempt_id("default", "task-1", "run-1", 1)]
)
def test_retry_of_as_said(said: str) -> None:
    """A number, a span id or an attempt id of the run is taken."""
    last = span(9, number=3, more=More(retry_of=said))
    run = run_of(failed(0, number=1, ids=31), failed(5, number=2), last)
    assert run.attempts[-1].retry_of == 1


@pytest.mark.parametrize("name", ["span", "SPAN", "short", "attempt", "number"])
def test_retry_of_orders_tries_though_clocks_disagree(name: str) -> None:
    """Numbers that nobody said follow what is said of them, in every spelling, not the clocks."""
    said = {
        "span": "000000000000a31f",
        "SPAN": "000000000000A31F",
        "short": "a31f",
        "attempt": words.attempt_id(*IDENTITY, 1).upper(),
        "number": "1",
    }[name]
    first = failed(100, ids=0xA31F)
    retry = span(0, ids=2, more=More(retry_of=said))
    for order in ((first, retry), (retry, first)):
        run = run_of(*order)
        assert numbers(run) == [(1, 100), (2, 0)]
        assert [a.retry_of for a in run.attempts] == [None, 1]
        assert run.recovered


def test_a_chain_of_retries_is_followed_against_the_clocks() -> None:
    """Each try comes right after the one that it repeats; others stay where their clocks say."""
    chain = [
        failed(50, ids=1),
        failed(40, ids=2, more=More(retry_of=span_id(1).hex())),
        failed(30, ids=3, more=More(retry_of=span_id(2).hex())),
        span(60, ids=4),
    ]
    for order in itertools.permutations(chain):
        assert numbers(run_of(*order)) == [(1, 50), (2, 40), (3, 30), (4, 60)]


@pytest.mark.parametrize("said", ["ffff", "9", "x", "", "-", "1" * 400])
def test_an_unknown_target_orders_nothing(said: str) -> None:
    """The clocks decide, and the attempt before is taken for the one that was repeated."""
    run = run_of(failed(0, number=1), span(5, more=More(retry_of=said)))
    assert (numbers(run), run.attempts[1].retry_of) == ([(1, 0), (2, 5)], 1)


def test_tries_that_repeat_each_other_in_a_circle_follow_their_clocks() -> None:
    """Nothing is lost, and the order is the same whatever comes first."""
    circle = [span(at, ids=at, more=More(retry_of=span_id(at % 3 + 1).hex())) for at in (1, 2, 3)]
    own = span(9, ids=9, more=More(retry_of=span_id(9).hex()))
    for order in itertools.permutations([*circle, own]):
        assert [n for n, _ in numbers(run_of(*order))] == [1, 2, 3, 4]
        assert numbers(run_of(*order)) == [(1, 1), (2, 3), (3, 2), (4, 9)]


def test_retry_of_counts_from_where_the_numbers_begin() -> None:
    """A sender that counts from 0 means its own number 0."""
    run = run_of(failed(0, number=0), failed(5, number=1), span(9, more=More(retry_of="0")))
    assert [a.retry_of for a in run.attempts] == [None, 1, 1]


# Details


def test_spans_with_copied_attributes_are_details_at_any_depth() -> None:
    """Baggage copies the attempt's number to everything below it."""
    run = run_of(
        span(0, ids=1, number=1, end_ns=BASE_NS + 60 * SECOND_NS),
        failed(1, ids=2, parent=1, number=1),
        span(2, ids=3, parent=2),
        span(3, ids=4, parent=3, number=1),
        span(4, ids=5, parent=4, number=2),
        span(5, ids=6, parent=5, number=1),
    )
    assert numbers(run) == [(1, 0), (2, 4)]


def test_a_copy_below_a_running_attempt_is_a_detail() -> None:
    """Its parent is known from log records only, which say the number."""
    facts = (log(LogKind.STARTED, ids=1, number=1), span(1, ids=2, parent=1, number=1))
    assert only(run_of(*facts)).status == words.RUNNING


def test_a_copy_below_spans_that_say_nothing_is_a_detail() -> None:
    """Spans between them name no task: the times in the trace tell."""
    outer = span(0, ids=1, number=1, end_ns=BASE_NS + 60 * SECOND_NS)
    assert only(run_of(outer, span(5, parent=99, number=1))).span_id == span_id(1)
    assert len(run_of(outer, span(5, parent=99, number=1, trace_id=trace_id(2))).attempts) == 2
    assert len(run_of(outer, span(5, parent=99, number=2)).attempts) == 2
    assert len(run_of(outer, span(5, number=1)).attempts) == 2
    beside = span(0, parent=99, number=1, end_ns=BASE_NS + 60 * SECOND_NS)
    assert len(run_of(beside, span(5, parent=99, number=1)).attempts) == 2


def test_a_try_below_the_queueing_of_a_retry_is_an_attempt() -> None:
    """Though it says the number of the try that queued it, as some senders do."""
    run = run_of(
        span(0, ids=1, number=1, end_ns=BASE_NS + 60 * SECOND_NS),
        span(1, ids=2, parent=1, queues=True),
        span(5, ids=3, parent=2, number=1),
    )
    assert numbers(run) == [(1, 0), (2, 5)]


def test_one_span_by_two_routes_is_one_attempt() -> None:
    """A Collector may have added to the resource: two facts of one span, by its ids and times."""
    for order in itertools.permutations([failed(0, ids=1, number=1), failed(0, ids=1), span(9)]):
        run = run_of(*order)
        assert numbers(run) == [(1, 0), (2, 9)]
        assert not run.attempts[0].flags & words.FLAGS_INFERRED


def test_a_child_of_the_same_run_is_a_detail() -> None:
    """And so is its child."""
    run = run_of(span(0, ids=1), span(0, ids=2, parent=1), span(0, ids=3, parent=2))
    assert only(run).span_id == span_id(1)


def test_a_child_with_a_number_of_its_own_is_an_attempt() -> None:
    """A retry may be a child of the attempt that it repeats."""
    run = run_of(failed(0, ids=1, number=1), span(1, ids=2, parent=1, number=2))
    assert numbers(run) == [(1, 0), (2, 1)]


def test_a_child_of_a_running_attempt_is_a_detail() -> None:
    """Its parent is known by its start record only."""
    run = run_of(log(LogKind.STARTED, ids=1), span(1, ids=2, parent=1))
    assert only(run).status == words.RUNNING


def test_a_child_of_the_enqueueing_span_is_an_attempt() -> None:
    """To queue a task is no attempt of it."""
    run = run_of(span(0, ids=1, queues=True), span(5, ids=2, parent=1))
    assert numbers(run) == [(1, 5)]
    assert run.queued_ns == BASE_NS


def test_parents_in_a_circle_leave_one_attempt() -> None:
    """Nothing that arrived is invisible."""
    assert only(run_of(span(0, ids=1, parent=2), span(1, ids=2, parent=1))).span_id == span_id(1)


def test_a_span_that_is_its_own_parent_is_an_attempt() -> None:
    """Broken senders exist."""
    assert len(run_of(span(ids=1, parent=1)).attempts) == 1


# States


@pytest.mark.parametrize("status", [2, 3, 4, 5, 6, 7, 0])
def test_a_run_has_the_status_of_its_last_attempt(status: int) -> None:
    """As the sender said it."""
    assert run_of(failed(0, number=1), span(5, number=2, status=status)).status == status


def test_a_start_record_alone_is_a_running_attempt() -> None:
    """With the last heartbeat and the last progress."""
    run = run_of(
        log(LogKind.STARTED, 0),
        log(LogKind.HEARTBEAT, 30),
        log(LogKind.PROGRESS, 20, progress=0.5),
    )
    attempt = only(run)
    assert (run.status, attempt.ended_ns, attempt.progress) == (words.RUNNING, None, 0.5)
    assert attempt.heartbeat_ns == BASE_NS + 30 * SECOND_NS
    assert attempt.flags & words.FLAG_NO_SPAN


def test_the_span_ends_a_running_attempt() -> None:
    """The span's times are taken; the records stay with it."""
    run = run_of(log(LogKind.STARTED, 0, ids=1), failed(0, ids=1))
    assert only(run).status == words.FAILED
    assert only(run).heartbeat_ns is None


def test_a_span_without_an_end_runs_until_the_same_span_comes_with_one() -> None:
    """A snapshot is replaced, not counted."""
    snapshot = span(0, ids=1, end_ns=0, status=words.RUNNING)
    assert run_of(snapshot).status == words.RUNNING
    assert only(run_of(snapshot, span(0, ids=1))).status == words.COMPLETED


@pytest.mark.parametrize("status", [words.COMPLETED, words.TIMED_OUT, None])
def test_an_end_record_ends_an_attempt_without_a_span(status: int | None) -> None:
    """Without a result nobody knows how it ended, and nobody guesses."""
    run = run_of(log(LogKind.STARTED, 0), log(LogKind.ENDED, 7, status=status))
    assert run.status == (words.UNKNOWN if status is None else status)
    assert run.total_execution_ns == 7 * SECOND_NS


def test_missed_heartbeats_abandon_an_attempt() -> None:
    """It ends with its last heartbeat, as a failure of its own kind."""
    run = run_of(log(LogKind.STARTED, 0), log(LogKind.HEARTBEAT, 30), lost(30))
    attempt = only(run)
    assert (run.status, attempt.error_no) == (words.ABANDONED, 5)
    assert attempt.ended_ns == BASE_NS + 30 * SECOND_NS
    assert attempt.flags & words.FLAG_STATUS_INFERRED


def test_a_late_end_corrects_an_abandoned_attempt() -> None:
    """The span knows better."""
    facts = (log(LogKind.STARTED, 0, ids=1), lost(0), span(0, ids=1))
    assert run_of(*facts).status == words.COMPLETED


def test_a_later_heartbeat_revives_an_abandoned_attempt() -> None:
    """Its worker was slow, not gone."""
    assert run_of(log(LogKind.STARTED, 0), lost(0), log(LogKind.HEARTBEAT, 60)).status == (
        words.RUNNING
    )


@pytest.mark.parametrize("by", ["sign", "number"])
def test_attempts_known_by_number_only_are_abandoned_one_by_one(by: str) -> None:
    """They have no span; the last sign of life, or the number, says which one fell silent."""
    beat = log(LogKind.HEARTBEAT, 10, ids=None, trace_id=b"", number=1)
    facts = [
        log(LogKind.STARTED, 0, ids=None, trace_id=b"", number=1),
        beat,
        log(LogKind.STARTED, 100, ids=None, trace_id=b"", number=2),
        log(LogKind.HEARTBEAT, 200, ids=None, trace_id=b"", number=2),
    ]
    told = {"last_heartbeat_id": beat.event_id} if by == "sign" else {"number": 1}
    run = run_of(*facts, lost(10, trace_id=b"", span_id=b"", **told))
    assert [a.status for a in run.attempts] == [words.ABANDONED, words.RUNNING]
    assert run.attempts[0].ended_ns == BASE_NS + 10 * SECOND_NS


def test_a_logged_exception_is_the_error_of_its_span() -> None:
    """Where the span itself has only a status."""
    status_only = span(0, ids=1, status=words.FAILED, error=1, error_no=3, message_no=4)
    logged = log(LogKind.EXCEPTION, 0, ids=1, loose=True, error_no=9, message_no=BOOM)
    assert only(run_of(status_only, logged)).message_no == BOOM
    assert only(run_of(failed(0, ids=1), logged)).message_no == BAD


def test_a_handled_exception_is_no_error() -> None:
    """A completed attempt has none."""
    logged = log(LogKind.EXCEPTION, 0, ids=1, loose=True, error_no=9, message_no=BOOM)
    assert only(run_of(span(0, ids=1), logged)).error_no is None


def test_a_completed_attempt_has_no_error_of_its_span() -> None:
    """A span that completed and recorded an exception on its way handled it; so did its run."""
    run = run_of(span(0, ids=1, error=2, error_no=7, message_no=6))
    assert (only(run).status, only(run).error_no, only(run).message_no) == (
        words.COMPLETED, None, None,
    )  # fmt: skip
    assert run.error_no is None


def test_an_exception_alone_makes_no_attempt() -> None:
    """Nor does an abandoned attempt that nobody saw start."""
    assert maybe_run_of(log(LogKind.EXCEPTION), lost(3)) is None


def test_a_run_waits_for_its_retry() -> None:
    """The sender says that it will try again, or has queued it again."""
    again = failed(0, more=More(will_retry=True))
    assert run_of(again).status == words.RETRYING
    assert run_of(failed(0), span(9, queues=True)).status == words.RETRYING
    assert run_of(again, span(9)).status == words.COMPLETED


def test_a_queued_run_has_no_attempt() -> None:
    """Its state is known before it starts."""
    run = run_of(span(0, queues=True))
    assert (run.status, run.attempts, run.queued_ns) == (words.QUEUED, (), BASE_NS)


# Times


def test_a_recovered_run() -> None:
    """Total is the sum, wall clock from first to last, idle between; recovered after a failure."""
    run = run_of(failed(0), failed(10), span(30))
    assert run.recovered
    assert (run.total_execution_ns, run.wall_clock_ns, run.idle_ns, run.overlap_ns) == (
        3 * SECOND_NS, 31 * SECOND_NS, 28 * SECOND_NS, 0,
    )  # fmt: skip


def test_overlapping_attempts_are_never_negative_idle_time() -> None:
    """The overlap is recorded as such."""
    long = span(0, end_ns=BASE_NS + 10 * SECOND_NS)
    run = run_of(long, span(2, end_ns=BASE_NS + 10 * SECOND_NS))
    assert (run.idle_ns, run.overlap_ns) == (0, 8 * SECOND_NS)


def test_a_negative_duration_is_kept_as_an_anomaly() -> None:
    """It is marked and does not count as time."""
    run = run_of(span(0, end_ns=BASE_NS - 5))
    attempt = only(run)
    assert attempt.ended_ns == BASE_NS - 5
    assert attempt.flags & words.FLAG_NEGATIVE_DURATION
    assert (run.total_execution_ns, run.overlap_ns) == (0, 0)


def test_times_of_centuries_fit_their_columns() -> None:
    """Sums stop at 2^63 - 1."""
    far = (1 << 63) - 1
    run = run_of(*(span(0, start_ns=1, end_ns=far) for _ in range(3)))
    assert run.total_execution_ns == far


def test_two_tries_may_share_a_span_id() -> None:
    """Some orchestrators use one span id for every try; times tell them apart."""
    run = run_of(failed(0, ids=1, number=1), span(50, ids=1, number=2))
    assert numbers(run) == [(1, 0), (2, 50)]
    beat = log(LogKind.PROGRESS, 50, ids=1, progress=0.7)
    assert [a.progress for a in run_of(failed(0, ids=1), span(50, ids=1), beat).attempts] == [
        None, 0.7,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "fact",
    [
        span(0),
        span(3, number=4, status=words.SKIPPED),
        failed(0, queued_ns=BASE_NS - 9, name="n", group_id="g", max_attempts=3),
        span(0, status=words.CANCELLED, error=1, error_no=2, message_no=6),
        span(0, error=2, error_no=7, message_no=6),
        span(0, error=2, error_no=7, message_no=6, more=More(will_retry=True)),
        span(0, end_ns=BASE_NS - 1),
        span(0, status=words.UNKNOWN),
        span(0, more=More(files_written=3, backfilled=True)),
        failed(0, more=More(will_retry=True, retry_of="1", parents=("p",))),
        span(0, more=More(will_retry=True)),
    ],
)
def test_the_short_way_gives_what_all_rules_give(fact: SpanFact) -> None:
    """A run of one ended span is derived directly; nothing else differs."""
    facts = RunFacts([fact], [], [])
    assert derive(facts, IDENTITY) == derive_all(facts, IDENTITY)


def queued_at(run: Any) -> list[int | None]:
    """When each attempt was queued, in seconds after the base."""
    return [None if a.queued_ns is None else (a.queued_ns - BASE_NS) // SECOND_NS
            for a in run.attempts]  # fmt: skip


def test_a_try_was_queued_by_the_span_that_it_lies_below() -> None:
    """The first of them, where the message was delivered twice."""
    run = run_of(
        span(0, ids=1, queues=True), span(5, ids=2, parent=1, number=1),
        span(6, ids=3, parent=2, queues=True), span(9, parent=3, number=2), span(20, parent=3),
    )  # fmt: skip
    assert queued_at(run) == [0, 6, None]


def test_a_try_without_a_parent_was_queued_last_before_it_started() -> None:
    """After the try before had started: each put into the queue counts for one try."""
    run = run_of(
        span(0, queues=True), span(1, queues=True), span(5), span(8), span(9, queues=True), span(12)
    )
    assert queued_at(run) == [1, None, 9]


def test_clocks_that_differ_make_a_negative_wait() -> None:
    """What is queued after it started is marked, and both times stay as they were told."""
    for parent in (0, 1):
        attempt = only(run_of(span(7, ids=1, queues=True), span(5, parent=parent)))
        assert attempt.queued_ns == BASE_NS + 7 * SECOND_NS
        assert attempt.flags & words.FLAG_NEGATIVE_WAIT
    told = only(run_of(span(5, queued_ns=BASE_NS + 7 * SECOND_NS)))
    assert told.flags & words.FLAG_NEGATIVE_WAIT
    assert not only(run_of(span(5, queued_ns=BASE_NS))).flags & words.FLAG_NEGATIVE_WAIT


def test_what_a_try_says_of_its_queueing_counts_first() -> None:
    """Its sender knows it best."""
    run = run_of(span(1, queues=True), span(5, queued_ns=BASE_NS + 2 * SECOND_NS))
    assert queued_at(run) == [2]
