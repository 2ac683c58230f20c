"""`spanledger serve`: the whole service, or one role of it, until it is told to stop."""

import contextlib
import dataclasses
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from msgspec import inspect as kinds
from rich.console import Console

from events.errors import BadSetting, CommitFailed, SpanledgerError
from service.cli.command import command
from service.configuration import CONFIG_VARIABLE, FIELDS, ROLE_VARIABLE, Field, load
from service.control import call, instances
from service.locks import AlreadyRunning, is_held
from service.logs import start_logging
from service.metrics_folder import share_metrics
from service.ports import Ports, PortTaken
from service.roles import ROLES
from service.settings import Settings
from service.sqlite_version import require_sqlite
from service.version import VERSION

_PANELS: Final = {
    "Ports and data": ("data", "host", "grpc_port", "http_port", "api_port", "workers",
                       "pin_receivers"),
    "Forwarding": ("forward",),
    "Access": ("tls_cert", "tls_key", "tls_client_ca", "cors_origins"),
    "Privacy": ("scrub", "scrub_uuids", "scrub_exempt"),
    "Limits": (
        "max_request_bytes", "max_decompressed_bytes", "max_string_bytes", "max_attributes",
        "max_span_events", "max_links", "queue_bytes",
    ),
    "Times": ("heartbeat_interval_s", "drain_s", "query_budget_s", "rollback_s"),
    "Its own records": ("log_level", "log_format", "telemetry_endpoint"),
}  # fmt: skip
_MOST_RECEIVERS: Final = 64


def _option(field: Field, panel: str) -> Any:
    """`field` as typer takes it. Everything stays text: the settings are checked in one place."""
    default = field.default
    shown = [field.variable]
    if isinstance(default, str | int | float) and default != "":
        shown.insert(0, f"default: {str(default).lower() if field.is_flag else default}")
    help_text = f"{field.sentence} \\[{'; '.join(shown)}]"
    if field.is_flag:
        name = f"{field.option}/--no-{field.option.removeprefix('--')}"
        return Annotated[bool | None, typer.Option(name, help=help_text, rich_help_panel=panel)]
    kind: Any = list[str] | None if field.is_list else str | None
    return Annotated[
        kind,
        typer.Option(field.option, metavar=_metavar(field), help=help_text, rich_help_panel=panel),
    ]


def _metavar(field: Field) -> str:
    if isinstance(field.kind, kinds.LiteralType):
        return "|".join(str(value) for value in field.kind.values)
    if isinstance(field.kind, kinds.IntType | kinds.FloatType):
        return "NUMBER"
    if field.name == "forward":
        return "URL"
    return "DIR" if field.name == "data" else "FILE" if field.is_path else "TEXT"


Options = dataclasses.make_dataclass(
    "Options",
    [
        (name, _option(FIELDS[name], panel), dataclasses.field(default=None))
        for panel, names in _PANELS.items()
        for name in names
    ],
    frozen=True,
)
Options.__doc__ = "Every setting as an option; what is not given is None."


@command
def serve(
    options: Options,  # type: ignore[valid-type]
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help=f"Settings as TOML; DIR/spanledger.toml if there. \\[{CONFIG_VARIABLE}]",
        ),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            "--role",
            metavar="|".join(ROLES),
            help=f"Run this role alone, in the foreground. \\[{ROLE_VARIABLE}]",
        ),
    ] = None,
) -> None:
    """Run the service until it is told to stop (SIGTERM or Ctrl-C; a second one is quicker).

    An option wins over its variable, that over the TOML file, that over the default.

    Examples:

      spanledger serve

      spanledger serve --data /var/lib/spanledger --forward otlp+grpc://jaeger:4317
    """
    require_sqlite()
    settings = load(dataclasses.asdict(options) | {"config": config}, os.environ)
    role = role or os.environ.get(ROLE_VARIABLE) or None
    if role is not None and role not in ROLES:
        raise BadSetting(f"--role: expected one of {', '.join(ROLES)}, not {role!r}")
    _make_folder(settings.data)
    share_metrics(settings.data, role=role or "")
    if role is not None:
        _run_role(settings, role)
        return
    start_logging("supervisor", settings.log_level, settings.log_format)
    # Its metrics look for their folder when they are imported.
    supervisor = importlib.import_module("service.supervisor")
    supervisor.Supervisor(settings, lambda ports: _print_ports(settings, ports)).run()


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise CommitFailed(f"the data folder {data} cannot be made: {exc.strerror}") from exc


def _run_role(settings: Settings, role: str) -> None:
    """One role in this process; several receivers may run so, each with a number."""
    instance = role
    if role == "receiver":
        names = (f"receiver-{number}" for number in range(1, _MOST_RECEIVERS + 1))
        free = next((name for name in names if not is_held(settings.data, name)), None)
        if free is None:
            raise AlreadyRunning(f"{_MOST_RECEIVERS} receivers already run on {settings.data}")
        instance = free
        if settings.workers > 1:
            _require_own_ports(settings)
    start_logging(instance, settings.log_level, settings.log_format)
    runner = importlib.import_module("service.roles.runner")
    stop = runner.Stop()

    def end(*_: Any) -> None:
        stop.ask(0.2 if stop.asked.is_set() else settings.drain_s)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    runner.run(instance, settings, stop, lambda ports: _print_ports(settings, ports, instance))


def _require_own_ports(settings: Settings) -> None:
    """Make sure that a port which may be shared is free, or shared with receivers of this data.

    Raises:
        PortTaken: another service listens there.
    """
    for name in ("grpc", "http"):
        port = getattr(settings, f"{name}_port")
        try:
            Ports(settings.host, {f"{name}_port": port}).close()
        except PortTaken:
            ours = [receiver["ports"].get(name, "") for receiver in _receivers(settings.data)]
            if not any(there.endswith(f":{port}") for there in ours):
                raise


def _receivers(data: Path) -> Iterator[dict[str, Any]]:
    """What the receivers that run on `data` tell of themselves."""
    for instance in instances(data, "receiver"):
        with contextlib.suppress(SpanledgerError):
            yield call(data, instance, "ping", timeout_s=2.0)


def _print_ports(settings: Settings, ports: dict[str, str], instance: str = "") -> None:
    """Say where to send and where to look."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    secure = "s" if settings.tls_cert else ""
    what = f"Spanledger {VERSION}" + (f" ({instance})" if instance else "")
    console.print(f"[bold]{what}[/bold] serves {settings.data}")
    if "grpc" in ports:
        console.print(f"  OTLP/gRPC  [cyan]{ports['grpc']}[/cyan]")
    if "http" in ports:
        console.print(f"  OTLP/HTTP  [cyan]http{secure}://{ports['http']}[/cyan]")
    if "api" in ports:
        console.print(f"  API        [cyan]http{secure}://{ports['api']}[/cyan]  (docs at /docs)")
    sys.stdout.flush()
