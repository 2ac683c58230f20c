"""What one process counted, as it is told over a control socket, and several of them as one."""

import os
import threading
import time
from collections.abc import Iterable
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from events.metrics import GAUGE_RULES, REGISTRY, Rule

_PROCESS: Final = f"{os.getpid()}-{time.monotonic_ns()}"
"""This process, and none that had or will have its number."""

_telling = threading.Lock()

_Key = tuple[str, tuple[tuple[str, str], ...]]


class Family(msgspec.Struct, frozen=True, array_like=True):
    """One metric with its samples: name, labels and value of each."""

    name: str
    kind: str
    sentence: str
    rule: Rule
    samples: list[tuple[str, dict[str, str], float]]


class Scrape(msgspec.Struct, frozen=True):
    """All metrics of one process at `told_ns` of the monotonic clock, which processes share.

    `process` differs for each process that ever ran as `instance`.
    """

    instance: str
    process: str
    told_ns: int
    families: list[Family]


def scrape(instance: str) -> Scrape:
    """What this process counted so far."""
    with _telling:  # one at a time: what has a later time is never older
        families = [_family(metric) for metric in REGISTRY.collect()]
        return Scrape(instance, _PROCESS, time.monotonic_ns(), families)


def _family(metric: Metric) -> Family:
    samples = [
        (sample.name, dict(sample.labels), sample.value)
        for sample in metric.samples
        if not sample.name.endswith("_created")
    ]
    rule = GAUGE_RULES.get(metric.name, "sum")
    return Family(metric.name, metric.type, metric.documentation, rule, samples)


class Totals:
    """The metrics of several processes as one; add those that started earlier first."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}
        self._values: dict[str, dict[_Key, float]] = {}

    def add(self, families: Iterable[Family], *, alive: bool) -> None:
        """Count a process in. Of one that is no more, gauges that are sums count nothing."""
        for family in families:
            self._families.setdefault(family.name, family)
            values = self._values.setdefault(family.name, {})
            if family.kind == "gauge" and family.rule == "sum" and not alive:
                continue
            for name, labels, value in family.samples:
                key = (name, tuple(labels.items()))
                values[key] = _joined(family.rule, values.get(key), value)

    def families(self) -> list[Family]:
        """The same as those of one process."""
        return [
            msgspec.structs.replace(
                family,
                samples=[(n, dict(labels), v) for (n, labels), v in self._values[name].items()],
            )
            for name, family in self._families.items()
        ]


def _joined(rule: Rule, before: float | None, value: float) -> float:
    if before is None or rule == "recent":
        return value
    return before + value if rule == "sum" else max(before, value)


class _Told(Collector):
    """Families as prometheus_client takes them."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.sentence, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, labels, value)
            yield metric


def text_of(families: list[Family]) -> str:
    """The families in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Told(families))
    return generate_latest(registry).decode()
