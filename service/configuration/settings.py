"""Every setting of the service: one frozen record, read once at start.

Precedence: command line, then `SPANLEDGER_…` environment, then the TOML file, then these
defaults. `service.configuration.reading` reads them; nothing else looks at the environment. The
bounds and the sentence of each setting stand here, so that its option, check and message agree.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from projections.runs.long.left_out import ATTEMPTS_LIMIT


class ForwardTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One target of `--forward`; `url` is `otlp+grpc://host:port` or `otlp+http://host:port`.

    `otlp+grpcs://` and `otlp+https://` use TLS, with `ca_file` and a client certificate if set.
    `start` says where a new target begins: `head`, `beginning` or a position. With `traces` as
    `by-run` all tries of a run are sent under one trace id.
    """

    url: str
    name: str = ""
    headers: dict[str, str] = {}
    signals: tuple[Literal["traces", "logs"], ...] = ("traces",)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    start: str = "head"
    traces: Literal["as-stored", "by-run"] = "as-stored"


_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of one service. Sizes are bytes, durations seconds; 0 ports are free ones."""

    data: Annotated[Path, Meta(description="Folder of the log, the views and everything else.")]
    host: Annotated[
        str,
        Meta(
            min_length=1,
            description="Address to listen on (localhost: 127.0.0.1 and ::1); others than loopback "
            "need tokens.",
        ),
    ] = "localhost"
    grpc_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of OTLP over gRPC; 0 takes a free one.")
    ] = 4317
    http_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of OTLP over HTTP; 0 takes a free one.")
    ] = 4318
    api_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of the query API; 0 takes a free one.")
    ] = 8000
    workers: Annotated[
        int, Meta(ge=1, le=64, description="Receiver processes that share the OTLP ports.")
    ] = 1
    pin_receivers: Annotated[
        bool,
        Meta(description="Keep each receiver on one processor: its threads share one lock."),
    ] = True
    forward: Annotated[
        tuple[ForwardTarget, ...],
        Meta(description="Forward to otlp+grpc://HOST:PORT or otlp+http://HOST:PORT; repeatable."),
    ] = ()
    tls_cert: Annotated[
        Path | None, Meta(description="PEM file of the certificate that all ports serve.")
    ] = None
    tls_key: Annotated[Path | None, Meta(description="PEM file of its key.")] = None
    tls_client_ca: Annotated[
        Path | None, Meta(description="PEM file of the CA that clients must have a certificate of.")
    ] = None
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Names the API may be asked by (NAME, NAME:PORT, *.NAME, *); loopback "
            "names always may; if none is given, any where there are tokens; repeatable."
        ),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses and networks whose X-Forwarded-… headers count; * is all, "
            "none is nobody; repeatable."
        ),
    ] = ("127.0.0.0/8", "::1")
    root_path: Annotated[
        str, Meta(description="Path under which a proxy serves the API, e.g. /ops/spanledger.")
    ] = ""
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(description="Origins whose browsers may send and ask; `*` is any; repeatable."),
    ] = ()
    trace_links: Annotated[
        tuple[str, ...],
        Meta(
            description="Where else pages link a trace to: NAME=URL with {trace_id} in it, e.g. "
            "Jaeger=http://localhost:16686/trace/{trace_id}; repeatable."
        ),
    ] = ()
    max_request_bytes: Annotated[
        int, Meta(ge=_KIB, le=_GIB, description="Largest body of a request.")
    ] = 16 << 20
    max_decompressed_bytes: Annotated[
        int, Meta(ge=_KIB, le=_GIB, description="Largest body once decompressed.")
    ] = 64 << 20
    max_string_bytes: Annotated[
        int, Meta(ge=64, le=16 * _MIB, description="Longest string; longer ones are cut.")
    ] = 64 << 10
    max_attributes: Annotated[
        int, Meta(ge=1, le=65536, description="Most attributes of one span, event, link or record.")
    ] = 256
    max_span_events: Annotated[
        int, Meta(ge=1, le=65536, description="Most events of one span.")
    ] = 256
    max_links: Annotated[int, Meta(ge=1, le=65536, description="Most links of one span.")] = 256
    queue_bytes: Annotated[
        int, Meta(ge=_MIB, le=64 * _GIB, description="Bytes that may wait for a commit.")
    ] = 64 << 20
    max_run_attempts: Annotated[
        int,
        Meta(ge=100, le=1_000_000, description="Most attempts that a run lists; others count."),
    ] = ATTEMPTS_LIMIT
    apart: Annotated[
        tuple[str, ...],
        Meta(description="Projections that run in a process and a file of their own; repeatable."),
    ] = ()
    search_index: Annotated[
        bool, Meta(description="Index all spans, so that Jaeger and Grafana can search them.")
    ] = True
    mappings: Annotated[
        Path | None,
        Meta(description="Folder of rule files (*.toml) of your own; see `mappings apply`."),
    ] = None
    scrub: Annotated[bool, Meta(description="Remove what is private or secret before storing.")] = (
        True
    )
    scrub_uuids: Annotated[bool, Meta(description="Remove UUIDs as well.")] = False
    scrub_exempt: Annotated[
        tuple[str, ...], Meta(description="Attribute keys left as they are; repeatable.")
    ] = ()
    scrub_pseudonyms: Annotated[
        bool, Meta(description="Write a keyed digest beside the kind, equal for equal values.")
    ] = False
    scrub_patterns: Annotated[
        tuple[str, ...], Meta(description="RE2 patterns of what is private here; repeatable.")
    ] = ()
    scrub_allow: Annotated[
        tuple[str, ...], Meta(description="RE2 patterns of what only looks private; repeatable.")
    ] = ()
    scrub_deny: Annotated[
        tuple[str, ...],
        Meta(description="Attribute keys (`user.*`) whose values are not stored; repeatable."),
    ] = ()
    heartbeat_interval_s: Annotated[
        float,
        Meta(ge=0.05, le=86400, description="Attempts silent for three of these are abandoned."),
    ] = 30.0
    drain_s: Annotated[
        float, Meta(ge=0, le=600, description="Longest time to finish work when told to stop.")
    ] = 10.0
    query_budget_s: Annotated[
        float, Meta(gt=0, le=300, description="Longest time of a query that no index serves.")
    ] = 2.0
    rollback_s: Annotated[
        float,
        Meta(ge=0, le=31_536_000, description="How long replaced views stay for a rollback."),
    ] = 3600.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="What is worth a log line.")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Meta(description="Log lines for people or as JSON.")
    ] = "text"
    telemetry_endpoint: Annotated[
        str, Meta(description="OTLP/gRPC address to send this service's own spans to; empty: none.")
    ] = ""
    of_roles: dict[str, Any] = {}
    """What was given of the settings that roles declare for themselves, by name; see
    `service.roles.declaration`."""

    def of_role(self, name: str, default: Any) -> Any:
        """A setting of a role: what was given, or else the `default` of its declaration."""
        return self.of_roles.get(name, default)
