"""When each try of a run was put into its queue, by the spans (kind PRODUCER) that put it there."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from projections.runs.candidates import Candidate
from projections.runs.details import SpanKey, key_of, parent_of
from projections.runs.facts import SpanFact
from projections.runs.numbering import place_of

_BEFORE_ALL: Final = -(1 << 63)


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
        return _by_time(ordered, sorted(left.values())) | found

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


def _by_time(ordered: Sequence[Candidate], starts: Sequence[int]) -> dict[int, int]:
    found = {}
    before = _BEFORE_ALL
    for one in ordered:
        at = bisect_right(starts, one.start_ns)
        if at and starts[at - 1] >= before:
            found[one.number] = starts[at - 1]
        before = one.start_ns
    return found
