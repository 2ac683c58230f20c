"""Searches of spans as Jaeger and Grafana ask them: p99 of each, traces found and told included."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from benchmarks import asked, plant
from benchmarks.doors.known import HOUR_NS, Known
from benchmarks.figures import Figure
from benchmarks.month import MONTH_NS
from events import names
from service.jaeger.messages import message
from service.jaeger.storage import Storage
from service.tempo.finding import Window, search
from service.tempo.traceql import parse
from service.traces.stored import StoredTraces

_FLOOR_MS: Final = 200.0
_DEPTH: Final = 20
_BUDGET_S: Final = 30.0
_LONG_NS: Final = 30 * 10**9
_TIMES: Final = {"an hour": HOUR_NS, "a month": MONTH_NS}
Drawn = Callable[[], Any]


def figures(data: Path, known: Known, calls: int, load: str) -> Iterator[Figure]:
    """One figure a kind of search."""
    with closing(StoredTraces(data, _BUDGET_S)) as traces:
        storage = Storage(traces, _BUDGET_S)
        for name, call in [*_jaeger(storage, known), *_tempo(traces, known)]:
            timing = asked.timed(iter(lambda call=call: call, None), calls, time.thread_time)
            yield asked.figure(name, timing, 0.99, _FLOOR_MS, load, "jaeger")


def _jaeger(storage: Storage, known: Known) -> Iterator[tuple[str, Drawn]]:
    draw = random.Random(7)
    tenant = names.DEFAULT_TENANT

    def ids(*given: Any, **more: Any) -> Drawn:
        def call() -> Any:
            request = message("FindTracesRequest")(query=_query(draw, known, *given, **more))
            return storage.FindTraceIDs(request, tenant)

        return call

    for time_, width_ns in _TIMES.items():
        for service in ("", "billing"):
            of = f"{'with' if service else 'without'} a service, {time_}"
            for kind, tags in _TAGS.items():
                yield f"Jaeger: {kind}, {of}", ids(width_ns, service, tags)
            yield f"Jaeger: no tag, {of}", ids(width_ns, service)
        for operation in ("db.query", "attempt build"):
            yield (
                f"Jaeger: {operation}, long ones, {time_}",
                ids(width_ns, "billing", operation=operation, longest=True),
            )
        yield f"Jaeger: the longest of all, {time_}", ids(width_ns, "", longest=True)
        yield f"Jaeger: a value of nobody, {time_}", ids(width_ns, "", lambda _: {"a.b": "none"})

    def whole(name: str) -> Drawn:
        def call() -> Any:
            query = _query(draw, known, MONTH_NS, "billing", _TAGS["frequent tag"])
            return list(getattr(storage, name)(message("FindTracesRequest")(query=query), tenant))

        return call

    yield "Jaeger: 20 whole traces, frequent tag, a month", whole("FindTraces")
    yield "Jaeger: 20 summaries, frequent tag, a month", whole("FindTraceSummaries")
    yield "Jaeger: services", lambda: storage.GetServices(None, tenant)
    yield (
        "Jaeger: operations",
        lambda: storage.GetOperations(message("GetOperationsRequest")(service="ci"), tenant),
    )

    def trace(trace_id: Callable[[], str]) -> Drawn:
        def call() -> Any:
            request = message("GetTracesRequest")()
            request.query.add(trace_id=bytes.fromhex(trace_id()))
            return list(storage.GetTraces(request, tenant))

        return call

    yield "Jaeger: a trace", trace(lambda: draw.choice(known.attempts).trace_id)
    yield f"Jaeger: the trace of {plant.LARGE:,} spans", trace(lambda: known.large)


_TAGS: Final[dict[str, Callable[[Any], dict[str, str]]]] = {
    "rare tag": lambda record: {names.TASK_RUN_ID: record.run_id},
    "seldom tag": lambda record: {"customer.id": f"c-{hash(record.run_id) % 20_000}"},
    "frequent tag": lambda record: {"deployment.region": "eu-1"},
    "failed of a model": lambda record: {"error": "true", "task.executor.model": "opus-5"},
}


def _query(
    draw: random.Random,
    known: Known,
    width_ns: int,
    service: str,
    tags: Callable[[Any], dict[str, str]] | None = None,
    *,
    operation: str = "",
    longest: bool = False,
) -> Any:
    record = draw.choice(known.attempts)
    query = message("TraceQueryParameters")(service_name=service, search_depth=_DEPTH)
    for key, text in (tags(record) if tags else {}).items():
        query.attributes.add(key=key).value.string_value = text
    first_ns = record.started_ns - width_ns // 2
    if width_ns >= MONTH_NS:
        first_ns = known.from_ns
    for field, at_ns in (("min", first_ns), ("max", first_ns + width_ns)):
        moment = getattr(query, f"start_time_{field}")
        moment.seconds, moment.nanos = divmod(at_ns, 10**9)
    query.operation_name = operation
    if longest:
        query.duration_min.FromNanoseconds(_LONG_NS if operation != "db.query" else 990 * 10**6)
    return query


def _tempo(traces: StoredTraces, known: Known) -> Iterator[tuple[str, Drawn]]:
    for text in _TRACEQL:
        conditions = parse(text)
        for name, width_ns in _TIMES.items():
            last_s = known.until_ns // 10**9
            window = Window(last_s - width_ns // 10**9, last_s)

            def call(conditions: Any = conditions, window: Window = window) -> Any:
                return search(
                    traces, names.DEFAULT_TENANT, conditions, window, limit=20, spans_each=3
                )

            yield f"TraceQL: {text}, {name}", call


_TRACEQL: Final = (
    "{ }",
    "{ status = error }",
    '{ resource.service.name = "billing" && duration > 30s }',
    '{ span.customer.id = "c-77" }',
    '{ name =~ "attempt .*" && span.http.status_code = 500 }',
)
