"""For tests of programs that use the SDK: attempts in memory, with ids and a clock that count.

    with capture() as seen:
        charge("order-1")
    seen.assert_attempts("invoice.charge", "failed", "completed")

Nothing leaves the process. The program's own provider is left alone, unless it is to be seen:
while the block lasts, attempts and what is started below them by `seen.tracer` go to the capture.
"""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import StatusCode

from spanledger_sdk import names, settings, sources, tracing
from spanledger_sdk.settings import Settings
from spanledger_sdk.sources import Sources

__all__ = ["Capture", "CountingIds", "SeenAttempt", "capture"]

FIRST_NS: Final = 1_700_000_000_000_000_000
STEP_NS: Final = 1_000_000


class CountingIds(IdGenerator):
    """Trace ids and span ids 1, 2, 3 …; run ids `run-1`, `run-2` …"""

    def __init__(self) -> None:
        self._traces = itertools.count(1)
        self._spans = itertools.count(1)
        self._runs = itertools.count(1)

    def generate_trace_id(self) -> int:
        return next(self._traces)

    def generate_span_id(self) -> int:
        return next(self._spans)

    def new_run_id(self) -> str:
        """The next run id."""
        return f"run-{next(self._runs)}"


class CountingClock:
    """Begins at `FIRST_NS`, and is a millisecond later each time it is looked at."""

    def __init__(self) -> None:
        self._ticks = itertools.count(FIRST_NS, STEP_NS)

    def now_ns(self) -> int:
        """Nanoseconds since 1970."""
        return next(self._ticks)


@dataclass(frozen=True)
class SeenAttempt:
    """An attempt that has ended, as its span tells it."""

    task_id: str
    run_id: str
    number: int
    result: str
    retry_of: int | None
    will_retry: bool
    error_type: str | None
    message: str | None
    trace_id: str
    span_id: str
    linked: Mapping[str, tuple[str, ...]]
    """Span ids that it links to, by `task.link`: `retry_of`, `caller`."""
    attributes: Mapping[str, Any]
    span: ReadableSpan


class Capture:
    """What was recorded while the block lasted; spans in the order of their ends."""

    def __init__(self, provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
        self.provider = provider
        self.tracer = provider.get_tracer("test")
        self._exporter = exporter

    @property
    def spans(self) -> list[ReadableSpan]:
        """All that have ended."""
        return list(self._exporter.get_finished_spans())

    @property
    def attempts(self) -> list[SeenAttempt]:
        """All attempts that have ended."""
        return [
            seen_attempt(span)
            for span in self.spans
            if names.TASK_ATTEMPT in (span.attributes or {})
        ]

    def attempts_of(self, task_id: str) -> list[SeenAttempt]:
        """Those of a task."""
        return [attempt for attempt in self.attempts if attempt.task_id == task_id]

    def assert_attempts(self, task_id: str, *results: str) -> list[SeenAttempt]:
        """The task had these attempts, all of one run, numbered on; returns them.

        Raises:
            AssertionError: it says what was seen instead.
        """
        found = self.attempts_of(task_id)
        seen = [f"{a.run_id} #{a.number} {a.result}" for a in found]
        assert [a.result for a in found] == list(results), f"attempts of {task_id}: {seen}"
        assert len({a.run_id for a in found}) <= 1, f"several runs of {task_id}: {seen}"
        assert [a.number for a in found] == list(range(1, len(found) + 1)), seen
        return found

    def assert_failed(self, task_id: str, error_type: str, message: str | None = None) -> None:
        """The task's last attempt failed with this error.

        Raises:
            AssertionError: it says what was seen instead.
        """
        found = self.attempts_of(task_id)
        assert found, f"no attempt of {task_id}; there are {[a.task_id for a in self.attempts]}"
        last = found[-1]
        assert last.result == "failed", f"{task_id} is {last.result}"
        assert last.error_type == error_type, f"{task_id} failed with {last.error_type}"
        assert message is None or last.message == message, f"{task_id} said {last.message!r}"


def seen_attempt(span: ReadableSpan) -> SeenAttempt:
    """What the span of an attempt tells."""
    said: dict[str, Any] = dict(span.attributes or {})
    context = span.get_span_context()
    assert context is not None
    error = next((e for e in span.events if e.name == names.EXCEPTION_EVENT), None)
    linked: dict[str, tuple[str, ...]] = {}
    for link in span.links:
        why = str((link.attributes or {}).get(names.LINK, ""))
        linked[why] = (*linked.get(why, ()), f"{link.context.span_id:016x}")
    ended = "failed" if span.status.status_code is StatusCode.ERROR else "completed"
    retry_of = said.get(names.TASK_RETRY_OF)
    return SeenAttempt(
        str(said[names.TASK_ID]), str(said[names.TASK_RUN_ID]), int(said[names.TASK_ATTEMPT]),
        str(said.get(names.TASK_RESULT, ended)),
        None if retry_of is None else int(retry_of),
        bool(said.get(names.TASK_WILL_RETRY, False)),
        _text(said.get(names.ERROR_TYPE)),
        _text((error.attributes or {}).get(names.EXCEPTION_MESSAGE)) if error else None,
        f"{context.trace_id:032x}", f"{context.span_id:016x}", linked, said, span,
    )  # fmt: skip


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


@contextmanager
def capture(
    *,
    sampler: Sampler = ALWAYS_ON,
    processors: tuple[SpanProcessor, ...] = (),
    counting: bool = True,
    changes: Mapping[str, Any] | None = None,
) -> Iterator[Capture]:
    """Record attempts in memory while the block lasts.

    Args:
        sampler: of the provider.
        processors: further span processors of the provider.
        counting: ids and times count; otherwise they are real.
        changes: settings, as `{"tenant": "acme"}`; the environment's do not count.
    """
    ids, clock, exporter = CountingIds(), CountingClock(), InMemorySpanExporter()
    provider = TracerProvider(
        sampler=sampler, resource=Resource({}), shutdown_on_exit=False,
        id_generator=ids if counting else None,
    )  # fmt: skip
    for processor in (*processors, SimpleSpanProcessor(exporter)):
        provider.add_span_processor(processor)
    others = Sources(clock.now_ns, ids.new_run_id) if counting else Sources()
    settings_before, sources_before = settings.in_force(), sources.use(others)
    provider_before = tracing.choose(provider)
    settings.put_in_force(Settings().changed({"usage": "none", **(changes or {})}))
    try:
        yield Capture(provider, exporter)
    finally:
        tracing.choose(provider_before)
        sources.use(sources_before)
        settings.put_in_force(settings_before)
        provider.shutdown()
