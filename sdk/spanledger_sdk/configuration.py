"""One call that makes a program send: provider, hand-over and lifecycle."""

import os
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from spanledger_sdk import settings
from spanledger_sdk.guard import complain, say_once
from spanledger_sdk.handover.outbox import Outbox
from spanledger_sdk.handover.processor import HandoverProcessor
from spanledger_sdk.handover.shared import outbox_of
from spanledger_sdk.lifecycle.processor import LifecycleProcessor
from spanledger_sdk.settings import Settings


class Telemetry:
    """What `configure` set up. Its end is the program's, or `shutdown`."""

    def __init__(self, provider: TracerProvider | None, outbox: Outbox | None) -> None:
        self.provider = provider
        """None where the SDK is switched off, or the program's provider is of another make."""
        self._outbox = outbox

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Deliver all that has ended; False if it takes longer. What was kept waits on."""
        return True if self._outbox is None else self._outbox.flush(timeout_s)

    def shutdown(self) -> None:
        """Deliver what is left, as at the end of the program."""
        try:
            if self.provider is not None:
                self.provider.shutdown()
        except Exception as exc:
            complain("the provider could not be shut down", exc)


_telemetry: Telemetry | None = None


def configure(
    *,
    service: str | None = None,
    endpoint: str | None = None,
    tenant: str | None = None,
    token: str | None = None,
    provider: TracerProvider | None = None,
    lifecycle: bool = True,
    changes: Mapping[str, Any] | None = None,
) -> Telemetry:
    """Send attempts, and all other spans of the provider, to Spanledger.

    On the provider that the program has set, else on one that is made and set. Arguments win
    over the environment. The first call counts; later ones return what it made.

    Args:
        service: `service.name`, where a provider is made.
        endpoint: base address of OTLP over HTTP.
        tenant: whose runs these are.
        token: for a service that wants one.
        provider: in place of the one that is set.
        lifecycle: whether to say while they run that attempts started and are alive.
        changes: further settings by name, as in `Settings`.
    """
    global _telemetry  # noqa: PLW0603 - one for the process, as OpenTelemetry's provider is
    if _telemetry is not None:
        say_once("configure() was called again: the first call counts")
        return _telemetry
    given = {"endpoint": endpoint, "tenant": tenant, "token": token, **(changes or {})}
    try:
        wanted = settings.read(os.environ).changed(given)
        settings.put_in_force(wanted)
        made = Telemetry(None, None) if wanted.disabled else _set_up(
            wanted, service, provider, lifecycle
        )  # fmt: skip
    except Exception as exc:
        complain("configure() failed, so attempts go nowhere", exc)
        return Telemetry(None, None)
    _telemetry = made
    return made


def _set_up(
    wanted: Settings, service: str | None, provider: TracerProvider | None, lifecycle: bool
) -> Telemetry:
    found = provider or _provider(service)
    if found is None:
        return Telemetry(None, None)
    outbox = outbox_of(wanted)
    if lifecycle:
        found.add_span_processor(LifecycleProcessor(outbox, spans_too=True))
    found.add_span_processor(HandoverProcessor(outbox))
    outbox.wake()  # what an earlier process could not send is sent now
    return Telemetry(found, outbox)


def _provider(service: str | None) -> TracerProvider | None:
    """The one that is set, or a new one; None if it takes no span processors."""
    found = trace.get_tracer_provider()
    if isinstance(found, trace.ProxyTracerProvider):
        resource = Resource.create({"service.name": service} if service else {})
        found = TracerProvider(resource=resource)
        trace.set_tracer_provider(found)
    inner = found if isinstance(found, TracerProvider) else getattr(found, "provider", found)
    if not isinstance(inner, TracerProvider):
        complain("the program's TracerProvider takes no span processors", type(found).__name__)
        return None
    return inner
