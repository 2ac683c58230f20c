"""A target with `traces=by-run` gets all tries of a run under one trace id."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from events import names
from events.log.door import GroupDoor
from events.log.reader import open_reader
from events.schema import Event
from service.configuration.settings import ForwardTarget
from service.control.projector import build_projector
from service.forward.backoff import Backoff
from service.forward.by_run import PATIENCE_S
from service.forward.forwarder import Forwarder
from service.forward.operations import Operations
from service.forward.target import resolve
from tests.events import BASE_NS, SECOND_NS, make_batch, make_log, make_span, span_id, trace_id
from tests.peers.sink import Sink
from tests.serving import until

ONE, TWO, THREE, FOUR = (trace_id(number) for number in (41, 42, 43, 44))


class Ledger:
    """A log, its views, which are folded when the test says so, and what goes on to a sink."""

    def __init__(self, data: Path, sink: Sink, patience_s: float, **setting: Any) -> None:
        self._door = GroupDoor(data)
        self._projector = build_projector(data, rollback_s=3600.0)
        self._projector.open()
        values = {"start": "beginning", "traces": "by-run", "signals": ("traces", "logs")} | setting
        target = resolve(ForwardTarget(f"otlp+grpc://{sink.grpc}", **values))
        self._sink = sink
        self.forwarder = Forwarder(
            data, [target], lambda: open_reader(data), backoff=lambda: Backoff(0.02, 0.1),
            patience_s=patience_s,
        )  # fmt: skip
        self.operations = Operations(
            self.forwarder.store, lambda: open_reader(data), conditions=self.forwarder.conditions
        )

    def store(self, *events: Event, fold: bool = True, tenant: str = "default") -> None:
        """Append them as one batch, and let the views see all if wanted."""
        self._door.append(make_batch(list(events), tenant=tenant))
        if fold:
            self.fold()

    def fold(self) -> None:
        while self._projector.step():
            pass

    def told(self) -> dict[str, list[str]]:
        """Once all is sent: the names of spans and records under each trace id, as numbers."""
        until(lambda: self.operations.status()[0]["lag_events"] == 0, 30)
        told: dict[str, list[str]] = {}
        for item in self.sent():
            name = getattr(item, "name", "") or item.event_name
            told.setdefault(str(int.from_bytes(item.trace_id)), []).append(name)
        return told

    def sent(self) -> Iterator[Any]:
        """All spans and records that the sink took."""
        for received in self._sink.taken:
            field = "resource_spans" if received.signal == "traces" else "resource_logs"
            inner = ("scope_spans", "spans") if field == "resource_spans" else (
                "scope_logs", "log_records"
            )  # fmt: skip
            for resource in getattr(received.message, field):
                for scope in getattr(resource, inner[0]):
                    yield from getattr(scope, inner[1])

    def close(self) -> None:
        self._projector.close()
        self._door.close()


@contextlib.contextmanager
def forwarding(data: Path, patience_s: float = PATIENCE_S, **setting: Any) -> Iterator[Ledger]:
    with Sink() as sink:
        ledger, stop = Ledger(data, sink, patience_s, **setting), threading.Event()
        thread = threading.Thread(target=ledger.forwarder.run, args=(stop,))
        thread.start()
        try:
            yield ledger
        finally:
            stop.set()
            thread.join()
            ledger.close()


def attempt(number: int, trace: bytes, *, task: str = "pay", **changes: Any) -> Any:
    """A try of a run, whose span's id and start show its number."""
    values = {
        "name": f"{task}#{number}", "span_id": span_id(number),
        "start_ns": BASE_NS + number * SECOND_NS,
    } | changes  # fmt: skip
    return make_span(task=task, run="r", attempt=number, trace_id=trace, **values)


def below(name: str, trace: bytes, parent: int) -> Any:
    """A span of no task below a try."""
    return make_span(task=None, name=name, trace_id=trace, parent_span_id=span_id(parent))


def test_later_tries_stand_in_the_first_ones_trace(tmp_path: Path) -> None:
    """With the spans and records below them; each says where it stood, and links there."""
    with forwarding(tmp_path) as ledger:
        record = make_log(event_name="note", trace_id=TWO, span_id=span_id(2))
        ledger.store(attempt(1, ONE), attempt(2, TWO), below("SELECT", TWO, 2), record)
        ledger.store(attempt(3, THREE), make_span(task=None, name="other", trace_id=FOUR))
        told = {trace: set(found) for trace, found in ledger.told().items()}
        assert told == {"41": {"pay#1", "pay#2", "SELECT", "note", "pay#3"}, "44": {"other"}}
        moved = {}
        key = names.ORIGINAL_TRACE_ID
        for item in ledger.sent():
            original = [a.value.string_value for a in item.attributes if a.key == key]
            links = [(link.trace_id, link.span_id) for link in getattr(item, "links", ())]
            moved[getattr(item, "name", "note")] = original, links
        assert moved["pay#1"] == moved["other"] == ([], [])
        assert moved["pay#2"] == ([TWO.hex()], [(TWO, span_id(2))])
        assert moved["note"] == ([TWO.hex()], [])


