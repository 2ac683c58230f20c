"""Our own spans, by OTLP, when a telemetry endpoint is set: for each batch appended and each page
folded. Without one nothing of OpenTelemetry's SDK is loaded: every process would pay for it.
"""

import importlib
import threading
from typing import Any, Final

from events.log.port import Door
from projections.engine.port import Fold
from service.installation.version import VERSION

_FLUSH_S: Final = 0.5


class _Running:
    """The provider of this process; None: nothing is traced."""

    provider: Any = None


def start(endpoint: str, instance: str) -> None:
    """Send this process's spans to `endpoint` (host:port or http(s)://host:port) from now on."""
    if endpoint:
        _Running.provider = _tracing().make_provider(endpoint, instance)


def stop() -> None:
    """Send what waits, briefly; may be called twice."""
    provider, _Running.provider = _Running.provider, None
    if provider is not None:
        # The SDK tries an endpoint that is away again and again, whatever time it is given.
        ending = threading.Thread(target=provider.shutdown, name="telemetry-end", daemon=True)
        ending.start()
        ending.join(_FLUSH_S)


def traced_door(door: Door) -> Door:
    """`door`, with a span for each batch if spans are sent at all."""
    if _Running.provider is None:
        return door
    traced: Door = _tracing().TracedDoor(door, _tracer())
    return traced


def traced_fold(fold: Fold) -> Fold:
    """`fold`, with a span for each page if spans are sent at all."""
    if _Running.provider is None:
        return fold
    traced: Fold = _tracing().traced(fold, _tracer())
    return traced


def _tracer() -> Any:
    return _Running.provider.get_tracer("spanledger", VERSION)


def _tracing() -> Any:
    return importlib.import_module("service.telemetry.tracing")
