"""How our own spans are made: a door and a fold that trace what passes through them.

They may be sent to this very service: a batch or page that holds any of them is not traced, so
that they never call forth others of their kind.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, StatusCode

from events import codec
from events.log.port import Appended, Batch, Door, Page
from projections.engine.port import Fold, Group, Staged
from projections.runs.changes import Changes
from service.installation.version import VERSION

_MARK: Final = "spanledger.self_telemetry"
_MARK_BYTES: Final = _MARK.encode()


def make_provider(endpoint: str, instance: str) -> TracerProvider:
    """A provider that sends spans of this process to `endpoint`."""
    resource = Resource.create(
        {
            "service.name": "spanledger",
            "service.version": VERSION,
            "service.instance.id": instance,
            _MARK: True,
        }
    )
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https://"))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class TracedDoor:
    """A door, with a span for each batch from its append to its commit."""

    def __init__(self, door: Door, tracer: trace.Tracer) -> None:
        self._door = door
        self._tracer = tracer
        self.identity_key = door.identity_key
        self.log_id = door.log_id

    def append(self, batch: Batch, *, timeout_s: float = 30.0) -> Appended:
        """See `Door.append`."""
        if _is_own(batch):
            return self._door.append(batch, timeout_s=timeout_s)
        with self._tracer.start_as_current_span("append", attributes=_size(batch)) as span:
            return _note(span, self._door.append(batch, timeout_s=timeout_s))

    def append_async(self, batch: Batch) -> "Future[Appended]":
        """See `Door.append_async`."""
        future = self._door.append_async(batch)
        if not _is_own(batch):
            span = self._tracer.start_span("append", attributes=_size(batch))
            future.add_done_callback(lambda done: _end(span, done))
        return future


class TracedFold:
    """A fold, with a span for each page."""

    def __init__(self, fold: Fold, tracer: trace.Tracer) -> None:
        self._fold = fold
        self._tracer = tracer
        self.projections = fold.projections

    def create(self, connection: sqlite3.Connection) -> None:
        self._fold.create(connection)

    def index(self, connection: sqlite3.Connection) -> None:
        self._fold.index(connection)

    def forget(self) -> None:
        self._fold.forget()

    def apply(self, connection: sqlite3.Connection, page: Page) -> None:
        with _page_span(self._tracer, page):
            self._fold.apply(connection, page)


class TracedStaged(TracedFold):
    """A fold with a stage; the span of a page ends when the stage has told all changes."""

    def __init__(self, fold: Staged, tracer: trace.Tracer) -> None:
        super().__init__(fold, tracer)
        self._staged = fold

    @property
    def groups(self) -> Sequence[Group]:
        return self._staged.groups

    def attach(self, connection: sqlite3.Connection) -> None:
        self._staged.attach(connection)

    def put_aside(self, send: Callable[[Any], None]) -> None:
        self._staged.put_aside(send)

    def changes(self, connection: sqlite3.Connection, page: Page) -> Iterator[Changes]:
        with _page_span(self._tracer, page):
            yield from self._staged.changes(connection, page)


def traced(fold: Fold, tracer: trace.Tracer) -> Fold:
    """`fold`, with a span for each page; it can be divided if `fold` can."""
    return TracedStaged(fold, tracer) if isinstance(fold, Staged) else TracedFold(fold, tracer)


@contextmanager
def _page_span(tracer: trace.Tracer, page: Page) -> Iterator[None]:
    """A span while a page is folded, unless it holds spans of our own."""
    if any(_MARK_BYTES in segment.content for segment in page.segments):
        yield
        return
    size = {"spanledger.events": page.count, "spanledger.through": page.through}
    span = tracer.start_span("fold", attributes=size)
    try:
        yield
    finally:
        span.end()


def _is_own(batch: Batch) -> bool:
    return _MARK_BYTES in codec.unpack(batch.codec, batch.payload)


def _size(batch: Batch) -> dict[str, int]:
    return {"spanledger.events": batch.count, "spanledger.bytes": batch.content_bytes}


def _note(span: Span, appended: Appended) -> Appended:
    span.set_attribute("spanledger.stored", appended.stored)
    span.set_attribute("spanledger.duplicates", appended.duplicates)
    return appended


def _end(span: Span, done: "Future[Appended]") -> None:
    error = done.exception()
    if error is None:
        _note(span, done.result())
    else:
        span.set_status(StatusCode.ERROR, str(error))
    span.end()
