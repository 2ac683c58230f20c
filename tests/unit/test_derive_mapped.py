"""What mapping rules say of attempts: kept whatever they are below, concluded from later ones."""

from projections.runs import words
from projections.runs.more import Mapped, More
from tests.unit.test_derive import numbers, run_of, span


def test_a_mapped_span_below_another_is_an_attempt() -> None:
    """A retry that an orchestrator nests in the try before is one; a native one is a detail."""
    outer = span(0, ids=1, end_ns=span().end_ns + 99)
    assert numbers(run_of(outer, span(1, parent=1))) == [(1, 0)]
    assert numbers(run_of(outer, span(1, parent=1, more=More(mapped=Mapped())))) == [(1, 0), (2, 1)]


def test_a_later_attempt_tells_that_one_failed() -> None:
    """Of the last one nothing is said; what is concluded of the others is told as such."""
    hangs = More(mapped=Mapped(later=words.FAILED, later_retry=True, later_error_no=4))
    one = span(0, status=words.UNKNOWN, error_no=5, more=hangs)
    two = span(9, status=words.UNKNOWN, error_no=5, more=hangs)
    first, last = run_of(one, two).attempts
    assert (first.status, first.will_retry, first.error_no) == (words.FAILED, True, 4)
    assert first.flags & words.FLAG_OUTCOME_INFERRED
    assert (last.status, last.will_retry, last.error_no) == (words.UNKNOWN, None, 5)
    (alone,) = run_of(one).attempts
    assert alone.status == words.UNKNOWN


def test_what_tells_only_of_an_end_is_that_of_the_attempt_that_runs() -> None:
    """RQ's worker says of a job whose process was killed that it failed: one attempt, not two."""
    more = More(mapped=Mapped(flags=words.FLAG_OUTCOME_INFERRED, only_ends=True))
    begun = span(0, ids=1, end_ns=0, more=More(mapped=Mapped()))
    told = span(9, ids=2, status=words.ABANDONED, more=more)
    (attempt,) = run_of(begun, told).attempts
    assert (attempt.status, attempt.started_ns, attempt.ended_ns) == (
        words.ABANDONED, begun.start_ns, told.start_ns,
    )  # fmt: skip
    assert run_of(told, begun) == run_of(begun, told)
    (alone,) = run_of(told).attempts
    assert (alone.status, alone.started_ns) == (words.ABANDONED, told.start_ns)


def test_an_end_is_not_that_of_an_attempt_that_has_ended_or_comes_later() -> None:
    """Then it is an attempt by itself, at the time when it was told."""
    more = More(mapped=Mapped(only_ends=True))
    told = span(9, ids=2, status=words.ABANDONED, more=more)
    ended = span(0, ids=1, more=More(mapped=Mapped()))
    later = span(20, ids=3, end_ns=0, more=More(mapped=Mapped()))
    assert [a.status for a in run_of(ended, told, later).attempts] == [
        words.COMPLETED, words.ABANDONED, words.RUNNING,
    ]  # fmt: skip
