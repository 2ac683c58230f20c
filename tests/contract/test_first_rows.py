"""The first rows of a task, which have a way of their own, are those that every other way gives."""

import random
import sqlite3
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.runs.changes import Change, Changes, apart
from projections.runs.derive import derive, derive_all
from projections.runs.facts import RunFacts
from projections.runs.registry.numbers import Registry
from projections.runs.registry.runs import RunStage
from projections.views.runs.store import RunStore
from projections.views.store import Store
from projections.views.task_metrics.store import MetricStore
from projections.views.tasks.store import TaskStore
from tests.contract.test_long_runs import IDENTITY, Sources, facts_of, history


def _rows(store: Store, changes: list[Change]) -> list[Any]:
    """The rows of a store that takes these changes only."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    store.create(connection)
    store.update(connection, Changes(changes))
    tables = (f"SELECT * FROM {table} ORDER BY 1, 2, 3" for table in store.tables)
    return [connection.execute(select).fetchall() for select in tables]


def _first_changes(runs: list[tuple[int, float, int]]) -> list[Change]:
    """New tasks with a run each, of some history."""
    changes = []
    for task_no, (seed, oddity, attempts) in enumerate(runs, 1):
        derived = derive(facts_of(history(seed, oddity, attempts)), IDENTITY)
        if derived is not None:
            run, came = derived
            changes.append(
                Change(
                    run_no=task_no, tenant_no=1, task_no=task_no, is_first=True, hash=seed,
                    new_task=True,
                    old=None, new=run, gone=(), came=came, rest=None,
                )
            )  # fmt: skip
    return changes


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1 << 30), st.sampled_from([0.0, 0.3, 0.9]), st.sampled_from([1, 1, 1, 3])
        ),
        min_size=1,
        max_size=8,
    )
)
def test_first_rows_are_those_of_the_rule(runs: list[tuple[int, float, int]]) -> None:
    """Of tasks and of their metrics, whatever the run."""
    changes = _first_changes(runs)
    assert Changes(changes).first or not changes
    assert not Changes(apart(changes)).first
    sources = Sources()
    for make in (lambda: TaskStore(RunStage(Registry()), sources), lambda: MetricStore(sources)):
        assert _rows(make(), changes) == _rows(make(), apart(changes))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from([0.0, 0.3, 0.9]), st.sampled_from([1, 4]))
def test_the_times_of_a_run_are_those_that_are_not_stored(
    seed: int, oddity: float, attempts: int
) -> None:
    """First start, last end and execution follow from what its row holds, for any run."""
    changes = _first_changes([(seed, oddity, attempts)])
    connection = sqlite3.connect(":memory:", isolation_level=None)
    store = RunStore(Sources())
    store.create(connection)
    store.update(connection, Changes(changes))
    select = "SELECT first_started_ns, last_ended_ns, total_execution_ns FROM run_summary"
    runs = [change.new for change in changes if change.new is not None]
    assert connection.execute(select).fetchall() == [
        (run.first_started_ns, run.last_ended_ns, run.total_execution_ns) for run in runs
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from([0.0, 0.3, 0.9]))
def test_a_run_of_one_span_is_what_all_rules_give(seed: int, oddity: float) -> None:
    """Whatever the span: derive() has a short way for it."""
    spans = facts_of(history(seed, oddity, 3)).spans
    for span in spans:
        facts = RunFacts([span], [], [])
        assert derive(facts, IDENTITY) == derive_all(facts, IDENTITY)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from([0.0, 0.3, 0.9]), st.integers(2, 7))
def test_a_run_of_several_spans_is_what_all_rules_give(
    seed: int, oddity: float, attempts: int
) -> None:
    """As they come, and with a number each, in any order, some below others: derive() has a short
    way for those that lie below none."""
    chance = random.Random(seed)
    spans = facts_of(history(seed, oddity, attempts)).spans
    parents = [b"", b"", b"", b"\x07" * 8, *(span.span_id for span in spans)]
    numbers = chance.sample(range(1, 100), len(spans))
    below = [
        msgspec.structs.replace(span, number=number, parent_span_id=chance.choice(parents))
        for span, number in zip(spans, numbers, strict=True)
    ]
    plain = [
        msgspec.structs.replace(
            span, more=None, queues=False, parent_span_id=b"", end_ns=span.start_ns + 5
        )
        for span in below
    ]
    for told in (spans, below, plain):
        facts = RunFacts(told, [], [])
        assert derive(facts, IDENTITY) == derive_all(facts, IDENTITY)
