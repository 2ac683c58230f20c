"""Numbers for tasks: found by a digest of their text, given in order of first appearance."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from events.bounded import BoundedDict, text_bytes
from projections.runs.registry.digests import Digests
from projections.runs.registry.numbers import Registry
from projections.runs.words import key_hashes

KEPT_BYTES: Final = 32 << 20
TABLES: Final = "task_hash"
_AT_ONCE: Final = 400  # SQLite allows 32,766 parameters

TaskKey = tuple[int, str]
"""What identifies a task: tenant number and task id."""


class TaskNumbers:
    """Gives numbers within the caller's transaction; keeps those of tasks met lately."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._digests = Digests(TABLES)
        self._numbers: BoundedDict[TaskKey, int] = BoundedDict(KEPT_BYTES)
        self._last: int | None = None
        self._rowless: dict[TaskKey, int] = {}

    def forget(self) -> None:
        """Drop what is kept in memory, written or not."""
        self._numbers.clear()
        self._digests.forget()
        self._last = None
        self._rowless.clear()

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what is not written yet."""
        self._digests.flush(connection)

    def resolve(
        self, connection: sqlite3.Connection, wanted: Sequence[TaskKey]
    ) -> tuple[list[int], set[int]]:
        """The number of each task, and which numbers were given now: their rows are to be written
        by `write`."""
        held = self._numbers
        numbers = {key: held[key] for key in wanted if key in held}
        missing = [key for key in dict.fromkeys(wanted) if key not in numbers]
        given: set[int] = set()
        if missing:
            given = self._learn(connection, missing, numbers)
        return [numbers[key] for key in wanted], given

    def _learn(
        self, connection: sqlite3.Connection, missing: list[TaskKey], numbers: dict[TaskKey, int]
    ) -> set[int]:
        """Add the numbers of tasks to `numbers`; returns those given now."""
        name = self._registry.tenant_name
        names = {tenant: name(tenant) for tenant in {key[0] for key in missing}}
        digests = key_hashes(f"{names[tenant]}\x00{task_id}" for tenant, task_id in missing)
        numbers |= self._stored(connection, digests)
        unknown = {
            key: digest for key, digest in zip(missing, digests, strict=True) if key not in numbers
        }
        given = self._give(connection, unknown) if unknown else {}
        numbers |= given
        for key in missing:
            self._numbers.keep(key, numbers[key], text_bytes(key[1]))
        return set(given.values())

    def _stored(self, connection: sqlite3.Connection, digests: list[int]) -> dict[TaskKey, int]:
        """The tasks that have one of these digests, and perhaps some more."""
        candidates = self._digests.candidates(connection, digests)
        stored: dict[TaskKey, int] = {}
        for at in range(0, len(candidates), _AT_ONCE):
            part = candidates[at : at + _AT_ONCE]
            rows = connection.execute(
                "SELECT tenant_no, task_id, task_no FROM task_key"
                f" WHERE task_no IN ({_places(part)})",
                part,
            )
            stored.update(((tenant_no, task_id), number) for tenant_no, task_id, number in rows)
        return stored

    def _give(
        self, connection: sqlite3.Connection, unknown: dict[TaskKey, int]
    ) -> dict[TaskKey, int]:
        if self._last is None:
            row = connection.execute("SELECT max(task_no) FROM task_key").fetchone()
            self._last = row[0] or 0
        given = dict(
            zip(unknown, range(self._last + 1, self._last + 1 + len(unknown)), strict=True)
        )
        self._last += len(unknown)
        self._rowless |= given
        for key, number in given.items():
            self._digests.add(unknown[key], number)
        return given

    def first_runs(self, connection: sqlite3.Connection, task_nos: Sequence[int]) -> list[int]:
        """The first run of each of some tasks that have a row: no digest leads to it."""
        found: list[int] = []
        for at in range(0, len(task_nos), _AT_ONCE):
            part = task_nos[at : at + _AT_ONCE]
            select = f"SELECT first_run_no FROM task_key WHERE task_no IN ({_places(part)})"
            found += (row[0] for row in connection.execute(select, part))
        return found

    def write(self, connection: sqlite3.Connection, first_runs: Mapping[int, int]) -> None:
        """Write the rows of tasks that were given numbers; `first_runs` are their first runs."""
        rows = [
            (number, key[0], first_runs[number], key[1]) for key, number in self._rowless.items()
        ]
        self._rowless.clear()
        connection.executemany(
            "INSERT INTO task_key (task_no, tenant_no, first_run_no, task_id) VALUES (?, ?, ?, ?)",
            rows,
        )


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
