"""What a role is to the rest of the service, in one record; the table of all of them.

Supervisor, status, doctor, readiness, `serve`, the settings and a test of the docs read it here.
A new role is a module with `build(settings, place) -> Role` and a record in `ROLES`. The records
load none of the modules: whoever lists the roles does not pay for them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta

from service.alerts.place import FILE_SETTING, rules_file
from service.configuration.settings import Settings


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that only one role has: its type carries its bounds and its sentence."""

    name: str
    type: Any
    default: Any


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a role listens on.

    Args:
        name: as in `endpoints.json` and in what `Role.start` returns; its setting is `NAME_port`.
        label: what it is called for people.
        is_web: its address is shown as a URL.
        default: of a port that the service can do without (`off`): one that is taken is left out
            and told, unless it was asked for. None: its setting is a field of `Settings`, and
            without it the service does not start.
    """

    name: str
    label: str
    is_web: bool = True
    note: str = ""
    default: int | None = None

    @property
    def setting(self) -> str:
        return f"{self.name}_port"

    def number(self, settings: Settings) -> int | None:
        """The port that is set: 0 is any free one, None is off."""
        if self.default is None:
            number: int | None = getattr(settings, self.setting)
        else:
            number = settings.of_roles.get(self.setting, self.default)
        return number

    def is_asked_for(self, settings: Settings) -> bool:
        """Whether the service must not start without it."""
        return self.default is None or self.setting in settings.of_roles

    def placed(self, settings: Settings, number: int | None) -> dict[str, Any]:
        """The change of `settings` that makes `number` the port."""
        if self.default is None:
            return {self.setting: number}
        return {"of_roles": {**settings.of_roles, self.setting: number}}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One role.

    Args:
        module: has `build`; loaded only in the role's own process.
        drains: roles end in this order, those with the least first.
        drain_share: of the time that is left then, the part that it may take.
        starts_ahead: the others start once it is ready.
        readiness: what its control socket is asked to know that it works; "": the service counts
            as ready without it.
        settings: those that no other role has.
        instances: the names under which it runs in a service; by default its own, if it is on.
        reload: what its control socket is asked on SIGHUP; "": nothing.
        each: how its instances are spelled if they are not alike, so that one must be named.
    """

    name: str
    module: str
    drains: int
    drain_share: float = 1.0
    starts_ahead: bool = False
    readiness: str = ""
    ports: tuple[Port, ...] = ()
    settings: tuple[Setting, ...] = ()
    instances: Callable[[Settings], list[str]] | None = None
    reload: str = ""
    each: str = ""

    def running(self, settings: Settings) -> list[str]:
        """The names under which it runs, with `settings`."""
        if self.instances is not None:
            return self.instances(settings)
        return [self.name] if self.is_on(settings) else []

    def is_on(self, settings: Settings) -> bool:
        """Whether it has no port, or any of its ports is on."""
        return not self.ports or any(port.number(settings) is not None for port in self.ports)

    def own_settings(self) -> Iterator[Setting]:
        """Its settings that are no fields of `Settings`, those of its ports first."""
        for port in self.ports:
            if port.default is not None:
                sentence = f"Port of {port.label}; 0 takes a free one, off none."
                meta = Meta(description=sentence)
                kind = Annotated[Annotated[int, Meta(ge=0, le=65535)] | None, meta]
                yield Setting(port.setting, kind, port.default)
        yield from self.settings


def _receivers(settings: Settings) -> list[str]:
    if settings.workers == 1:
        return ["receiver"]  # it holds the writer as well
    return [f"receiver-{number}" for number in range(1, settings.workers + 1)]


_POLICIES: Final = "Policy file of your own, in place of policies.toml in the data folder."
_DECLARED = (
    Declaration(
        "receiver", "service.roles.receiver", drains=2, readiness="ping", instances=_receivers,
        ports=(Port("grpc", "OTLP/gRPC", is_web=False), Port("http", "OTLP/HTTP")),
    ),
    Declaration(
        "writer", "service.roles.writer", drains=5, readiness="writable",
        instances=lambda settings: ["writer"] if settings.workers > 1 else [],
    ),
    Declaration(
        "projector", "service.roles.projector", drains=3, drain_share=0.5, readiness="ping"
    ),
    # What answers from it says how far it is: the service is ready without it.
    Declaration(
        "apart", "service.roles.apart", drains=3, drain_share=0.5, each="apart-NAME",
        instances=lambda settings: [f"apart-{name}" for name in settings.apart],
    ),
    # Before the first event is taken: a new target begins at the head of that moment. Without it
    # spans are taken and questions answered, and it catches up from the log: a balancer that left
    # the service out would turn away both for nothing.
    Declaration(
        "forwarder", "service.roles.forwarder", drains=4, starts_ahead=True,
        instances=lambda settings: ["forwarder"] if settings.forward else [],
    ),
    # Without a file of rules there is nothing to do for it.
    Declaration(
        "alerts", "service.roles.alerts", drains=3, drain_share=0.5, reload="reload",
        instances=lambda settings: ["alerts"] if rules_file(settings) else [],
        settings=(
            Setting(
                FILE_SETTING,
                Annotated[
                    Path | None,
                    Meta(description="File of rules of alerts; DIR/alerts.toml if it is there."),
                ],
                None,
            ),
            Setting(
                "alerts_allow",
                Annotated[
                    tuple[str, ...],
                    Meta(
                        description="Networks and addresses that receivers of alerts may be in "
                        "beside public ones; repeatable."
                    ),
                ],
                (),
            ),
        ),
    ),
    # What is read from it, one can do without.
    Declaration(
        "jaeger", "service.roles.jaeger", drains=1, drain_share=0.25,
        ports=(Port("jaeger", "Jaeger's remote storage", is_web=False, default=17271),),
    ),
    # First, with its open streams.
    Declaration(
        "api", "service.roles.api", drains=1, drain_share=0.25,
        ports=(
            Port("api", "API", note="docs at /docs"),
            Port("mcp", "MCP", note="for agents, at /mcp", default=8001),
        ),
        settings=(Setting("policies", Annotated[Path | None, Meta(description=_POLICIES)], None),),
    ),
)  # fmt: skip
ROLES: Final[dict[str, Declaration]] = {declared.name: declared for declared in _DECLARED}
"""Every role by its name."""


def all_ports() -> list[Port]:
    """The ports of all roles."""
    return [port for declared in ROLES.values() for port in declared.ports]


def role_of(instance: str) -> str:
    """The role that `instance` is one of."""
    return instance.partition("-")[0]


def instances_of(settings: Settings) -> list[str]:
    """The processes of a service, by name."""
    return [name for declared in ROLES.values() for name in declared.running(settings)]


def needed_roles(settings: Settings) -> list[str]:
    """The roles without which the service is not ready."""
    return [d.name for d in ROLES.values() if d.readiness and d.is_on(settings)]
