"""Metrics of several processes as one: sums never fall, gauges go by their rule."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from events.metrics import REGISTRY, Rule
from service.control.socket import ControlServer, socket_path
from service.telemetry import gathering
from service.telemetry.gathering import Gatherer
from service.telemetry.samples import Family, Scrape, Totals, scrape, text_of


def counter(value: float, **labels: str) -> Family:
    """A family of one counted sample."""
    return Family("c", "counter", "Counted", "sum", [("c_total", labels, value)])


def gauge(rule: Rule, value: float) -> Family:
    """A family of one gauge."""
    return Family("g", "gauge", "Measured", rule, [("g", {}, value)])


def value_of(text: str, name: str, **labels: str) -> float | None:
    """The value of one sample of a text."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


@pytest.mark.parametrize(("rule", "value"), [("sum", 7.0), ("max", 4.0), ("recent", 3.0)])
def test_gauges_go_by_their_rule(rule: Rule, value: float) -> None:
    """Of processes that run the sum; of all the largest, or the one told last."""
    total = Totals()
    total.add([gauge(rule, 9.0 if rule == "sum" else 1.0)], alive=False)
    total.add([gauge(rule, 4.0)], alive=True)
    total.add([gauge(rule, 3.0)], alive=True)
    assert value_of(text_of(total.families()), "g") == value


def test_samples_of_other_labels_stand_beside() -> None:
    """Equal labels add up, others are samples of their own; what ended counts on."""
    total = Totals()
    total.add([counter(1, kind="a")], alive=False)
    total.add([counter(2, kind="a"), counter(4, kind="b")], alive=True)
    text = text_of(total.families())
    assert value_of(text, "c_total", kind="a") == 3
    assert value_of(text, "c_total", kind="b") == 4
    assert "# TYPE c_total counter" in text


def test_this_process_tells_all_of_its_registry() -> None:
    """Nothing of prometheus_client's own is among it."""
    told = scrape("here")
    assert {family.name for family in told.families} == {
        metric.name for metric in REGISTRY.collect()
    }
    assert not any("_created" in name for f in told.families for name, *_ in f.samples)
    assert scrape("here").process == told.process


Word = tuple[int, int, bool]
"""What happens next to a process: it counts, is asked, and may be followed by another one."""


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()), max_size=30))
def test_no_sum_ever_falls(words: list[Word]) -> None:
    """Whatever is counted, asked late or not at all, and however often a process is replaced."""
    gatherer = Gatherer(Path("/nowhere"), "own", lambda: [])
    late: list[Scrape] = []
    count, process, before = 0.0, 0, 0.0
    for at, (more, delay, replaced) in enumerate(words):
        count += more
        late.append(Scrape("role", str(process), at, [counter(count)]))
        if not delay:
            for heard in reversed(late):  # answers overtake one another
                gatherer.take(heard)
            late = []
        if replaced:
            count, process = 0.0, process + 1
        now = value_of(gatherer.text(), "c_total") or 0.0
        assert now >= before
        before = now


class Role:
    """A role's control socket, whose metrics the test chooses."""

    def __init__(self, data: Path, stack: ExitStack) -> None:
        self.process, self.told_ns = "first", 0
        self.families: list[Family] = []
        self.free = threading.Event()
        self.free.set()
        self._server = ControlServer(socket_path(data, "role"), self.handlers())
        self._server.start()
        stack.callback(self._server.close)

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        return {"metrics": self.tell}

    def tell(self) -> Scrape:
        self.free.wait(5)
        self.told_ns += 1
        return Scrape("role", self.process, self.told_ns, self.families)

    def end(self) -> None:
        self._server.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_an_ended_process_stays_in_the_sums(tmp_path: Path, stack: ExitStack) -> None:
    """Its counters stay, its share of a gauge that is a sum goes, and it is told to be away."""
    role = Role(tmp_path, stack)
    role.families = [counter(5), gauge("sum", 2)]
    gatherer = Gatherer(tmp_path, "own", lambda: ["role"])
    text = gatherer.text()
    assert (value_of(text, "c_total"), value_of(text, "g")) == (5, 2)
    assert value_of(text, "spanledger_process_up", process="role") == 1
    role.end()
    text = gatherer.text()
    assert (value_of(text, "c_total"), value_of(text, "g")) == (5, None)
    assert value_of(text, "spanledger_process_up", process="role") == 0
    role = Role(tmp_path, stack)
    role.process, role.told_ns = "second", 100
    role.families = [counter(1), gauge("sum", 1)]
    text = gatherer.text()
    assert (value_of(text, "c_total"), value_of(text, "g")) == (6, 1)
    assert value_of(text, "spanledger_process_up", process="role") == 1


def test_a_process_that_hangs_stands_as_it_was_heard(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its last values stay, gauges too, and the lack is told."""
    monkeypatch.setattr(gathering, "ANSWER_S", 0.05)
    role = Role(tmp_path, stack)
    role.families = [counter(5), gauge("sum", 2)]
    gatherer = Gatherer(tmp_path, "own", lambda: ["role"])
    gatherer.gather()
    role.free.clear()
    stack.callback(role.free.set)
    text = gatherer.text()
    assert (value_of(text, "c_total"), value_of(text, "g")) == (5, 2)
    assert value_of(text, "spanledger_process_up", process="role") == 0
