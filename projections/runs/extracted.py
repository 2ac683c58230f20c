"""What a page says: facts by run, those that leave one, and log records that name no task."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from projections.runs.facts import Fact, LogFact, RunFacts, without

RunKey = tuple[int, str, str]
"""What identifies a run: tenant number, task id, run id (the trace id in hex if none is said)."""


Origin = tuple[int, int]
"""Where an event stands in the log: partition and position."""


class Loose(NamedTuple):
    """A log record that names a span but no task."""

    tenant_no: int
    trace_id: bytes
    span_id: bytes
    origin: Origin


class Extracted(NamedTuple):
    """The facts of a page: by run in order of appearance, and log records that name no task.

    Of these nothing is said yet, as most belong to no task's span: `recall` gives the facts of
    any that came up to here, read from the log again if they are not at hand any more.
    """

    runs: dict[RunKey, RunFacts]
    loose: list[Loose]
    recall: Callable[[Iterable[Origin]], list[LogFact]]
    gone: dict[RunKey, set[bytes]]
    """Ids of facts that leave a run, before it takes in others."""

    def enter(self, key: RunKey, fact: Fact) -> None:
        """Give a run a fact."""
        self.facts_of(key).add(fact)

    def leave(self, key: RunKey, event_id: bytes) -> None:
        """Take a fact from a run, if it has it; the run keeps its number, also without any."""
        facts = self.facts_of(key)
        if any(fact.event_id == event_id for fact in facts.all()):
            self.runs[key] = without(facts, {event_id})
        self.gone.setdefault(key, set()).add(event_id)

    def facts_of(self, key: RunKey) -> RunFacts:
        """The facts of a run, as far as they are here."""
        facts = self.runs.get(key)
        if facts is None:
            facts = self.runs[key] = RunFacts([], [], [])
        return facts
