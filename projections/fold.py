"""All projections applied together, page by page: `make_fold`.

A page passes the shared stage once (events -> facts by run -> runs before and after), and each
selected projection writes the difference. The fold works inside the caller's transaction.
"""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Final

from events.log.port import Page
from projections.engine.port import Fold, Projection, Sources
from projections.engine.side.messages import Message
from projections.engine.side.process import Sender
from projections.runs import words
from projections.runs.extraction import Extractor
from projections.runs.registry.numbers import Registry
from projections.runs.registry.runs import RunStage
from projections.runs.registry.tasks import TABLES as TASK_TABLES
from projections.storage.sorted_runs import SortedRuns
from projections.storage.spanindex import SpanIndex
from projections.storage.statements import run_script
from projections.storage.store import Store
from projections.views.attempts.store import AttemptStore
from projections.views.error_patterns.store import ErrorStore
from projections.views.execution_history.store import HistoryStore
from projections.views.runs.store import RunStore
from projections.views.task_metrics.store import MetricStore
from projections.views.tasks.store import TaskStore

STAGE_NAME = "facts"
_SPANS: Final = SpanIndex()
_TASKS: Final = SortedRuns(TASK_TABLES, filtered=True)


class FactsProjection:
    """The shared stage's tables; every fold has them."""

    name = STAGE_NAME
    version = 3
    tables: Sequence[str] = (
        "status_word", "tenant", "task_key", "run_key", "run_hash", "executor", "source",
        "fingerprint", "loose_log", *_SPANS.tables, *_TASKS.tables,
    )  # fmt: skip

    def create(self, connection: sqlite3.Connection) -> None:
        """Create the tables, the status words, and the SQL views over all projections' tables."""
        run_script(connection, "projections.runs.registry", "schema.sql")
        _SPANS.create(connection)
        _TASKS.create(connection)
        run_script(connection, "projections.views", "sqlviews.sql")
        connection.executemany(
            "INSERT INTO status_word VALUES (?, ?)", enumerate(words.STATUS_WORDS)
        )

    def index(self, connection: sqlite3.Connection) -> None:
        """The shared stage has no secondary index: it looks up while it folds."""


class RunFold:
    """The `Fold` of everything that is told by runs: extractor, stage, and stores in turn."""

    def __init__(self, targets: Collection[str] | None) -> None:
        self._registry = Registry()
        self.stage = RunStage(self._registry)
        self.extractor = Extractor(self._registry)
        stores = [*stores_alone(self._registry), TaskStore(self.stage, self._registry)]
        self.stores = [s for s in stores if targets is None or s.name in targets]
        self.projections: Sequence[Projection] = (FactsProjection(), *self.stores)

    def put_aside(self, send: Callable[[Message], None]) -> None:
        """See `Divisible.put_aside`."""
        kept = [store for store in self.stores if not store.stands_alone]
        self.stores = [*kept, Sender(send, self._registry)]

    def create(self, connection: sqlite3.Connection) -> None:
        """Create every table, without secondary indexes."""
        for projection in self.projections:
            projection.create(connection)

    def index(self, connection: sqlite3.Connection) -> None:
        """Create the secondary indexes."""
        for projection in self.projections:
            projection.index(connection)

    def apply(self, connection: sqlite3.Connection, page: Page) -> None:
        """See `Fold.apply`."""
        self._registry.connection = connection
        for found in self.extractor.extract(page):
            changes = self.stage.apply(connection, found)
            if changes:
                for store in self.stores:
                    store.update(connection, changes)
        self.stage.flush(connection)
        for store in self.stores:
            store.flush(connection)

    def forget(self) -> None:
        """See `Fold.forget`."""
        self._registry.forget()
        self.stage.forget()
        self.extractor.forget()
        for store in self.stores:
            store.forget()


def stores_alone(sources: Sources) -> list[Store]:
    """The stores that need nothing but the changes, and where attempts ran."""
    return [
        AttemptStore(sources),
        RunStore(),
        MetricStore(sources),
        ErrorStore(sources),
        HistoryStore(),
    ]


def make_fold(targets: Collection[str] | None = None) -> Fold:
    """The shared stage and the projections named in `targets`; None: all.

    Raises:
        ValueError: a name is not that of a projection of runs.
    """
    fold = RunFold(targets)
    unknown = set(targets or ()) - {projection.name for projection in fold.projections}
    if unknown:
        raise ValueError(f"no such projection: {', '.join(sorted(unknown))}")
    return fold
