"""The shared stage and the groups that it tells: `make_fold`.

A page passes the stage once (events -> facts by run -> runs before and after), and each selected
group writes the difference. The fold works inside the caller's transaction.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from events.log.port import Page
from projections import views
from projections.engine.port import Fold, Group, Projection
from projections.engine.side.messages import Message
from projections.engine.side.process import Sender
from projections.mapping.rules.files import builtin_rules
from projections.mapping.rules.ruleset import RuleSet
from projections.runs import words
from projections.runs.changes import Changes
from projections.runs.extraction import Extractor
from projections.runs.long.left_out import ATTEMPTS_LIMIT
from projections.runs.registry.loose import TABLES as LOOSE_TABLES
from projections.runs.registry.numbers import Registry
from projections.runs.registry.runs import TABLES as RUN_TABLES
from projections.runs.registry.runs import RunStage
from projections.runs.registry.tasks import TABLES as TASK_TABLES
from projections.runs.scopes import Sources
from projections.storage.configuration import Configuration
from projections.storage.sorted_runs import SortedRuns
from projections.storage.spanindex import SpanIndex
from projections.storage.statements import run_script
from projections.views.store import Store
from projections.views.tasks.store import TaskStore

STAGE_NAME = "facts"
RUN_LIMIT: Final = "max_run_attempts"
"""In the configuration of the stage: attempts that a run shows."""
MAPPINGS: Final = "mappings"
"""In the configuration of the stage: the content of the mapping rules; without it, those of the
package."""
_RUNS: Final = SortedRuns(RUN_TABLES, filtered=True)
_SPANS: Final = SpanIndex()
_LOOSE: Final = SortedRuns(LOOSE_TABLES, filtered=True)
_TASKS: Final = SortedRuns(TASK_TABLES, filtered=True)


class FactsProjection:
    """The shared stage's tables; every fold has them."""

    name = STAGE_NAME
    version = 18
    tables: Sequence[str] = (
        "status_word", "tenant", "task_key", "run_key", "run_fact", "executor",
        "source", "fingerprint", "former_fingerprint", "signature", "message", "observation",
        "observation_key",
        *_SPANS.tables, *_TASKS.tables, *_RUNS.tables, *_LOOSE.tables,
    )  # fmt: skip
    depends: Sequence[str] = ()

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration

    def create(self, connection: sqlite3.Connection) -> None:
        """Create the tables, the status words, and the SQL views over all projections' tables."""
        run_script(connection, "projections.runs.registry", "schema.sql")
        _SPANS.create(connection)
        _TASKS.create(connection)
        _RUNS.create(connection)
        _LOOSE.create(connection)
        run_script(connection, "projections.views", "sqlviews.sql")
        connection.executemany(
            "INSERT INTO status_word VALUES (?, ?)", enumerate(words.STATUS_WORDS)
        )
        connection.execute(
            "INSERT INTO message (message_no, text) VALUES (?, ?)",
            (words.NO_HEARTBEAT_NO, "no heartbeat"),
        )

    def index(self, connection: sqlite3.Connection) -> None:
        """The shared stage has no secondary index: it looks up while it folds."""


class RunFold:
    """The `Fold` of everything that is told by runs: extractor, stage, and stores in turn."""

    def __init__(
        self,
        targets: Collection[str] | None,
        configured: Mapping[str, Configuration],
        more: Sequence[Store] = (),
    ) -> None:
        self._registry = Registry()
        facts = FactsProjection(configured.get(STAGE_NAME, {}))
        self.stage = RunStage(self._registry, facts.configuration.get(RUN_LIMIT, ATTEMPTS_LIMIT))
        self.extractor = Extractor(self._registry, partial(_rules_of, facts.configuration))
        stores = [*stores_alone(self._registry), TaskStore(self.stage, self._registry), *more]
        self._stores = [s for s in stores if targets is None or s.name in targets]
        self.groups: Sequence[Group] = self._stores
        self.projections: Sequence[Projection] = (
            facts,
            *self._stores,
        )

    def put_aside(self, send: Callable[[Message], None]) -> None:
        """See `Staged.put_aside`."""
        kept = [store for store in self._stores if not store.stands_alone]
        self.groups = [*kept, Sender(send, self._registry)]

    def create(self, connection: sqlite3.Connection) -> None:
        """Create every table, without secondary indexes."""
        for projection in self.projections:
            projection.create(connection)

    def index(self, connection: sqlite3.Connection) -> None:
        """Create the secondary indexes."""
        for projection in self.projections:
            projection.index(connection)

    def apply(self, connection: sqlite3.Connection, page: Page) -> None:
        """See `Fold.apply`: every group applies every change."""
        for changes in self.changes(connection, page):
            for group in self.groups:
                group.update(connection, changes)
        for group in self.groups:
            group.flush(connection)

    def attach(self, connection: sqlite3.Connection) -> None:
        """See `Staged.attach`."""
        self._registry.connection = connection

    def changes(self, connection: sqlite3.Connection, page: Page) -> Iterator[Changes]:
        """See `Staged.changes`."""
        self.attach(connection)
        for found in self.extractor.extract(page):
            changes = self.stage.apply(connection, found)
            if changes:
                yield changes
        self.extractor.flush(connection)
        self.stage.flush(connection)

    def forget(self) -> None:
        """See `Fold.forget`."""
        self._registry.forget()
        self.stage.forget()
        self.extractor.forget()
        for group in self.groups:
            group.forget()


def _rules_of(configuration: Configuration) -> RuleSet:
    content = configuration.get(MAPPINGS)
    return builtin_rules() if content is None else RuleSet(content)


def stores_alone(sources: Sources) -> list[Store]:
    """The groups that need nothing but the changes, and where attempts ran."""
    return [kind(sources) for kind in _ALONE]


def _kinds_alone() -> Iterator[type[Store]]:
    """The store of each view that has one, if it stands alone."""
    for name in views.names():
        module = f"{views.__name__}.{name}.store"
        if find_spec(module) is not None:
            for kind in vars(import_module(module)).values():
                if getattr(kind, "name", None) == name and kind.stands_alone:
                    yield kind


_ALONE: Final = tuple(_kinds_alone())


def make_fold(
    targets: Collection[str] | None = None,
    configured: Mapping[str, Configuration] | None = None,
    more: Sequence[Store] = (),
) -> Fold:
    """The shared stage and the projections named in `targets` (None: all).

    `configured` are their configurations, by name; none is as good as an empty one. `more` are
    groups that are not built in.

    Raises:
        ValueError: a name is not that of a projection of runs.
    """
    fold = RunFold(targets, configured or {}, more)
    unknown = set(targets or ()) - {projection.name for projection in fold.projections}
    if unknown:
        raise ValueError(f"no such projection: {', '.join(sorted(unknown))}")
    return fold
