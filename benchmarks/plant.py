"""A month of a plant in which 200 tasks are tried over and over, as pages and searches like to see.

Where `month` is many tasks of few attempts, this is few tasks of many: a fifth of the runs is
retried, a quarter of the attempts fails at one of 1,000 sites (some often, most seldom), of which
a few tell of a recovery. 50 executors, 6 models, 8 services and three tenants, of which one has
nearly all; every twentieth attempt has four spans of its own. The month ends two hours
after it is made, with attempts that still run and a trace of 10,008 spans.
"""

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

from benchmarks import month
from benchmarks.load import REQUEST_SPANS, tag_of
from benchmarks.stamp import SEED
from events import identity, names
from events.identity import Identity
from service.otlp.batch import BatchBuilder
from service.otlp.decode.decoder import decode_traces
from service.otlp.decode.limits import Limits
from service.otlp.decode.protobuf import decode_logs
from service.otlp.scrub.scrubber import Scrubber

TASKS: Final = 200
TENANTS: Final = ("default",) * 19 + ("north",)
SERVICES: Final = ("dispatcher", "checkout", "billing", "search", "mail", "images", "reports", "ci")
MODELS: Final = ("opus-5", "sonnet-5", "haiku-5", "local-7b", "local-70b", "none")
TOOLS: Final = ("claude-code", "aider", "celery", "shell")
OPERATIONS: Final = ("http.request", "db.query", "llm.call", "render")
LARGE: Final = 10_008
RUNNING: Final = 1_000
LASTS_NS: Final = 600 * 10**9
_AHEAD_NS: Final = 2 * 3600 * 10**9
_EXECUTORS: Final = 50
_SITES: Final = 1_000
_CHILDREN: Final = 4
_TYPES: Final = ("TimeoutError", "ConnectionError", "ValueError", "KeyError", "PermissionError")
_NOUNS: Final = ("invoice", "report", "image", "branch", "mail", "order", "page", "dataset")
_VERBS: Final = ("build", "test", "review", "deploy", "index", "resize", "translate", "import")
_JITTER_NS: Final = 60 * 10**9


