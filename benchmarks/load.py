"""The loads of the benchmarks: encoded OTLP requests in which every span is unique.

A span has 12 attributes; a quarter failed with a stack of 15 frames; 759 B a span on average.
Values are as varied as in real traffic (random ids, paths, durations and request ids), so that
a segment of 512 spans compresses to about 160 B a span.

    attempts   every span a new attempt of a new task id: the worst case
    mixed      8 spans a trace, one of them an attempt; 5,000 task ids; a fifth of the runs
               have 2 to 4 attempts
    single     requests of one span
    celery     `attempts`, told as Celery's instrumentation tells them, for the mapping rules
"""

import random
from collections.abc import Callable, Iterator
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

REQUEST_SPANS: Final = 512
START_NS: Final = 1_763_700_000 * 10**9
_SITES: Final = 400
_TASKS: Final = 5_000
_TRACE_SPANS: Final = 8
_RETRIED: Final = 0.2
_FAILED: Final = 0.25
_OPEN_RUNS: Final = 64
_TYPES: Final = ("TimeoutError", "ConnectionError", "ValueError", "KeyError", "PermissionError")
_TOOLS: Final = ("claude-code", "aider", "celery", "shell")
_MODELS: Final = ("opus-5", "sonnet-5", "haiku-5", "local-7b")
_QUEUES: Final = ("default", "batch", "urgent")
_VERBS: Final = ("build", "test", "review", "deploy", "index", "resize", "translate", "import")
_NOUNS: Final = ("invoice", "report", "image", "branch", "mail", "order", "page", "dataset")
_CELERY: Final = {
    "task.id": "celery.task_name",
    "task.run.id": "messaging.message.id",
    "task.queue": "messaging.destination",
    "task.result": "celery.state",
    "task.attempt": "celery.retries",
}
_CELERY_STATES: Final = {"completed": "SUCCESS", "failed": "FAILURE"}
_OPERATIONS: Final = ("http.request", "db.query", "llm.call", "render")


def attempts(requests: int, spans: int = REQUEST_SPANS, seed: int = 1) -> Iterator[bytes]:
    """`requests` requests of `spans` attempts, each of a new task in a trace of its own."""
    load = _Load(seed)
    for _ in range(requests):
        request, scope = _request()
        for _ in range(spans):
            failed = load.random.random() < _FAILED
            load.attempt(scope.spans.add(), load.unique("task"), load.unique("run"), 1, failed)
        yield request.SerializeToString()


def mixed(requests: int, spans: int = REQUEST_SPANS, seed: int = 1) -> Iterator[bytes]:
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
            task, run, number, last = waiting.pop(0) if len(waiting) > _OPEN_RUNS else load.run()
            # The share of failures stays a quarter: a retried attempt has failed before.
            failed = number < last or load.random.random() < 0.03
            load.attempt(span, task, run, number, failed)
            trace, root = span.trace_id, span.span_id
            if number < last:
                waiting.append((task, run, number + 1, last))
        yield request.SerializeToString()


def single(requests: int, seed: int = 1) -> Iterator[bytes]:
    """`requests` requests of one attempt each."""
    return attempts(requests, 1, seed)


def celery(requests: int, spans: int = REQUEST_SPANS, seed: int = 1) -> Iterator[bytes]:
    """The same attempts as `attempts`, as spans of Celery's instrumentation."""
    for body in attempts(requests, spans, seed):
        request = ExportTraceServiceRequest.FromString(body)
        (scope,) = request.resource_spans[0].scope_spans
        scope.scope.name = "opentelemetry.instrumentation.celery"
        for span in scope.spans:
            _as_celery(span)
        yield request.SerializeToString()


def _as_celery(span: Span) -> None:
    for pair in span.attributes:
        pair.key = _CELERY.get(pair.key, pair.key.replace("task.", "celery.", 1))
        if pair.key == "celery.retries":
            pair.value.int_value -= 1
        elif pair.key == "celery.state":
            pair.value.string_value = _CELERY_STATES[pair.value.string_value]
        elif pair.key == "celery.task_name":
            span.name = f"run/{pair.value.string_value}"


LOADS: Final[dict[str, Callable[..., Iterator[bytes]]]] = {
    "attempts": attempts,
    "mixed": mixed,
    "single": single,
    "celery": celery,
}