def test_a_target_gets_traces_as_stored_by_default(tmp_path: Path) -> None:
    """Nobody waits for the views, and nothing is changed."""
    with forwarding(tmp_path, traces="as-stored") as ledger:
        ledger.store(attempt(1, ONE), attempt(2, TWO), fold=False)
        assert ledger.told() == {"41": ["pay#1"], "42": ["pay#2"]}


def test_events_wait_for_the_views(tmp_path: Path) -> None:
    """What they have not passed is not sent, until they have."""
    with forwarding(tmp_path, patience_s=3600) as ledger:
        ledger.store(attempt(1, ONE))
        assert ledger.told() == {"41": ["pay#1"]}
        ledger.store(attempt(2, TWO), fold=False)
        assert ledger.operations.status()[0]["lag_events"] == 1
        ledger.fold()
        assert ledger.told() == {"41": ["pay#1", "pay#2"]}


def test_events_wait_no_longer_than_the_patience(tmp_path: Path) -> None:
    """While the views stand still, spans go as they came."""
    with forwarding(tmp_path, patience_s=0.1) as ledger:
        ledger.store(attempt(1, ONE), attempt(2, TWO), fold=False)
        assert ledger.told() == {"41": ["pay#1"], "42": ["pay#2"]}


def test_children_that_were_sent_before_are_sent_to_the_run(tmp_path: Path) -> None:
    """A child ends before its try does: when the try is known, its trace is gathered."""
    with forwarding(tmp_path) as ledger:
        ledger.store(attempt(1, ONE), below("SELECT", TWO, 2))
        assert ledger.told() == {"41": ["pay#1"], "42": ["SELECT"]}
        ledger.store(attempt(2, TWO), below("COMMIT", TWO, 2))
        whole = ["pay#1", "SELECT", "pay#2", "COMMIT"]
        assert ledger.told() == {"41": whole, "42": ["SELECT"]}
        ledger.store(below("late", TWO, 2))
        assert ledger.told() == {"41": [*whole, "late"], "42": ["SELECT"]}


def test_a_first_try_that_comes_late_gathers_the_others(tmp_path: Path) -> None:
    """The trace of the first try is the run's, also where a later one was known before."""
    with forwarding(tmp_path) as ledger:
        ledger.store(attempt(2, TWO), below("SELECT", TWO, 2))
        assert ledger.told() == {"42": ["pay#2", "SELECT"]}
        ledger.store(attempt(1, ONE))
        assert ledger.told() == {
            "42": ["pay#2", "SELECT"],
            "41": ["pay#2", "SELECT", "pay#1"],
        }


def test_a_trace_of_several_runs_goes_with_the_topmost(tmp_path: Path) -> None:
    """A try that calls another task in its own trace takes it along, and its retries too."""
    with forwarding(tmp_path) as ledger:
        inner = {"task": "mail", "parent_span_id": span_id(2), "span_id": span_id(9)}
        ledger.store(attempt(1, ONE), attempt(2, TWO), attempt(1, TWO, **inner))
        assert ledger.told() == {"41": ["pay#1", "pay#2", "mail#1"]}
        ledger.store(attempt(2, THREE, task="mail"))
        assert ledger.told() == {"41": ["pay#1", "pay#2", "mail#1", "mail#2"]}


def test_a_trace_with_two_topmost_runs_stays(tmp_path: Path) -> None:
    """It would belong to both."""
    with forwarding(tmp_path) as ledger:
        ledger.store(
            attempt(1, ONE), attempt(2, THREE),
            attempt(1, TWO, task="mail"), attempt(2, THREE, task="mail", span_id=span_id(9)),
        )  # fmt: skip
        assert ledger.told() == {"41": ["pay#1"], "42": ["mail#1"], "43": ["pay#2", "mail#2"]}


def test_runs_in_a_circle_stay(tmp_path: Path) -> None:
    """Where two runs lie crosswise in each other's trace, none moves."""
    with forwarding(tmp_path) as ledger:
        ledger.store(
            attempt(1, ONE),
            attempt(2, ONE, task="mail", parent_span_id=span_id(1), span_id=span_id(8)),
            attempt(1, TWO, task="mail", parent_span_id=span_id(2), span_id=span_id(9)),
            attempt(2, TWO),
        )  # fmt: skip
        told = ledger.told()
        assert sorted(name for found in told.values() for name in found) == [
            "mail#1", "mail#2", "pay#1", "pay#2",
        ]  # fmt: skip
        assert told == {"41": ["pay#1", "mail#2", "mail#1", "pay#2"]}


def test_no_other_tenants_run_moves_a_trace(tmp_path: Path) -> None:
    """Equal trace ids of two tenants have nothing to do with each other."""
    with forwarding(tmp_path) as ledger:
        ledger.store(attempt(1, ONE), attempt(2, TWO), tenant="red")
        ledger.store(make_span(task=None, name="other", trace_id=TWO))
        assert ledger.told() == {"41": ["pay#1", "pay#2"], "42": ["other"]}
