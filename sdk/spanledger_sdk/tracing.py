"""Spans of a wanted trace, from whatever provider the program has.

A run's attempts are roots of the run's own trace. The SDK's tracer asks its id generator for the
trace id of a root; that is an attribute of the tracer of our scope alone, and is wrapped there. So
the provider's sampler decides as for any other root, and nobody else's spans are touched. A tracer
of another make gets a remote parent in the wanted trace.
"""

import copy
import threading
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    TracerProvider,
    set_span_in_context,
)

from spanledger_sdk.guard import say_once
from spanledger_sdk.names import SCOPE, VERSION

SPAN_KEY: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))
"""Under which a context holds its span: OpenTelemetry has no public name for it."""
_WRAPPERS: Final = 3
"""How many providers may be wrapped around the one that makes spans."""


class _Wanted(threading.local):
    """The trace of the span that this thread is starting; only set while it is started."""

    trace_id: int = 0


_wanted = _Wanted()


class _RunIds(IdGenerator):
    """The wanted trace id, where there is one; everything else from the provider's generator."""

    def __init__(self, inner: IdGenerator) -> None:
        self._inner = inner
        self.generate_span_id = inner.generate_span_id  # type: ignore[method-assign]

    def generate_span_id(self) -> int:
        return self._inner.generate_span_id()

    def generate_trace_id(self) -> int:
        return _wanted.trace_id or self._inner.generate_trace_id()

    def is_trace_id_random(self) -> bool:
        return True  # a digest: each bit as good as random, as sampling by trace id needs it


_chosen: TracerProvider | None = None
_known: tuple[TracerProvider | None, trace.Tracer | None] = (None, None)


def choose(provider: TracerProvider | None) -> TracerProvider | None:
    """Use this provider for attempts in place of the global one; returns the one before."""
    global _chosen
    before, _chosen = _chosen, provider
    return before


def _tracer() -> trace.Tracer | None:
    global _known  # noqa: PLW0603 - asked for with every attempt
    provider = _chosen or trace.get_tracer_provider()
    known, tracer = _known
    if provider is not known or tracer is None:
        tracer = _tracer_of(provider)
        _known = provider, tracer
    return tracer


def _tracer_of(provider: TracerProvider) -> trace.Tracer | None:
    inner: Any = provider
    for _ in range(_WRAPPERS):
        if isinstance(inner, SdkProvider) or not hasattr(inner, "provider"):
            break
        inner = inner.provider
    if isinstance(inner, trace.ProxyTracerProvider):
        say_once("no TracerProvider is set, so attempts go nowhere: call configure()")
        return None  # one may be set later
    tracer: trace.Tracer = inner.get_tracer(SCOPE, VERSION)
    if isinstance(tracer, Tracer) and not isinstance(tracer.id_generator, _RunIds):
        tracer.id_generator = _RunIds(tracer.id_generator)
    return tracer


def _sampling_all(tracer: Tracer) -> Tracer:
    """The same tracer as it is now, but for its sampler."""
    always = copy.copy(tracer)
    always.sampler = ALWAYS_ON
    return always


def start_root(
    here: Context,
    trace_id: int,
    name: str,
    kind: SpanKind,
    attributes: dict[str, Any],
    links: Sequence[Link],
    always: bool,
    start_ns: int,
) -> Span:
    """Start a root span of this trace; the active span of `here`, the context, is left alone.

    Baggage and whatever else the context holds is seen by span processors as usual.
    """
    tracer = _tracer()
    if tracer is None:
        return INVALID_SPAN
    if not isinstance(tracer, Tracer):
        here = set_span_in_context(NonRecordingSpan(_above(trace_id)), here)
    elif SPAN_KEY in here:
        here = set_span_in_context(INVALID_SPAN, here)
    if always and isinstance(tracer, Tracer):
        tracer = _sampling_all(tracer)
    _wanted.trace_id = trace_id
    try:
        return tracer.start_span(name, here, kind, attributes, links, start_ns)
    finally:
        _wanted.trace_id = 0


def _above(trace_id: int) -> SpanContext:
    """A remote parent in this trace, of an id that follows from the trace's."""
    return SpanContext(
        trace_id, trace_id & 0xFFFF_FFFF_FFFF_FFFF or 1, True, TraceFlags(TraceFlags.SAMPLED)
    )


def span_in(trace_id: int, span_id: int) -> SpanContext:
    """A span of this trace somewhere else, to link to."""
    return SpanContext(trace_id, span_id, True, TraceFlags(TraceFlags.SAMPLED))
