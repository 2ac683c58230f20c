"""The mapping rules in force, as the extraction of a views file goes by them.

Observations that may need others, or be needed by them, are kept in the tables of the shared
stage. What comes may move what came before: facts leave a run for another one within the page.
"""

import sqlite3
from collections.abc import Callable, Sequence

from events.log.port import Segment
from projections.mapping.join.joiner import Joiner
from projections.mapping.observe.observation import Observation, Origin
from projections.mapping.observe.observer import NATIVE_RULES, Observer
from projections.mapping.rules.ruleset import RuleSet
from projections.runs.extracted import Extracted
from projections.runs.facts import FACT_ID
from projections.runs.mapped.fact import fact_of
from projections.runs.mapped.looking import Looking
from projections.runs.mapped.observations import StoredObservations
from projections.runs.registry.numbers import Registry


class Mapper:
    """Looks for what rules take, and places it.

    Args:
        rules: gives the rules in force; asked once, when the first page comes.
    """

    def __init__(self, registry: Registry, rules: Callable[[], RuleSet]) -> None:
        self._registry = registry
        self._rules = rules
        self._store = StoredObservations(registry)
        self._observer: Observer | None = None
        self._joiner: Joiner | None = None
        self._scanned: Segment | None = None
        self._is_quiet = False

    def forget(self) -> None:
        """Drop what is kept in memory, written or not."""
        self._scanned = None
        self._store.forget()

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what is not written yet."""
        self._store.flush(connection)

    def looking(self, context: bytes, segment: Segment) -> Looking | None:
        """What is looked for in a block of a segment; None: nothing but native spans."""
        if self._observer is None:
            self._observer = Observer(self._rules())
            self._joiner = Joiner(self._observer.rules, self._store)
        sight = self._observer.at(context)
        if sight is None or sight.is_native or (sight.is_anywhere and self._quiet(segment)):
            return None
        return Looking(sight)

    def _quiet(self, segment: Segment) -> bool:
        """Has a segment nothing that rules look for in any context? One search through it all
        costs a fifth of a search in each of its rows."""
        assert self._observer is not None
        if segment is not self._scanned:
            self._scanned = segment
            self._is_quiet = not self._observer.may_be_in(segment.content)
        return self._is_quiet

    def announce(self, row: bytes, context: bytes, origin: Origin, found: Extracted) -> bool:
        """Take in what a log record says of a span that has begun; False if no rule takes it."""
        assert self._observer is not None
        it = self._observer.observe_announced(row, context, origin)
        if it is None or not it.rule or it.rule in NATIVE_RULES:
            return False
        self.place([it], found)
        return True

    def place(self, observations: Sequence[Observation], found: Extracted) -> None:
        """Take in observations in their order; what that changes goes to `found`."""
        assert self._joiner is not None
        arrival = self._joiner.arrive(observations)
        tenant_no = self._registry.tenant_no
        for run, fact_id in arrival.retracted:
            found.leave((tenant_no(run.tenant), run.task_id, run.run_id), fact_id[FACT_ID])
        for placed in arrival.placed:
            number = tenant_no(placed.run.tenant)
            key = number, placed.run.task_id, placed.run.run_id
            found.enter(key, fact_of(placed, self._registry, number))
