"""Searching spans as Jaeger does: rare and frequent attributes, a long and a short time.

The log is a month as far as its searches go: an hour is a 720th of its time. A search finds the ids
of twenty traces, in this process; the processor's time counts, as the files are in memory.
"""

import random
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from benchmarks import ledger
from benchmarks.figures import Figure
from benchmarks.running import scratch
from events import names
from events.log.reader import open_reader
from events.schema import Span
from projections.assembly import make_folds
from projections.engine.projector import Projector
from service.jaeger.criteria import query_of
from service.jaeger.messages import message
from service.traces.stored import StoredTraces

_EVENTS: Final = 1_000_000
_QUICK: Final = 100_000
_ASKED: Final = 100
_DEPTH: Final = 20
_HOURS: Final = 720
_FLOOR_MS: Final = 200.0
_KEYS: Final = {"rare": names.TASK_RUN_ID, "frequent": "task.queue"}
_SERVICE: Final = "dispatcher"


def run(quick: bool, data: Path | None = None, events: int | None = None) -> list[Figure]:
    """Make the log and its index, if they are not there, and ask."""
    count = events or (_QUICK if quick else _EVENTS)
    if data is not None:
        return _measure(data, count)
    with scratch() as folder:
        return _measure(folder, count)


def _measure(data: Path, events: int) -> list[Figure]:
    ledger.grow(data, "mixed", events)
    cost_us = _index(data) / events * 1e6
    load = f"mixed, {events:,} events"
    traces = StoredTraces(data, 30.0)
    known = _known(data, events)
    made = [_figure(name, _times(traces, asked), load) for name, asked in _plans(known)]
    traces.close()
    return [
        Figure(name="traces and spans indexed", value=cost_us, unit="µs", roles="projector",
               cores="1 of 2", load=load),
        *made,
    ]  # fmt: skip


def _index(data: Path) -> float:
    """Fold what is searched; the processor's seconds."""
    wanted = {"spans", "traces"}
    projector = Projector(
        data, lambda: open_reader(data),
        lambda names=None, configured=None: make_folds(wanted, configured),
    )  # fmt: skip
    started_s = time.process_time()
    with closing(projector):
        projector.open()
        while projector.step():
            pass
    return time.process_time() - started_s


def _known(data: Path, events: int) -> list[Span]:
    """Attempts from all over the log."""
    draw = random.Random(1)
    with closing(open_reader(data)) as reader:
        places = draw.sample(range(1, events - events % 512), 8 * _ASKED)
        found = [recorded.event for recorded in reader.fetch(0, places)]
    spans = [span for span in found if isinstance(span, Span)]
    draw.shuffle(spans)
    return [span for span in spans if names.TASK_RUN_ID in span.attributes]


def _plans(known: list[Span]) -> Iterator[tuple[str, list[Any]]]:
    times = [span.start_ns for span in known]
    hour_ns = (max(times) - min(times)) // _HOURS
    for kind, key in _KEYS.items():
        for service in ("", _SERVICE):
            for hours in (1, _HOURS):
                named = f"a {kind} attribute, {'with' if service else 'without'} a service"
                yield (
                    f"{named}, {'an hour' if hours == 1 else 'a month'}",
                    [
                        _asked(span, service, {key: str(span.attributes[key])}, hours * hour_ns)
                        for span in known[:_ASKED]
                    ],
                )
    yield (
        "operation and duration, a month",
        [_asked(span, _SERVICE, {}, _HOURS * hour_ns, lasts=True) for span in known[:_ASKED]],
    )


def _asked(
    span: Span, service: str, pairs: dict[str, str], width_ns: int, *, lasts: bool = False
) -> Any:
    asked = message("TraceQueryParameters")(service_name=service, search_depth=_DEPTH)
    for key, text in pairs.items():
        asked.attributes.add(key=key).value.string_value = text
    for field, at_ns in (("min", span.start_ns - width_ns), ("max", span.start_ns + width_ns)):
        moment = getattr(asked, f"start_time_{field}")
        moment.seconds, moment.nanos = divmod(max(at_ns, 0), 10**9)
    if lasts:
        asked.operation_name = span.name
        asked.duration_min.FromNanoseconds(span.end_ns - span.start_ns)
    return asked


def _times(traces: StoredTraces, asked: list[Any]) -> list[float]:
    """Milliseconds of the processor for each; every one finds something."""
    taken = []
    for parameters in asked:
        started_s = time.process_time()
        found = traces.find(query_of(parameters, names.DEFAULT_TENANT), _DEPTH)
        taken.append((time.process_time() - started_s) * 1000)
        assert found, parameters
    return taken


def _figure(name: str, taken: list[float], load: str) -> Figure:
    cuts = quantiles(taken, n=100)
    return Figure(
        name=f"search: {name}, p99", value=cuts[98], unit="ms", floor=_FLOOR_MS, bound="at most",
        roles="jaeger", cores="1 of 2", load=load, details={"p50_ms": cuts[49]},
    )  # fmt: skip