def grow(data: Path, events: int) -> None:
    """Make the log of a data folder, unless it has one; a month that ends in two hours."""
    if (data / "ledger.db").exists():
        return
    until_ns = time.time_ns() + _AHEAD_NS
    from_ns = until_ns - month.MONTH_NS
    made = _bodies(month.POOL, from_ns, from_ns + month.MONTH_NS // month.rounds_of(events))
    month.append(data, month.batches(events, zip(itertools.cycle(TENANTS), made, strict=False)))
    builder = BatchBuilder(Identity(identity.new_key()), Scrubber())
    more = (decode_traces(_large_trace(until_ns - LASTS_NS), Limits()),
            decode_logs(_running(until_ns), Limits()))  # fmt: skip
    last = builder.build([(names.DEFAULT_TENANT, time.time_ns(), decoded) for decoded in more])
    assert last is not None
    month.append(data, [last])


def large_trace_id() -> str:
    """The id of the trace of `LARGE` spans."""
    request = ExportTraceServiceRequest.FromString(_large_trace(0))
    return request.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()


def _bodies(count: int, from_ns: int, until_ns: int) -> Iterator[bytes]:
    """`count` requests of `REQUEST_SPANS` spans or a few more, spread evenly over a time."""
    plant = _Plant()
    step_ns = (until_ns - from_ns) // (count * REQUEST_SPANS)
    for number in range(count):
        request, scope = _request(SERVICES[number % len(SERVICES)])
        while len(scope.spans) < REQUEST_SPANS:
            at_ns = from_ns + (number * REQUEST_SPANS + len(scope.spans)) * step_ns
            plant.attempt(scope, at_ns + plant.draw.randrange(_JITTER_NS))
        yield request.SerializeToString()


def _large_trace(at_ns: int) -> bytes:
    """A request of one trace, an attempt and all below it."""
    plant = _Plant()
    request, scope = _request("ci")
    plant.attempt(scope, at_ns, children=LARGE - 1)
    return request.SerializeToString()


def _running(now_ns: int) -> bytes:
    """A request of log records that say that attempts have begun."""
    draw = random.Random(SEED)
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for number in range(RUNNING):
        record = scope.log_records.add(
            time_unix_nano=now_ns - draw.randrange(LASTS_NS), event_name="task.attempt.started",
            trace_id=draw.randbytes(16), span_id=draw.randbytes(8),
        )  # fmt: skip
        _tell(record, {"task.id": _task(number % TASKS), "task.run.id": f"open-{number}"})
    return request.SerializeToString()


def _task(number: int) -> str:
    return f"{_VERBS[number % 8]}-{_NOUNS[number // 8 % 8]}-{number:03d}"


def _request(service: str) -> tuple[ExportTraceServiceRequest, ScopeSpans]:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    _tell(resource_spans.resource, {"service.name": service, "service.instance.id": f"{service}-1"})
    return request, resource_spans.scope_spans.add()


def _tell(told: object, values: dict[str, str | int]) -> None:
    for key, value in values.items():
        field = told.attributes.add(key=key).value  # type: ignore[attr-defined]
        if isinstance(value, int):
            field.int_value = value
        else:
            field.string_value = value


class _Plant:
    """Draws attempts; runs that are to be tried again wait for their turn."""

    def __init__(self) -> None:
        self.draw = random.Random(SEED)
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, str, int, int]] = []
        self._often = [1 / (rank + 3) for rank in range(_SITES)]
        self._tasks = [1 / (rank + 10) for rank in range(TASKS)]
        self._stacks = [_stack(site) for site in range(_SITES)]

    def attempt(self, scope: ScopeSpans, at_ns: int, children: int | None = None) -> None:
        """Add an attempt and the spans below it."""
        draw = self.draw
        task, run, number, last = self._next()
        failed = number < last or draw.random() < 0.05
        if number < last:
            self._waiting.append((task, run, number + 1, last))
        span = self._span(scope, draw.randbytes(16), at_ns, int(draw.lognormvariate(20, 1.5)))
        span.name = f"attempt {_VERBS[task % 8]}"
        span.kind = Span.SPAN_KIND_CONSUMER
        site = draw.choices(range(_SITES), self._often)[0]
        model = MODELS[(task + draw.randrange(3)) % len(MODELS)]
        _tell(span, {
            "task.id": _task(task), "task.name": f"{_VERBS[task % 8]} {_NOUNS[task // 8 % 8]}",
            "task.run.id": run, "task.attempt": number, "task.max_attempts": 4,
            "task.executor.id": f"worker-{draw.randrange(_EXECUTORS)}",
            "task.executor.tool": TOOLS[task % 4], "task.executor.model": model,
            "task.queue": ("default", "batch", "urgent")[task % 3],
            "task.result": "failed" if failed else "completed",
            "deployment.region": draw.choice(("eu-1", "us-1", "us-2")),
            "customer.id": f"c-{draw.randrange(20_000)}",
        })  # fmt: skip
        if failed:
            self._fail(span, site, recovers=number < last and draw.random() < 0.1)
        if children is None:
            children = 0 if draw.random() >= 1 / 20 else _CHILDREN
        for _ in range(children):
            self._child(scope, span)

    def _next(self) -> tuple[int, str, int, int]:
        draw = self.draw
        if len(self._waiting) > 64:
            return self._waiting.pop(0)
        last = draw.randint(2, 4) if draw.random() < 0.16 else 1
        task = draw.choices(range(TASKS), self._tasks)[0]
        return task, f"run-{tag_of(SEED)}-{next(self._numbers):08x}", 1, last

    def _span(self, scope: ScopeSpans, trace: bytes, at_ns: int, lasts_ns: int) -> Span:
        return scope.spans.add(
            trace_id=trace, span_id=self.draw.randbytes(8), start_time_unix_nano=at_ns,
            end_time_unix_nano=at_ns + lasts_ns,
        )  # fmt: skip

    def _child(self, scope: ScopeSpans, parent: Span) -> None:
        draw = self.draw
        at_ns = parent.start_time_unix_nano + draw.randrange(10**8)
        span = self._span(scope, parent.trace_id, at_ns, draw.randrange(10**6, 10**9))
        span.parent_span_id = parent.span_id
        span.name = draw.choice(OPERATIONS)
        span.kind = Span.SPAN_KIND_CLIENT
        status = 500 if draw.random() < 0.05 else 200
        _tell(span, {
            "http.request.method": draw.choice(("GET", "POST")), "http.status_code": status,
            "url.path": f"/v1/{draw.choice(_NOUNS)}s/{draw.getrandbits(48):012x}",
            "server.address": f"backend-{draw.randrange(200)}.internal",
            "peer.service": draw.choice(TOOLS),
        })  # fmt: skip

    def _fail(self, span: Span, site: int, recovers: bool) -> None:
        draw = self.draw
        kind = _TYPES[site % len(_TYPES)]
        message = f"{_NOUNS[site % 8]} step {site} gave up after {draw.randrange(10**6)} ms"
        span.status.code = Status.STATUS_CODE_ERROR
        span.status.message = message
        event = span.events.add(name="exception", time_unix_nano=span.end_time_unix_nano)
        _tell(event, {
            "exception.type": kind, "exception.message": message,
            "exception.stacktrace": f"{self._stacks[site]}{kind}: {message}",
        })  # fmt: skip
        if recovers:
            event = span.events.add(name="task.recovery", time_unix_nano=span.end_time_unix_nano)
            _tell(event, {
                "task.recovery.action": draw.choice(("retry", "backoff", "switch_model")),
                "task.recovery.outcome": draw.choice(("succeeded", "failed")),
            })  # fmt: skip


def _stack(site: int) -> str:
    draw = random.Random(site)
    frames = "".join(
        f'  File "{draw.choice(_NOUNS)}_{site}.py", line {draw.randrange(9000)}, '
        f"in {draw.choice(_VERBS)}_{site}_{depth}\n    {draw.choice(_NOUNS)}()\n"
        for depth in range(12)
    )
    return "Traceback (most recent call last):\n" + frames
