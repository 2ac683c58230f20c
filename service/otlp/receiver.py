"""The receiver: both OTLP servers and the pipeline they feed, started and drained together."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from events.errors import BadSetting
from events.log.port import Door
from service.access.tokens import TokenStore
from service.configuration.settings import Settings
from service.mappings.asking import RELOAD
from service.mappings.in_force import whole_keys
from service.otlp.decode.limits import Limits
from service.otlp.pipeline import Pipeline
from service.otlp.scrub.scrubber import Scrubber, check_denied
from service.otlp.transport.grpc_server import GrpcServer
from service.otlp.transport.http_server import HttpServer
from service.otlp.transport.intake import Intake

_log = logging.getLogger(__name__)


class Receiver:
    """OTLP in: what is acknowledged has been committed through `door`."""

    def __init__(self, settings: Settings, door: Door, tokens: TokenStore) -> None:
        self._settings = settings
        self._pipeline = Pipeline(
            door,
            Limits.of(settings),
            self._scrubber(starting=True),
            settings.queue_bytes,
            settings.max_decompressed_bytes,
        )
        intake = Intake(self._pipeline, tokens)
        self._grpc = GrpcServer(settings, intake)
        self._http = HttpServer(settings, intake)
        self._ports: dict[str, str] = {}

    def start(self) -> dict[str, str]:
        """Listen; the addresses `grpc` and `http` as `host:port`.

        Raises:
            Unavailable: a port is taken.
            BadSetting: the certificates cannot be used.
        """
        self._ports = {"grpc": self._grpc.start(), "http": self._http.start()}
        return dict(self._ports)

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        """What can be asked over the control socket."""
        return {"receiving": self._receiving, RELOAD: self._reload_mappings}

    def _scrubber(self, *, starting: bool = False) -> Scrubber | None:
        """One that leaves whole what the mapping rules in force need.

        Raises:
            BadSetting: `starting`, and the settings deny such a key. Later rules come before the
                settings, and the log says so: hidden, it would make one run of many.
        """
        settings = self._settings
        whole = whole_keys(settings.data, settings.mappings)
        try:
            check_denied(settings, whole)
        except BadSetting as exc:
            if starting:
                raise
            _log.error(
                "a rule in force needs a denied key, which is left whole until the next start",
                extra={"action": "mappings", "error": str(exc)},
            )
        return Scrubber.of(settings, whole)

    def _reload_mappings(self) -> dict[str, Any]:
        """Other rules are in force; answers when what was under way before is stored."""
        self._pipeline.scrub_with(self._scrubber())
        return {"reloaded": True}

    def _receiving(self) -> dict[str, Any]:
        return {**self._ports, "waiting_bytes": self._pipeline.waiting_bytes}

    def drain(self, deadline_s: float) -> None:
        """Refuse what is new as `Closing`, store what is queued, answer it; within `deadline_s`."""
        ends_s = time.monotonic() + deadline_s
        done = self._pipeline.drain(deadline_s)
        # What is answered by now only needs to be written out.
        self._grpc.drain(max(ends_s - time.monotonic(), 0.1))
        self._http.drain(max(ends_s - time.monotonic(), 0.1))
        _log.info("drained", extra={"action": "stop", "complete": done})

    def close(self) -> None:
        """Stop at once and give back the ports; may be called twice and without `start`."""
        self._grpc.close()
        self._http.close()
        self._pipeline.drain(0.0)
