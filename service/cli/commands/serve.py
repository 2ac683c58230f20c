"""`spanledger serve`: the whole service, or one role of it, until it is told to stop."""

import contextlib
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from msgspec import inspect as kinds
from rich.console import Console

from events.errors import BadSetting, CommitFailed, SpanledgerError
from events.private import make_private
from service.cli.command import command
from service.configuration.reading import CONFIG_VARIABLE, FIELDS, ROLE_VARIABLE, Field, load
from service.configuration.settings import Settings
from service.control.locks import AlreadyRunning, RoleLock, is_held
from service.control.socket import call, instances
from service.installation.sqlite_version import require_sqlite
from service.installation.version import VERSION
from service.network.ports import Ports, PortTaken
from service.process.supervisor import Supervisor
from service.roles.declaration import ROLES, all_ports, role_of
from service.roles.runner import Stop, run
from service.telemetry.logs import start_logging

_PANELS: Final = {
    "Ports and data": ("data", "host", *(port.setting for port in all_ports()), "workers",
                       "pin_receivers", "mappings"),
    "Forwarding": ("forward",),
    "Views": ("apart", "search_index", "trace_links"),
    "Access": ("tls_cert", "tls_key", "tls_client_ca", "allowed_hosts", "trusted_proxies",
               "root_path", "cors_origins"),
    "Privacy": ("scrub", "scrub_uuids", "scrub_pseudonyms", "scrub_exempt", "scrub_patterns",
                "scrub_allow", "scrub_deny"),
    "Limits": (
        "max_request_bytes", "max_decompressed_bytes", "max_string_bytes", "max_attributes",
        "max_span_events", "max_links", "queue_bytes", "max_run_attempts",
    ),
    "Times": ("heartbeat_interval_s", "drain_s", "query_budget_s", "rollback_s"),
    "Of single roles": tuple(
        setting.name for declared in ROLES.values() for setting in declared.settings
    ),
    "Its own records": ("log_level", "log_format", "telemetry_endpoint"),
}  # fmt: skip
_RECEIVERS: Final = tuple(f"receiver-{number}" for number in range(1, 65))
_STARTING_S: Final = 5.0
_PAUSE_S: Final = 0.05


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
    if field.may_be_off:
        return "NUMBER|off"
    if isinstance(field.kind, kinds.IntType | kinds.FloatType):
        return "NUMBER"
    if field.name == "forward":
        return "URL"
    return "DIR" if field.name in ("data", "mappings") else "FILE" if field.is_path else "TEXT"


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
            metavar="|".join(declared.each or declared.name for declared in ROLES.values()),
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
    if role is not None:
        _check_role(settings, role)
    _make_folder(settings.data)
    if role is not None:
        _run_role(settings, role)
        return
    start_logging("supervisor", settings.log_level, settings.log_format)
    Supervisor(settings, lambda ports: _print_ports(settings, ports)).run()


def _check_role(settings: Settings, role: str) -> None:
    known: list[str] = []
    for declared in ROLES.values():
        known += declared.running(settings) if declared.each else [declared.name]
    if role in known:
        return
    hint = ""
    if role_of(role) in ROLES and ROLES[role_of(role)].each:
        hint = f", with {role.partition('-')[2] or 'NAME'} set apart"
    raise BadSetting(f"--role: expected one of {', '.join(known)}, not {role!r}{hint}")


def _make_folder(data: Path) -> None:
    try:
        make_private(data)
    except OSError as exc:
        raise CommitFailed(f"the data folder {data} cannot be made: {exc.strerror}") from exc


def _run_role(settings: Settings, role: str) -> None:
    """One role in this process; several receivers may run so, each with a number."""
    if role != "receiver":
        _run_instance(settings, role)
        return
    with _free_receiver(settings.data) as instance:
        if settings.workers > 1:
            _require_own_ports(settings, instance)
        _run_instance(settings, instance, locked=(instance,))


@contextlib.contextmanager
def _free_receiver(data: Path) -> Iterator[str]:
    """The first free name of a receiver; its lock is held, so that no other start takes it.

    Raises:
        AlreadyRunning: as many as there may be run already.
    """
    for instance in _RECEIVERS:
        lock = RoleLock(data, instance, wait_s=0)
        with contextlib.suppress(AlreadyRunning):
            lock.acquire()
            break
    else:
        raise AlreadyRunning(f"{len(_RECEIVERS)} receivers already run on {data}")
    try:
        yield instance
    finally:
        lock.release()


def _run_instance(settings: Settings, instance: str, *, locked: Collection[str] = ()) -> None:
    start_logging(instance, settings.log_level, settings.log_format)
    stop = Stop()

    def end(*_: Any) -> None:
        stop.ask(0.2 if stop.asked.is_set() else settings.drain_s)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)

    def ready(ports: dict[str, str]) -> None:
        _print_ports(settings, ports, instance)

    run(instance, settings, stop, ready, locked=locked)


def _require_own_ports(settings: Settings, instance: str) -> None:
    """Make sure that a port which may be shared is free, or shared with receivers of this data.

    Raises:
        PortTaken: another service listens there.
    """
    deadline_s = time.monotonic() + _STARTING_S
    while True:
        starts = _another_starts(settings.data, instance)
        try:
            _try_ports(settings)
            return
        except PortTaken:
            # One that starts at this moment may have the port, and not tell of it yet.
            starts = starts or _another_starts(settings.data, instance)
            if not starts or time.monotonic() > deadline_s:
                raise
        time.sleep(_PAUSE_S)


def _try_ports(settings: Settings) -> None:
    for port in ROLES["receiver"].ports:
        number = port.number(settings) or 0
        try:
            Ports(settings.host, {port.setting: number}).close()
        except PortTaken:
            ours = [receiver["ports"].get(port.name, "") for receiver in _receivers(settings.data)]
            if not any(there.endswith(f":{number}") for there in ours):
                raise


def _another_starts(data: Path, instance: str) -> bool:
    """Whether a receiver other than `instance` has its lock, and does not answer yet."""
    told = {receiver["instance"] for receiver in _receivers(data)}
    others = (name for name in _RECEIVERS if name != instance and name not in told)
    return any(is_held(data, name) for name in others)


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
    for port in all_ports():
        if port.name in ports:
            address = f"http{secure}://{ports[port.name]}" if port.is_web else ports[port.name]
            note = f"  ({port.note})" if port.note else ""
            console.print(f"  {port.label:<9}  [cyan]{address}[/cyan]{note}")
    sys.stdout.flush()
