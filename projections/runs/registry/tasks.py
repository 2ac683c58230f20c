"""Numbers for tasks: found by a digest of their text, given in order of first appearance.

The digests of new tasks are random. Their rows are kept until the page ends and written in order,
all at once: in a large index that touches each of its pages once instead of many times.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from projections.runs.registry.numbers import KEPT_LIMIT, Registry
from projections.runs.words import key_hashes

_AT_ONCE: Final = 400  # SQLite allows 32,766 parameters

TaskKey = tuple[int, str]
"""What identifies a task: tenant number and task id."""


class TaskNumbers:
    """Gives numbers within the caller's transaction; keeps those of tasks met lately."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._numbers: dict[TaskKey, int] = {}
        self._unwritten: dict[int, tuple[int, TaskKey]] = {}  # by digest
        self._last: int | None = None

    def forget(self) -> None:
        """Drop what is kept in memory, written or not."""
        self._numbers.clear()
        self._unwritten.clear()
        self._last = None

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what is not written yet."""
        connection.executemany(
            "INSERT INTO task_hash VALUES (?, ?)",
            sorted((hash_, number) for hash_, (number, _) in self._unwritten.items()),
        )
        self._unwritten.clear()

    def resolve(
        self, connection: sqlite3.Connection, wanted: Sequence[TaskKey]
    ) -> tuple[list[int], set[int]]:
        """The number of each task, and which numbers were given now."""
        numbers = self._numbers
        keys = dict.fromkeys(wanted)
        missing = [key for key in keys if key not in numbers]
        if len(numbers) + len(missing) > KEPT_LIMIT:
            numbers.clear()
            missing = list(keys)
        given = self._learn(connection, missing) if missing else set()
        return [numbers[key] for key in wanted], given

    def _learn(self, connection: sqlite3.Connection, missing: list[TaskKey]) -> set[int]:
        """Make the numbers of tasks known; returns those given now."""
        tenant_name = self._registry.tenant_name
        digests = key_hashes(f"{tenant_name(tenant)}\x00{task_id}" for tenant, task_id in missing)
        stored = self._stored(connection, sorted(set(digests)))
        unknown = dict(zip(digests, missing, strict=True))
        if stored or len(unknown) < len(missing):
            unknown = self._probed(connection, missing, digests, stored)
        return self._insert(connection, unknown)

    def _probed(
        self,
        connection: sqlite3.Connection,
        missing: list[TaskKey],
        digests: list[int],
        stored: dict[int, TaskKey],
    ) -> dict[int, TaskKey]:
        """The tasks that have no row, by the digest that each will hold."""
        unknown: dict[int, TaskKey] = {}
        for key, digest in zip(missing, digests, strict=True):
            hash_ = digest
            # Another text may hold the digest: then the search goes on one above.
            while (holder := stored.get(hash_)) not in (None, key) or hash_ in unknown:
                hash_ += 1
                stored |= self._stored(connection, [hash_])
            if holder is None:
                unknown[hash_] = key
        return unknown

    def _stored(self, connection: sqlite3.Connection, hashes: Sequence[int]) -> dict[int, TaskKey]:
        """The tasks that hold these hashes; their numbers are known from now on."""
        stored: dict[int, TaskKey] = {}
        for hash_ in self._unwritten.keys() & hashes:
            number, key = self._unwritten[hash_]
            self._numbers[key] = number
            stored[hash_] = key
        for at in range(0, len(hashes), _AT_ONCE):
            part = hashes[at : at + _AT_ONCE]
            rows = connection.execute(
                "SELECT hash, task_no, tenant_no, task_id FROM task_hash JOIN task_key"
                f" USING (task_no) WHERE hash IN ({', '.join('?' * len(part))})",
                part,
            )
            for hash_, number, tenant_no, task_id in rows:
                self._numbers[tenant_no, task_id] = number
                stored[hash_] = tenant_no, task_id
        return stored

    def _insert(self, connection: sqlite3.Connection, unknown: dict[int, TaskKey]) -> set[int]:
        if not unknown:
            return set()
        if self._last is None:
            row = connection.execute("SELECT max(task_no) FROM task_key").fetchone()
            self._last = row[0] or 0
        given = range(self._last + 1, self._last + 1 + len(unknown))
        self._last = given[-1]
        self._numbers.update(zip(unknown.values(), given, strict=True))
        connection.executemany(
            "INSERT INTO task_key VALUES (?, ?, ?)",
            [(number, *key) for number, key in zip(given, unknown.values(), strict=True)],
        )
        self._unwritten.update(
            (hash_, (number, key))
            for number, (hash_, key) in zip(given, unknown.items(), strict=True)
        )
        return set(given)
