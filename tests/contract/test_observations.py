"""What every `Observations` passes: kept once, found in order, by whatever it belongs to."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest

from projections.fold import FactsProjection
from projections.mapping.join.memory import MemoryObservations
from projections.mapping.join.port import Observations
from projections.mapping.observe.observation import Observation
from projections.runs.mapped.observations import StoredObservations
from projections.runs.registry.numbers import Registry

TRACE, PARENT = b"t" * 16, b"p" * 8


def _seen(number: int, **changes: object) -> Observation:
    it = Observation(
        tenant="default", event_id=number.to_bytes(16, "big"), partition=0, position=number,
        rule="r", role=1, is_log=False, kept=True, trace_id=TRACE,
        span_id=number.to_bytes(8, "big"), parent_span_id=PARENT, name="n", start_ns=number,
        end_ns=number + 1, kind=1, status_code=0, values={1: "x", 2: [(1, "y")]}, segments=None,
        instance=None, host=None, component=None, environment=None,
    )  # fmt: skip
    return msgspec.structs.replace(it, **changes)


@pytest.fixture(params=["memory", "stored", "stored and read again"])
def store(request: pytest.FixtureRequest) -> Iterator[Observations]:
    """Each implementation; one that forgets what it has in memory after each change."""
    if request.param == "memory":
        yield MemoryObservations()
        return
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        FactsProjection({}).create(connection)
        registry = Registry()
        registry.connection = connection
        stored = StoredObservations(registry)
        if request.param == "stored and read again":
            put = stored.put

            def put_and_forget(it: Observation, filed: list[bytes]) -> bool:
                known = put(it, filed)
                stored.flush(connection)
                stored.forget()
                return known

            stored.put = put_and_forget  # type: ignore[method-assign, assignment]
        yield stored


def _ids(found: list[Observation]) -> list[int]:
    return [it.position for it in found]


def test_kept_once(store: Observations) -> None:
    """The second time it is known, and it is found once, as it was."""
    assert store.put(_seen(1), [b"k" * 16])
    assert not store.put(_seen(1), [b"k" * 16])
    (found,) = store.filed("default", b"k" * 16)
    assert (found.values[1], found.start_ns, found.span_id) == ("x", 1, _seen(1).span_id)


def test_spans_of_one_id_in_order_of_start(store: Observations) -> None:
    """One id may serve several spans; other tenants and traces are apart."""
    for number in (3, 1, 2):
        store.put(_seen(number, span_id=b"s" * 8), [])
    store.put(_seen(4, span_id=b"s" * 8, tenant="other"), [])
    store.put(_seen(5, span_id=b"s" * 8, trace_id=b"u" * 16), [])
    assert _ids(store.of_span("default", TRACE, b"s" * 8)) == [1, 2, 3]
    assert _ids(store.of_span("other", TRACE, b"s" * 8)) == [4]
    assert store.of_span("default", TRACE, b"x" * 8) == []


def test_children_and_records(store: Observations) -> None:
    """Children are spans; records are log records of a span, and no spans."""
    for number in (2, 1):
        store.put(_seen(number), [])
    store.put(_seen(3, is_log=True, span_id=PARENT, parent_span_id=b""), [])
    assert _ids(store.children("default", TRACE, PARENT)) == [1, 2]
    assert _ids(store.records("default", TRACE, PARENT)) == [3]
    assert store.of_span("default", TRACE, PARENT) == []


def test_filed_by_time(store: Observations) -> None:
    """Both bounds are included; of more than the limit the first or the last ones."""
    key = b"k" * 16
    for number in (5, 1, 4, 2, 3):
        store.put(_seen(number), [key, b"l" * 16])
    assert _ids(store.filed("default", key)) == [1, 2, 3, 4, 5]
    assert _ids(store.filed("default", key, 2, 4)) == [2, 3, 4]
    assert _ids(store.filed("default", key, 2, limit=2)) == [2, 3]
    assert _ids(store.filed("default", key, 0, 4, newest=True, limit=2)) == [3, 4]
    assert store.filed("other", key) == []


def test_equal_starts_go_by_event_id(store: Observations) -> None:
    """The order is total, so that nothing depends on arrival."""
    for number in (2, 3, 1):
        store.put(_seen(number, start_ns=7, span_id=b"s" * 8), [b"k" * 16])
    assert _ids(store.filed("default", b"k" * 16)) == [1, 2, 3]
    assert _ids(store.of_span("default", TRACE, b"s" * 8)) == [1, 2, 3]
