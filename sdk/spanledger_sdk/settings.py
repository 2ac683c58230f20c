"""Settings, read once from the environment; arguments of `configure` win over them.

A value that cannot be used is said once and replaced by its default: a typo in a variable must
not end the program.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from opentelemetry.util.re import parse_env_headers

from spanledger_sdk.guard import complain, say_once
from spanledger_sdk.names import DEFAULT_TENANT

PREFIX: Final = "SPANLEDGER_SDK_"
DEFAULT_ENDPOINT: Final = "http://127.0.0.1:4318"

_FLAGS: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
Usage = Literal["none", "cpu", "all"]
Sample = Literal["provider", "always"]


@dataclass(frozen=True, slots=True)
class Settings:
    """One field a variable `SPANLEDGER_SDK_…`, in capitals."""

    disabled: bool = False
    """Attempts run, and nothing is recorded or sent. Without it `OTEL_SDK_DISABLED` counts."""
    endpoint: str = DEFAULT_ENDPOINT
    """Base address of OTLP over HTTP; `/v1/traces` and `/v1/logs` are put behind it. Without it
    `OTEL_EXPORTER_OTLP_ENDPOINT` counts, unless that one is for gRPC."""
    tenant: str = DEFAULT_TENANT
    """Part of every trace id, and the header `X-Scope-OrgID`."""
    token: str = ""
    """Sent as `Authorization: Bearer …`."""
    sample: Sample = "provider"
    """Whether attempts are subject to the provider's sampler, or `always` recorded."""
    usage: Usage = "cpu"
    """What is measured of each attempt: `none`, `cpu` seconds, or `all` (memory and bytes, too)."""
    heartbeat_interval_s: float = 30.0
    """How often a running attempt is said to be alive; at most what the service expects."""
    send_interval_s: float = 0.2
    """How long what is to be sent waits for company."""
    timeout_s: float = 10.0
    """For one request."""
    exit_timeout_s: float = 5.0
    """How long the end of the program may be held up by sending what is left."""
    queue_items: int = 8192
    """Spans and log records in memory, at most; those beyond are dropped and counted."""
    running_attempts: int = 10_000
    """That heartbeats are sent for, at most."""
    spool: str = ""
    """Folder for what could not be sent; `off` for none, the user's state folder by default."""
    spool_bytes: int = 64 << 20
    """On disk, at most; the oldest are dropped and counted."""
    api: str = ""
    """Base address of the service's API, which decides about recoveries; empty: none is asked."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers, as in `OTEL_EXPORTER_OTLP_HEADERS`, which counts where this is not set."""

    def changed(self, changes: Mapping[str, Any]) -> "Settings":
        """These, with the changes that are not None."""
        return replace(self, **{k: v for k, v in changes.items() if v is not None})


def read(environment: Mapping[str, str]) -> Settings:
    """The settings that an environment gives."""
    found: dict[str, Any] = {}
    for name, default in _defaults().items():
        text = environment.get(PREFIX + name.upper(), "").strip()
        if text:
            try:
                found[name] = _parse(name, text, default)
            except ValueError:
                complain(f"{PREFIX}{name.upper()} is not usable, its default is taken", text)
    if "disabled" not in found and environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        found["disabled"] = True
    if "endpoint" not in found and (others := _endpoint_of_others(environment)):
        found["endpoint"] = others
    if "headers" not in found:
        found["headers"] = _headers(environment.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
    return Settings(**found)


def _defaults() -> dict[str, Any]:
    plain = Settings()
    return {name: getattr(plain, name) for name in Settings.__dataclass_fields__}


def _parse(name: str, text: str, default: Any) -> Any:
    allowed = {"sample": get_args(Sample), "usage": get_args(Usage)}.get(name)
    if allowed and text not in allowed:
        raise ValueError(text)
    if isinstance(default, bool):
        if text.lower() not in _FLAGS:
            raise ValueError(text)
        return _FLAGS[text.lower()]
    if isinstance(default, int | float):
        value = type(default)(text)
        if not 0 < value < 1 << 62:
            raise ValueError(text)
        return value
    return _headers(text) if name == "headers" else text


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_env_headers(text, liberal=True).items())


def _endpoint_of_others(environment: Mapping[str, str]) -> str:
    """Where other OTLP exporters send to, if that is HTTP."""
    protocol = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    return "" if protocol == "grpc" else environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")


def spool_folder(settings: Settings) -> Path | None:
    """Where the spools of all endpoints and tenants lie; None if there is to be none.

    None, and said, where this user has no home: a folder named `~` in whatever folder the program
    was started in helps nobody.
    """
    if settings.spool.lower() in ("off", "none", "false"):
        return None
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    folder = os.path.expanduser(settings.spool or os.path.join(state, "spanledger-sdk"))
    if folder.startswith("~"):
        say_once("there is no home folder for a spool: set SPANLEDGER_SDK_SPOOL to one")
        return None
    return Path(folder)


_current: Settings | None = None


def current() -> Settings:
    """The settings in force; read from the environment when first asked for."""
    global _current  # noqa: PLW0603 - one for the process, as the environment is
    if _current is None:
        _current = read(os.environ)
    return _current


def in_force() -> Settings | None:
    """Those in force, None if they were not read yet."""
    return _current


def put_in_force(settings: Settings | None) -> None:
    """Replace them; None reads the environment again."""
    global _current  # noqa: PLW0603
    _current = settings
