"""Captures and made-up spans through observe and join, in memory, without a log."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from events import codec
from events.schema import Context, Event
from projections.mapping.join.joiner import Joiner
from projections.mapping.join.memory import MemoryObservations
from projections.mapping.join.placed import Placed, RunKey
from projections.mapping.observe.observation import Observation, Origin
from projections.mapping.observe.observer import Observer
from projections.mapping.rules.files import builtin_rules
from projections.mapping.rules.ruleset import RuleSet
from projections.runs.words import FAILURES, STATUS_WORDS
from service.otlp.decode.decoder import decode_logs, decode_traces
from service.otlp.decode.limits import Limits
from tests.captures import FOLDER, read_capture, signal_of
from tests.events import IDENTITY

TENANT = "default"


class Row(NamedTuple):
    """A row of a log with what stands around it."""

    context: bytes
    row: bytes
    event_id: bytes


def capture_rows(name: str, signals: Sequence[str] = ("traces", "logs")) -> list[Row]:
    """The rows of a capture, such as `celery/default`."""
    rows: list[Row] = []
    for path in sorted((FOLDER / name).glob("*.b64")):
        if signal_of(path) in signals:
            decode = decode_traces if signal_of(path) == "traces" else decode_logs
            for group in decode(read_capture(path), Limits()).groups:
                digest = IDENTITY.context_digest(TENANT, group.context)
                ids = IDENTITY.event_ids(digest, group.rows)
                found = zip(group.rows, ids, strict=True)
                rows += [Row(group.context, row, event_id) for row, event_id in found]
    return rows


def rows_of(context: Context, events: Iterable[Event]) -> list[Row]:
    """The rows of events under one context."""
    data = codec.encode_context(context)
    rows = [codec.encode_event(event) for event in events]
    ids = IDENTITY.event_ids(IDENTITY.context_digest(TENANT, data), rows)
    return [Row(data, row, event_id) for row, event_id in zip(rows, ids, strict=True)]


def observed(rows: Iterable[Row], rules: RuleSet | None = None) -> list[Observation]:
    """The observations of rows, each decoded only if the marks want it."""
    observer = Observer(rules or builtin_rules())
    found = []
    for position, it in enumerate(rows, 1):
        sight = observer.at(it.context)
        if sight is not None and sight.wants(it.row):
            origin = Origin(TENANT, it.event_id, 0, position)
            seen = sight.observe(it.row, origin)
            if seen is not None:
                found.append(seen)
    return found


Facts = dict[tuple[RunKey, bytes], Placed]


def joined(
    observations: Sequence[Observation], rules: RuleSet | None = None, at_once: int = 1
) -> Facts:
    """The facts that are left when observations arrive so many at once."""
    joiner = Joiner(rules or builtin_rules(), MemoryObservations())
    facts: Facts = {}
    for first in range(0, len(observations), at_once):
        arrival = joiner.arrive(observations[first : first + at_once])
        for key in arrival.retracted:
            del facts[key]
        for fact in arrival.placed:
            facts[fact.run, fact.fact_id] = fact
    return facts


def shuffled(items: Sequence[Any], seed: int) -> list[Any]:
    """The items in another order, some of them twice."""
    choice = random.Random(seed)
    found = [*items, *choice.sample(list(items), len(items) // 3)]
    choice.shuffle(found)
    return found


def captures() -> list[str]:
    """The names of all captures with expected attempts."""
    return sorted(str(path.parent.relative_to(FOLDER)) for path in FOLDER.rglob("attempts.json"))


def attempts_of(facts: Facts) -> list[dict[str, Any]]:
    """The attempts that facts are, by start; an ordinal number is the place in the run."""
    runs: dict[tuple[str, str], list[Placed]] = defaultdict(list)
    for fact in facts.values():
        if not fact.queues:
            runs[fact.run.task_id, fact.run.run_id].append(fact)
    return [
        _attempt_of(fact, place, place < len(run))
        for run in runs.values()
        for place, fact in enumerate(sorted(run, key=lambda fact: fact.start_ns), 1)
    ]


def _attempt_of(fact: Placed, place: int, is_later: bool) -> dict[str, Any]:
    outcome = fact.if_later if is_later and fact.if_later else fact.outcome
    failed = outcome.status in FAILURES
    return {
        "system": fact.system, "run": fact.run.run_id, "task": fact.run.task_id,
        "n": fact.number or place, "status": STATUS_WORDS[outcome.status],
        "start_ns": fact.start_ns, "end_ns": fact.end_ns, "queue": fact.queue,
        "executor": fact.executor, "error_type": fact.error_type if failed else None,
        "error": fact.error_message if failed else None, "trace": fact.trace_id.hex(),
        "span": fact.span_id.hex(),
    }  # fmt: skip
