"""The order of a run's tries, and their numbers: where a retry's number comes from.

What is said wins over clocks. A try comes after the one that it repeats (`task.retry_of`); else
tries are in the order of (start, event id), never of arrival. A number that is said holds; of two
tries that say one number, the later gets the next free one; a try that says none gets the next
free one after the try before it.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from projections.runs import words

RunIdentity = tuple[str, str, str]
"""Tenant, task id, run id: what attempt ids are made of."""


class Try(Protocol):
    """An attempt before it has its number."""

    start_ns: int
    event_id: bytes
    claim: int  # 0: none
    number: int
    moved: bool

    @property
    def span_id(self) -> bytes: ...

    @property
    def repeats(self) -> str | None: ...


_Try = TypeVar("_Try", bound=Try)


def place_of(one: Try) -> tuple[int, bytes]:
    """Where clocks put a try."""
    return one.start_ns, one.event_id


def spelling(text: str) -> str:
    """An id or number as it is compared: tools show capitals, dashes, no leading zeros."""
    return text.strip().lower().replace("-", "").lstrip("0") or "0"


class References:
    """Finds the try that a `task.retry_of` means: by number, span id or attempt id.

    `shift` is what was added to the numbers that the run's sender says.
    """

    def __init__(self, tries: Iterable[Try], identity: RunIdentity, shift: int) -> None:
        self._identity = identity
        self._shift = shift
        self.by_number: dict[int, Try] = {}
        self._by_span: dict[str, Try] = {}
        self._ids: dict[str, int] | None = None
        self.count = 0
        for one in tries:
            self.add(one)

    def add(self, one: Try) -> None:
        """Learn of one more try; they come in order."""
        self.count += 1
        number = one.number or one.claim
        if self._ids is not None:
            numbers = (number or self.count, self.count + 1)
            self._ids.update(zip(self.attempt_ids(*numbers), numbers, strict=True))
        if number:
            self.by_number.setdefault(number, one)
        if one.span_id:
            self._by_span.setdefault(spelling(one.span_id.hex()), one)

    def find(self, one: Try) -> "Try | int | None":
        """The try that this one repeats, or the number of one that has none yet."""
        if one.repeats is None:
            return None
        text = spelling(one.repeats)
        if text.isdecimal() and len(text) <= 7:
            found = self.by_number.get(int(text) + self._shift)
            if found is not None:
                return found
        found = self._by_span.get(text)
        if found is not None:
            return found
        number = self._number_of_id(text)
        if number is None and text.isdecimal() and len(text) <= 7:
            number = int(text) + self._shift
        if number is None or (number not in self.by_number and number > self.count):
            return None
        return self.by_number.get(number, number)

    def has_span(self, one: Try) -> bool:
        """Does another try have the same span id?"""
        return spelling(one.span_id.hex()) in self._by_span

    def is_loose(self, one: Try) -> bool:
        """Does it repeat a number that no try says, but one may get?"""
        if one.repeats is None:
            return False
        text = spelling(one.repeats)
        if text.isdecimal() and len(text) <= 7:
            number: int | None = int(text) + self._shift
        else:
            number = None if text in self._by_span else self._number_of_id(text)
        if number is None:
            return False
        found = self.by_number.get(number)
        return number <= self.count + 1 if found is None else found.claim != number

    def attempt_ids(self, *numbers: int) -> Iterator[str]:
        """The ids of attempts with these numbers, as they are compared."""
        return (spelling(words.attempt_id(*self._identity, number)) for number in numbers)

    def _number_of_id(self, text: str) -> int | None:
        """The number of which an attempt id is made; leading zeros are rare."""
        if not 24 <= len(text) <= 32:
            return None
        if self._ids is None:
            numbers = [*{*self.by_number, *range(1, self.count + 2)}]
            self._ids = dict(zip(self.attempt_ids(*numbers), numbers, strict=True))
        return self._ids.get(text)


def in_order(tries: Sequence[_Try], identity: RunIdentity, shift: int) -> list[_Try]:
    """The tries as they followed each other."""
    ordered = sorted(tries, key=place_of)
    if not any(one.repeats for one in ordered):
        return ordered
    references = References(ordered, identity, shift)
    places = {id(one): place for place, one in enumerate(ordered)}
    targets: dict[int, int] = {}  # which place follows which
    later: list[tuple[int, int]] = []  # how many tries come first, and the place
    for place, one in enumerate(ordered):
        found = references.find(one)
        if isinstance(found, int):
            later.append((min(found, len(ordered) - 1), place))
        elif found is not None and found is not one:
            targets[place] = places[id(found)]
    _open_circles(targets)
    waiting = targets.keys() | {place for _, place in later}
    ready = [place for place in range(len(ordered)) if place not in waiting]
    return [ordered[place] for place in _followed(ready, targets, later)]


def _open_circles(targets: dict[int, int]) -> None:
    """Of tries that repeat each other in a circle, let the first by its clock follow none."""
    seen: set[int] = set()
    for start in list(targets):
        path: dict[int, None] = {}
        at = start
        while at in targets and at not in seen:
            seen.add(at)
            path[at] = None
            at = targets[at]
        if at in path:
            circle = list(path)
            del targets[min(circle[circle.index(at) :])]


def _followed(
    ready: list[int], targets: dict[int, int], later: list[tuple[int, int]]
) -> Iterator[int]:
    """Places, each after its target, and after as many others as it says."""
    followers: dict[int, list[int]] = {}
    for place, target in targets.items():
        followers.setdefault(target, []).append(place)
    heapq.heapify(ready)
    heapq.heapify(later)
    count = 0
    while ready or later:
        while later and (later[0][0] <= count or not ready):
            heapq.heappush(ready, heapq.heappop(later)[1])
        place = heapq.heappop(ready)
        count += 1
        yield place
        for follower in followers.get(place, ()):
            heapq.heappush(ready, follower)


class FreeNumbers:
    """Which numbers are taken, and which is the next that is free; a search is not done twice."""

    def __init__(self, taken: Iterable[int] = ()) -> None:
        self.taken = set(taken)
        self._next: dict[int, int] = {}  # from a taken number towards the next free one

    def after(self, number: int) -> int:
        """The next free number; from the beginning where the limit is reached."""
        path = []
        at = number + 1
        while at in self.taken:
            path.append(at)
            at = self._next.get(at, at + 1)
        for passed in path:
            self._next[passed] = at
        if at > words.NUMBER_LIMIT:
            return self.after(0) if number else at
        return at

    def take(self, number: int) -> int:
        """Take it."""
        self.taken.add(number)
        return number


def number(ordered: Sequence[Try]) -> None:
    """Give each try its number; see the module."""
    free = FreeNumbers()
    for one in ordered:
        if one.claim and one.claim not in free.taken:
            one.number = free.take(one.claim)
    before = 0
    for one in ordered:
        if not one.number:
            one.number = free.take(free.after(one.claim or before))
            one.moved = bool(one.claim)
        before = one.number
