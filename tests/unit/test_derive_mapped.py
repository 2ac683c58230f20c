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
