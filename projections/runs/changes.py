"""What a part of a page changes: each run before and after, and the same by task."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from projections.runs.attempt import Attempt
from projections.runs.derive import Derived
from projections.runs.scopes import Counts, Rest, Scope, Sources, outcome
from projections.runs.summary import Run


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A run before and after a page, which differ; None where there is nothing to show.

    Of its attempts only those are told that went or came; one that changed went and came.
    """

    run_no: int
    tenant_no: int
    task_no: int
    is_first: bool  # the first run of its task
    hash: int
    new_task: bool  # no row of this task was ever written
    old: Run | None
    new: Run | None
    gone: Sequence[Attempt]
    came: Sequence[Attempt]
    rest: Rest | None  # None: there was no run


class Difference(msgspec.Struct, frozen=True, gc=False):
    """What a change says of a run, without its numbers."""

    old: Run | None
    new: Run | None
    gone: Sequence[Attempt]
    came: Sequence[Attempt]
    rest: Rest | None


def difference(old: Derived | None, new: Derived | None, sources: Sources) -> Difference | None:
    """What changed between two states of a run; None if nothing did."""
    if old == new:
        return None
    if old is None:
        assert new is not None
        return Difference(None, new.run, (), new.attempts, None)
    before = {attempt.number: attempt for attempt in old.attempts}
    after = {} if new is None else {attempt.number: attempt for attempt in new.attempts}
    gone = [attempt for number, attempt in before.items() if after.get(number) != attempt]
    came = [attempt for number, attempt in after.items() if before.get(number) != attempt]
    new_run = None if new is None else new.run
    rest = Counts(sources, old.attempts).change(old.run, new_run, gone, came)
    return Difference(old.run, new_run, gone, came, rest)


class Changes:
    """Changes in order of their runs' numbers.

    `first` are the only changes of tasks that had no row, each with its run: in some loads most
    are, and what they add to tables by task needs neither look-up nor sum. `by_task` has the
    changes of each other task.
    """

    __slots__ = ("_every", "by_task", "first")

    def __init__(self, every: list[Change]) -> None:
        self._every = every
        self.first: list[tuple[Change, Run]] = []
        self.by_task: list[list[Change]] = []
        for changes in _grouped(every):
            change = changes[0]
            if change.new_task and len(changes) == 1 and change.new is not None:
                self.first.append((change, change.new))
            else:
                self.by_task.append(changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self._every)

    def __bool__(self) -> bool:
        return bool(self._every)


def _grouped(every: Iterable[Change]) -> Iterable[list[Change]]:
    groups: dict[int, list[Change]] = {}
    for change in every:
        group = groups.get(change.task_no)
        if group is None:
            groups[change.task_no] = [change]
        else:
            group.append(change)
    return groups.values()


def merged(first: Change, second: Change) -> Change | None:
    """Two changes of one run, one behind the other, as one; None if nothing is left of them."""
    states = _States(first, second)
    if first.old == second.new and not states.gone and not states.came:
        return None
    return msgspec.structs.replace(
        second,
        old=first.old,
        new_task=False,
        gone=states.gone,
        came=states.came,
        rest=None if first.rest is None else _rests(first, second, states),
    )


class _States:
    """The attempts that two changes touch, before both and after both."""

    def __init__(self, first: Change, second: Change) -> None:
        self.before: dict[int, Attempt | None] = {}
        self.after: dict[int, Attempt | None] = {}
        for change in (first, second):
            gone = {attempt.number: attempt for attempt in change.gone}
            came = {attempt.number: attempt for attempt in change.came}
            for number in gone.keys() | came.keys():
                self.before.setdefault(number, gone.get(number))
                self.after[number] = came.get(number)
        changed = [n for n in sorted(self.before) if self.before[n] != self.after[n]]
        self.gone = [one for n in changed if (one := self.before[n]) is not None]
        self.came = [one for n in changed if (one := self.after[n]) is not None]


def _rests(first: Change, second: Change, states: _States) -> Rest:
    """What becomes of the run where its attempts did not change, through both."""
    one, two = first.rest or Rest(), second.rest or Rest()
    entered = (set(one.entered) - set(two.left)) | (set(two.entered) - set(one.left))
    left = (set(one.left) - set(two.entered)) | (set(two.left) - set(one.entered))
    stayed: set[Scope] = set()
    failures: dict[int, int] = {}
    old, new = first.old, second.new
    if old is not None and new is not None:
        if outcome(old) != outcome(new):
            stayed = (set(two.stayed) - set(one.entered)) | (set(one.stayed) - set(two.left))
            stayed |= set(one.left) & set(two.entered)
        if old.completed != new.completed:
            failures = _failures_left(first, second, states)
    return Rest(
        tuple(sorted(entered)), tuple(sorted(left)), tuple(sorted(stayed)), tuple(failures.items())
    )


def _failures_left(first: Change, second: Change, states: _States) -> dict[int, int]:
    """Failures that neither went nor came through both, by fingerprint.

    The change in which the outcome turned knows them, but for those that it touched itself.
    """
    is_first = first.old is not None and first.new is not None
    is_first = is_first and first.old.completed != first.new.completed  # type: ignore[union-attr]
    turned, other_side = (first, second.gone) if is_first else (second, first.came)
    counts = dict((turned.rest or Rest()).failures)
    known = {attempt.number for attempt in (*turned.gone, *turned.came)}
    parts = [(-1, [attempt for attempt in other_side if attempt.number not in known])]
    same = (states.before[n] for n in states.before if states.before[n] == states.after[n])
    parts.append((1, [attempt for attempt in same if attempt is not None]))
    for sign, attempts in parts:
        for attempt in attempts:
            number = attempt.error_no
            if number is not None and attempt.tells_failure:
                counts[number] = counts.get(number, 0) + sign
    return {number: count for number, count in counts.items() if count}


def apart(changes: Iterable[Change]) -> list[Change]:
    """The same changes, fit to be applied in any parts, and after others of the same task."""
    return [msgspec.structs.replace(change, new_task=False) for change in changes]


encode_change = msgspec.msgpack.Encoder().encode
decode_change = msgspec.msgpack.Decoder(Change).decode
