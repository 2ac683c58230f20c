"""Spans of a wanted trace, from whatever provider the program has.

A run's attempts are roots of the run's own trace. The SDK's tracer asks its id generator for the
trace id of a root, and its sampler whether to record it; both are attributes of the tracer of our
scope alone, and are wrapped there. So the provider's sampler decides as for any other root, and
nobody else's spans are touched. A tracer of another make gets a remote parent in the wanted trace.
"""

import threading
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler, SamplingResult
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    TracerProvider,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import Attributes

from spanledger_sdk.guard import say_once
from spanledger_sdk.names import SCOPE, VERSION

_WRAPPERS: Final = 3
"""How many providers may be wrapped around the one that makes spans."""


class _Wanted(threading.local):
    """What the span that this thread is starting shall be; only set while it is started."""

    trace_id: int = 0
    always: bool = False


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


class _RunSampler(Sampler):
    """The provider's sampler, except for attempts that are always recorded."""

    def __init__(self, inner: Sampler) -> None:
        self.inner = inner

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        sampler = ALWAYS_ON if _wanted.always else self.inner
        if trace_state is None:
            return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links)
        return sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        return self.inner.get_description()


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
        tracer.sampler = _RunSampler(tracer.sampler)
    return tracer


def start_root(
    trace_id: int,
    name: str,
    kind: SpanKind,
    attributes: dict[str, Any],
    links: list[Link],
    always: bool,
    start_ns: int,
) -> Span:
    """Start a root span of this trace; the active span is left alone.

    Baggage and whatever else the current context holds is seen by span processors as usual.
    """
    tracer = _tracer()
    if tracer is None:
        return INVALID_SPAN
    context = get_current()
    if get_current_span(context) is not INVALID_SPAN:
        context = set_span_in_context(INVALID_SPAN, context)
    if not isinstance(tracer, Tracer):
        context = set_span_in_context(NonRecordingSpan(_above(trace_id)), context)
    _wanted.trace_id, _wanted.always = trace_id, always
    try:
        return tracer.start_span(name, context, kind, attributes, links, start_ns)
    finally:
        _wanted.trace_id, _wanted.always = 0, False


def _above(trace_id: int) -> SpanContext:
    """A remote parent in this trace, of an id that follows from the trace's."""
    return SpanContext(
        trace_id, trace_id & 0xFFFF_FFFF_FFFF_FFFF or 1, True, TraceFlags(TraceFlags.SAMPLED)
    )


def span_in(trace_id: int, span_id: int) -> SpanContext:
    """A span of this trace somewhere else, to link to."""
    return SpanContext(trace_id, span_id, True, TraceFlags(TraceFlags.SAMPLED))
