"""What a part of a page changes: each run before and after, and the same by task."""

from collections.abc import Iterable, Iterator

import msgspec

from projections.runs.derive import Run


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A run before and after a page, which differ; None where there is nothing to show."""

    run_no: int
    tenant_no: int
    task_no: int
    hash: int
    new_task: bool  # no row of this task was ever written
    old: Run | None
    new: Run | None


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
    if first.old == second.new:
        return None
    return msgspec.structs.replace(second, old=first.old, new_task=False)


def apart(changes: Iterable[Change]) -> list[Change]:
    """The same changes, fit to be applied in any parts, and after others of the same task."""
    return [msgspec.structs.replace(change, new_task=False) for change in changes]


encode_change = msgspec.msgpack.Encoder().encode
decode_change = msgspec.msgpack.Decoder(Change).decode
