"""The loads of the benchmarks: encoded OTLP requests in which every span is unique.

A span has 12 attributes; a quarter failed with a stack of 15 frames; 759 B a span on average.

    attempts   every span a new attempt of a new task id: the worst case
    mixed      8 spans a trace, one of them an attempt; 5,000 task ids; a fifth of the runs
               have 2 to 4 attempts
    single     requests of one span
"""

import random
from collections.abc import Iterator
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

START_NS: Final = 1_763_700_000 * 10**9
_SITES: Final = 400
_TASKS: Final = 5_000
_TRACE_SPANS: Final = 8
_TYPES: Final = ("TimeoutError", "ConnectionError", "ValueError", "KeyError", "PermissionError")
_TOOLS: Final = ("claude-code", "aider", "celery", "shell")
_MODELS: Final = ("opus-5", "sonnet-5", "haiku-5", "local-7b")
_QUEUES: Final = ("default", "batch", "urgent")


def attempts(requests: int, spans: int = 512, seed: int = 1) -> Iterator[bytes]:
    """`requests` requests of `spans` attempts, each of a new task in a trace of its own."""
    load = _Load(seed)
    for _ in range(requests):
        request, scope = _request()
        for _ in range(spans):
            number = load.next()
            load.attempt(scope.spans.add(), f"task-{load.tag}-{number:09d}", "", 1)
        yield request.SerializeToString()


def mixed(requests: int, spans: int = 512, seed: int = 1) -> Iterator[bytes]:
    """`requests` requests of `spans` spans: traces of eight, one of them an attempt."""
    load = _Load(seed)
    waiting: list[tuple[str, str, int, int]] = []
    for _ in range(requests):
        request, scope = _request()
        trace, root = b"", b""
        for place in range(spans):
            span = scope.spans.add()
            if place % _TRACE_SPANS:
                load.detail(span, trace, root)
                continue
            task, run, attempt, last = waiting.pop(0) if len(waiting) > 64 else load.run()
            load.attempt(span, task, run, attempt, failed=attempt < last)
            trace, root = span.trace_id, span.span_id
            if attempt < last:
                waiting.append((task, run, attempt + 1, last))
        yield request.SerializeToString()


def single(requests: int, seed: int = 1) -> Iterator[bytes]:
    """`requests` requests of one attempt each."""
    return attempts(requests, 1, seed)


def _request() -> tuple[ExportTraceServiceRequest, ScopeSpans]:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    for key, value in (
        ("service.name", "dispatcher"),
        ("service.instance.id", "dispatcher-1"),
        ("telemetry.sdk.language", "python"),
    ):
        resource_spans.resource.attributes.add(key=key).value.string_value = value
    scope = resource_spans.scope_spans.add()
    scope.scope.name = "benchmarks.load"
    scope.scope.version = "1"
    return request, scope


class _Load:
    """Draws spans; equal seeds give equal spans, others have no id in common."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.tag = f"{seed:x}"
        self.number = 0
        self.stacks = [_stack(site) for site in range(_SITES)]

    def next(self) -> int:
        self.number += 1
        return self.number

    def run(self) -> tuple[str, str, int, int]:
        """Task id, run id, first attempt and last attempt of a new run."""
        task = f"task-{self.random.randrange(_TASKS):06d}"
        last = self.random.randint(2, 4) if self.random.random() < 0.2 else 1
        return task, f"run-{self.tag}-{self.next():09d}", 1, last

    def attempt(
        self, span: Span, task: str, run: str, number: int, failed: bool | None = None
    ) -> None:
        draw = self.random
        self._times(span, draw.randbytes(16))
        span.name = "task.attempt"
        span.kind = Span.SPAN_KIND_CONSUMER
        if failed is None or not failed:
            failed = draw.random() < 0.25
        texts = {
            "task.id": task,
            "task.run.id": run or f"run-{self.tag}-{self.number:09d}",
            "task.name": f"build component {self.number % 97} of the next release",
            "task.queue": draw.choice(_QUEUES),
            "task.executor.tool": draw.choice(_TOOLS),
            "task.executor.model": draw.choice(_MODELS),
            "task.executor.id": f"worker-{draw.randrange(64)}",
            "task.result": "failed" if failed else "completed",
        }
        numbers = {
            "task.attempt": number,
            "task.max_attempts": 4,
            "task.io.files_written": draw.randrange(20),
            "task.retrieval.count": draw.randrange(50),
        }
        self._finish(span, texts, numbers, failed)

    def detail(self, span: Span, trace: bytes, parent: bytes) -> None:
        """A span inside an attempt's trace."""
        draw = self.random
        self._times(span, trace)
        span.parent_span_id = parent
        span.name = draw.choice(("http.request", "db.query", "llm.call", "render"))
        span.kind = Span.SPAN_KIND_CLIENT
        failed = draw.random() < 0.25
        texts = {
            "http.request.method": draw.choice(("GET", "POST")),
            "url.path": f"/v1/items/{draw.randrange(1 << 40):x}",
            "server.address": f"backend-{draw.randrange(20)}",
            "db.system.name": "pgsql",
            "db.query.summary": "SELECT items",
            "code.function": f"module_{draw.randrange(40)}",
            "thread.name": f"w-{draw.randrange(16)}",
            "peer.service": draw.choice(_TOOLS),
        }
        numbers = {
            "http.status_code": 500 if failed else 200,
            "http.body.size": draw.randrange(1 << 16),
            "server.port": 5432,
            "thread.id": draw.randrange(1 << 20),
        }
        self._finish(span, texts, numbers, failed)

    def _times(self, span: Span, trace: bytes) -> None:
        draw = self.random
        span.trace_id = trace
        span.span_id = draw.randbytes(8)
        span.start_time_unix_nano = START_NS + self.next() * 50_000 + draw.randrange(50_000)
        span.end_time_unix_nano = span.start_time_unix_nano + draw.randrange(10**6, 10**10)

    def _finish(
        self, span: Span, texts: dict[str, str], numbers: dict[str, int], failed: bool
    ) -> None:
        for key, text in texts.items():
            span.attributes.add(key=key).value.string_value = text
        for key, count in numbers.items():
            span.attributes.add(key=key).value.int_value = count
        if failed:
            self._fail(span)

    def _fail(self, span: Span) -> None:
        site = self.random.randrange(_SITES)
        kind = _TYPES[site % len(_TYPES)]
        message = f"step {site} gave up after {self.random.randrange(10**6)} ms"
        if self.random.random() < 0.3:  # so that some spans hold something to scrub
            message += f" for user{self.random.randrange(10**4)}@example.com"
        span.status.code = Status.STATUS_CODE_ERROR
        span.status.message = message
        event = span.events.add(name="exception", time_unix_nano=span.end_time_unix_nano)
        stack = f"{self.stacks[site]}{kind}: {message}"
        for key, text in (
            ("exception.type", kind),
            ("exception.message", message),
            ("exception.stacktrace", stack),
        ):
            event.attributes.add(key=key).value.string_value = text


def _stack(site: int) -> str:
    draw = random.Random(site)
    frames = "".join(
        f'  File "/srv/app/module_{draw.randrange(40)}.py", line {draw.randrange(900)}, '
        f"in step_{draw.randrange(60)}\n    run(step)\n"
        for _ in range(15)
    )
    return "Traceback (most recent call last):\n" + frames
