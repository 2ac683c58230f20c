"""A small group told by changes: attempts of each run, and of each task by new minus old.

`poison` are numbers of runs that it stumbles over, for as long as they stand there.
"""

import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from projections.assembly import make_folds
from projections.engine.port import Fold
from projections.fold import make_fold
from projections.runs.changes import Changes
from projections.views.store import Store

NAME = "tally"
ALONE: Final = frozenset({"traces", "spans", "triage", "recovery_actions"})
"""The projections that read pages."""
_DDL = (
    "CREATE TABLE toy_tally (run_no INTEGER PRIMARY KEY, attempts INTEGER NOT NULL)",
    "CREATE TABLE toy_tally_task (task_no INTEGER PRIMARY KEY, attempts INTEGER NOT NULL)",
)


class Tally(Store):
    """Counts attempts; writes runs at once and tasks at the end of a page."""

    name = NAME
    tables = ("toy_tally", "toy_tally_task")
    stands_alone = False  # the second process of a rebuild does not know it

    def __init__(self, maker: "MakeTallied", configuration: Mapping[str, Any]) -> None:
        self.version = maker.version
        self.configuration = configuration
        self._maker = maker
        self._added: dict[int, int] = {}

    def create(self, connection: sqlite3.Connection) -> None:
        for statement in _DDL:
            connection.execute(statement)

    def index(self, connection: sqlite3.Connection) -> None:
        """There is none."""

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        time.sleep(self._maker.slow_s)
        factor = self.configuration.get("factor", 1)
        for change in changes:
            before, after = (
                0 if run is None else factor * run.attempts for run in (change.old, change.new)
            )
            connection.execute("DELETE FROM toy_tally WHERE run_no = ?", (change.run_no,))
            connection.execute("INSERT INTO toy_tally VALUES (?, ?)", (change.run_no, after))
            task_no = change.task_no
            self._added[task_no] = self._added.get(task_no, 0) + after - before
            if change.run_no in self._maker.poison:
                raise KeyError(f"run {change.run_no}")

    def flush(self, connection: sqlite3.Connection) -> None:
        connection.executemany(
            "INSERT INTO toy_tally_task VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET attempts = attempts + excluded.attempts",
            list(self._added.items()),
        )
        self._added.clear()

    def forget(self) -> None:
        self._added.clear()


class MakeTallied:
    """`projections.engine.versions.MakeFolds` of this release with one group more.

    `version` and `factor` (its configuration) are those of the group, and may be changed; so may
    `slow_s`, the time that it takes for some changes.
    """

    def __init__(self, poison: Collection[int] = (), version: int = 1, factor: int = 1) -> None:
        self.poison = set(poison)
        self.slow_s = 0.0
        self.version = version
        self.factor = factor

    def __call__(
        self,
        names: Collection[str] | None = None,
        configured: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Sequence[Fold]:
        configuration = {"factor": self.factor}
        if configured is not None:
            configuration = dict(configured.get(NAME, configuration))
        group = Tally(self, configuration)
        told = None if names is None else set(names) - ALONE
        wanted = ALONE if names is None else ALONE & set(names)
        others = make_folds(wanted, configured) if wanted else ()
        if told is None or told:
            return [make_fold(told, configured, [group]), *others]
        return list(others)
