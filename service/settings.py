"""Every setting of the service: one frozen record, read once at start.

Precedence: command line, then `SPANLEDGER_…` environment, then the TOML file, then these
defaults. `service.configuration` reads them; nothing else looks at the environment.
"""

from pathlib import Path
from typing import Literal

import msgspec


class ForwardTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One target of `--forward`; `url` is `otlp+grpc://host:port` or `otlp+http://host:port`.

    `otlp+grpcs://` and `otlp+https://` use TLS, with `ca_file` and a client certificate if set.
    `start` says where a new target begins: `head`, `beginning` or a position.
    """

    url: str
    name: str = ""
    headers: dict[str, str] = {}
    signals: tuple[Literal["traces", "logs"], ...] = ("traces",)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    start: str = "head"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of one service. Sizes are bytes, durations seconds; 0 ports are free ones."""

    data: Path
    host: str = "127.0.0.1"
    grpc_port: int = 4317
    http_port: int = 4318
    api_port: int = 8000
    workers: int = 1
    forward: tuple[ForwardTarget, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    cors_origins: tuple[str, ...] = ()
    max_request_bytes: int = 16 << 20
    max_decompressed_bytes: int = 64 << 20
    max_string_bytes: int = 64 << 10
    max_attributes: int = 256
    max_span_events: int = 256
    max_links: int = 256
    queue_bytes: int = 64 << 20
    scrub: bool = True
    scrub_uuids: bool = False
    scrub_exempt: tuple[str, ...] = ()
    heartbeat_interval_s: float = 30.0
    drain_s: float = 10.0
    query_budget_s: float = 2.0
    rollback_s: float = 3600.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    telemetry_endpoint: str = ""