def tag_of(seed: int) -> str:
    """What stands in every task and run id that is drawn with `seed`; 8 characters."""
    return f"{seed:08x}"


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
        self._tag = tag_of(seed)
        self._number = 0
        self._stacks = [_stack(site) for site in range(_SITES)]

    def unique(self, kind: str) -> str:
        """A new id."""
        return f"{kind}-{self._tag}-{self._hex(16)}"

    def run(self) -> tuple[str, str, int, int]:
        """Task id, run id, first attempt and last attempt of a new run."""
        task = f"task-{self.random.randrange(_TASKS):06d}"
        last = self.random.randint(2, 4) if self.random.random() < _RETRIED else 1
        return task, self.unique("run"), 1, last

    def attempt(self, span: Span, task: str, run: str, number: int, failed: bool) -> None:
        """One attempt, in a trace of its own."""
        draw = self.random
        self._times(span, draw.randbytes(16))
        span.name = "task.attempt"
        span.kind = Span.SPAN_KIND_CONSUMER
        texts = {
            "task.id": task,
            "task.run.id": run,
            "task.name": f"{draw.choice(_VERBS)} {draw.choice(_NOUNS)} {draw.randrange(1000)}",
            "task.queue": draw.choice(_QUEUES),
            "task.executor.tool": draw.choice(_TOOLS),
            "task.executor.model": draw.choice(_MODELS),
            "task.executor.id": f"worker-{draw.randrange(256)}",
            "task.result": "failed" if failed else "completed",
        }
        numbers = {
            "task.attempt": number,
            "task.max_attempts": 4,
            "task.io.files_written": draw.randrange(200),
            "task.retrieval.count": draw.randrange(5000),
        }
        self._finish(span, texts, numbers, failed)

    def detail(self, span: Span, trace: bytes, parent: bytes) -> None:
        """A span inside an attempt's trace."""
        draw = self.random
        self._times(span, trace)
        span.parent_span_id = parent
        span.name = draw.choice(_OPERATIONS)
        span.kind = Span.SPAN_KIND_CLIENT
        failed = draw.random() < _FAILED
        texts = {
            "http.request.method": draw.choice(("GET", "POST")),
            "url.path": f"/v1/{draw.choice(_NOUNS)}s/{self._hex(12)}",
            "server.address": f"backend-{draw.randrange(200)}.internal",
            "http.request.id": self._hex(24),
            "db.query.summary": f"SELECT {draw.choice(_NOUNS)}s",
            "code.function": f"{draw.choice(_VERBS)}_{draw.choice(_NOUNS)}",
            "thread.name": f"worker-pool-{draw.randrange(256)}",
            "peer.service": draw.choice(_TOOLS),
        }
        numbers = {
            "http.status_code": 500 if failed else 200,
            "http.body.size": draw.randrange(1 << 16),
            "server.port": 5432,
            "thread.id": draw.randrange(1 << 20),
        }
        self._finish(span, texts, numbers, failed)

    def _hex(self, digits: int) -> str:
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"

    def _times(self, span: Span, trace: bytes) -> None:
        draw = self.random
        self._number += 1
        span.trace_id = trace
        span.span_id = draw.randbytes(8)
        span.start_time_unix_nano = START_NS + self._number * 50_000 + draw.randrange(50_000)
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
        draw = self.random
        site = draw.randrange(_SITES)
        kind = _TYPES[site % len(_TYPES)]
        message = f"step {site} gave up after {draw.randrange(10**6)} ms, request {self._hex(12)}"
        if draw.random() < 0.3:  # so that some spans hold something to scrub
            message += f" for user{draw.randrange(10**4)}@example.com"
        span.status.code = Status.STATUS_CODE_ERROR
        span.status.message = message
        event = span.events.add(name="exception", time_unix_nano=span.end_time_unix_nano)
        stack = f"{self._stacks[site]}{kind}: {message}"
        for key, text in (
            ("exception.type", kind),
            ("exception.message", message),
            ("exception.stacktrace", stack),
        ):
            event.attributes.add(key=key).value.string_value = text


def _stack(site: int) -> str:
    draw = random.Random(site)
    frames = "".join(
        f'  File "{draw.choice(_NOUNS)}_{draw.randrange(40)}.py", '
        f"line {draw.randrange(9000)}, in {draw.choice(_VERBS)}_{draw.randrange(600)}\n"
        f"    {draw.choice(_NOUNS)}()\n"
        for _ in range(15)
    )
    return "Traceback (most recent call last):\n" + frames
