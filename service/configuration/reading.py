"""Reading the settings: command line, then environment, then TOML file, then defaults.

Whatever is unknown or wrong stops the start with a BadSetting that names the setting, where it
was given and what is allowed. Values that may hold secrets are never repeated in a message.
"""

import difflib
import ipaddress
import math
import os
import socket
import ssl
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import platformdirs
from msgspec import inspect as kinds

from events.errors import BadSetting
from projections import views
from service.access.hosts import check_hosts
from service.access.proxies import Proxies
from service.access.tokens import TokenStore
from service.configuration.settings import ForwardTarget, Settings
from service.configuration.trace_links import trace_links
from service.forward.target import parse_url, resolve, resolve_all
from service.network.addresses import LOCALHOST, bare
from service.otlp.scrub.denied import Denied
from service.otlp.scrub.kinds.own import own_rules
from service.roles.declaration import ROLES, all_ports

ENVIRONMENT_PREFIX: Final = "SPANLEDGER_"
SDK_PREFIX: Final = "SPANLEDGER_SDK_"
"""Of variables of programs that send: they may stand in the same environment."""
CONFIG_VARIABLE: Final = "SPANLEDGER_CONFIG"
ROLE_VARIABLE: Final = "SPANLEDGER_ROLE"
FILE_NAME: Final = "spanledger.toml"
# Variables of the client commands and of the crash tests; the service has no use for them.
_OTHER_VARIABLES: Final = frozenset(
    {CONFIG_VARIABLE, ROLE_VARIABLE}
    | {f"{ENVIRONMENT_PREFIX}{name}" for name in ("URL", "TOKEN", "TENANT", "VIEW", "CRASH_AT")}
    | {f"{ENVIRONMENT_PREFIX}{name}" for name in ("CA_FILE", "CERT_FILE", "KEY_FILE")}
)
_SECRET: Final = frozenset({"forward", "telemetry_endpoint"})


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: its name, type and sentence, and how it is spelled elsewhere."""

    name: str
    type: Any
    kind: kinds.Type
    sentence: str
    default: Any

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def is_list(self) -> bool:
        return isinstance(self.kind, kinds.VarTupleType)

    @property
    def may_be_off(self) -> bool:
        return isinstance(self.kind, kinds.UnionType) and bool(_numbers(self.kind))

    @property
    def is_flag(self) -> bool:
        return isinstance(self.kind, kinds.BoolType)

    @property
    def is_path(self) -> bool:
        kind = self.kind
        members = kind.types if isinstance(kind, kinds.UnionType) else (kind,)
        return any(isinstance(k, kinds.CustomType) and k.cls is Path for k in members)

    def allowed(self) -> str:
        """What may stand there, in words."""
        kind = self.kind
        if numbers := _numbers(kind):
            return _range(numbers[0]) + (", or off" if self.may_be_off else "")
        if isinstance(kind, kinds.LiteralType):
            return "one of " + ", ".join(str(value) for value in kind.values)
        if self.is_flag:
            return "true or false"
        if self.is_list:
            return "a list of texts"
        if self.is_path:
            return "a path"
        return "a text" if self.default == "" else "a text that is not empty"


def _numbers(kind: kinds.Type) -> list[kinds.IntType | kinds.FloatType]:
    members = kind.types if isinstance(kind, kinds.UnionType) else (kind,)
    return [k for k in members if isinstance(k, kinds.IntType | kinds.FloatType)]


def _range(kind: kinds.IntType | kinds.FloatType) -> str:
    low = f"above {kind.gt}" if kind.ge is None else f"from {kind.ge}"
    return f"a number {low} to {kind.le}"


def _fields() -> dict[str, Field]:
    own = [(field.name, field.type, field.default) for field in msgspec.structs.fields(Settings)]
    of_roles = [
        (setting.name, setting.type, setting.default)
        for declared in ROLES.values()
        for setting in declared.own_settings()
    ]
    return {
        name: _field(name, kind, default)
        for name, kind, default in own + of_roles
        if name != "of_roles"
    }


def _field(name: str, type_: Any, default: Any) -> Field:
    kind = kinds.type_info(type_)
    assert isinstance(kind, kinds.Metadata), f"{name} has no description"
    sentence = (kind.extra_json_schema or {})["description"]
    return Field(name, type_, kind.type, sentence, default)


FIELDS: Final[Mapping[str, Field]] = _fields()


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it was written, and where; relative paths start at `base`."""

    value: Any
    source: str
    base: Path


def load(options: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """The settings of one service, checked.

    Args:
        options: values of the command line by field name, and `config`; None is not given.

    Raises:
        BadSetting: something is unknown or wrong.
    """
    here = Path.cwd()
    given = dict(_from_environment(environ, here))
    given |= {
        name: _Given(value, FIELDS[name].option, here)
        for name, value in options.items()
        if name in FIELDS and value not in (None, [], ())
    }
    config = options.get("config") or environ.get(CONFIG_VARIABLE)
    if config:
        given = dict(_from_file(here / Path(config).expanduser())) | given
    data = _convert(FIELDS["data"], given["data"]) if "data" in given else default_data()
    beside = data / FILE_NAME
    if not config and beside.is_file():
        found = dict(_from_file(beside))
        if "data" in found:
            raise BadSetting(f"data in {beside}: the folder that the file is in is the data folder")
        given = found | given
    values = {name: _convert(FIELDS[name], value) for name, value in given.items()}
    of_roles = {name: values.pop(name) for name in values.keys() - Settings.__struct_fields__}
    settings = Settings(**(values | {"data": data, "of_roles": of_roles}))
    _check(settings)
    return settings


def default_data() -> Path:
    """The data folder where none is named: the platform's folder of the user."""
    return Path(platformdirs.user_data_dir("spanledger"))


def data_folder_of(options: Mapping[str, Any], environ: Mapping[str, str]) -> Path:
    """The data folder that is meant, even where the other settings cannot be used."""
    given = options.get("data") or environ.get(FIELDS["data"].variable)
    return Path(given).expanduser().absolute() if given else default_data()


def _from_environment(environ: Mapping[str, str], here: Path) -> Iterator[tuple[str, _Given]]:
    by_variable = {field.variable: field for field in FIELDS.values()}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in _OTHER_VARIABLES:
            continue
        if variable.startswith(SDK_PREFIX):
            continue
        field = by_variable.get(variable)
        if field is None:
            raise BadSetting(
                f"{variable} (environment) is no setting{_meant(variable, by_variable)}"
            )
        if not text:
            continue  # as a compose file passes a variable that nobody set
        value: Any = text
        if field.is_list:
            value = text.split() if field.name == "forward" else _comma_separated(text)
        yield field.name, _Given(value, f"{variable} (environment)", here)


def _comma_separated(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _from_file(path: Path) -> Iterator[tuple[str, _Given]]:
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSetting(f"the settings file {path} cannot be read: {exc}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise BadSetting(f"the settings file {path} is no TOML: {exc}") from exc
    for key, value in table.items():
        if key not in FIELDS:
            raise BadSetting(f"{key} in {path} is no setting{_meant(key, FIELDS)}")
        yield key, _Given(value, f"{key} in {path}", path.parent)


def _meant(word: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else "; `spanledger serve --help` lists all"


def _convert(field: Field, given: _Given) -> Any:
    if field.name == "forward":
        return tuple(_target(value, given.source) for value in _as_list(given.value))
    if field.may_be_off and given.value == "off":
        return None
    value = _as_list(given.value) if field.is_list else given.value
    try:
        converted = msgspec.convert(value, field.type, strict=False, dec_hook=_decode)
        if isinstance(converted, float) and math.isnan(converted):
            raise msgspec.ValidationError("not a number")
    except (msgspec.ValidationError, TypeError) as exc:
        what = "" if field.name in _SECRET else f", not {value!r}"
        raise BadSetting(f"{given.source}: expected {field.allowed()}{what}") from exc
    if isinstance(converted, Path):
        return Path(os.path.abspath(given.base / converted.expanduser()))
    return converted


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _decode(kind: type, value: Any) -> Any:
    """How msgspec makes what it does not know: paths."""
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise TypeError(f"not a {kind.__name__}")


def _target(value: Any, source: str) -> ForwardTarget:
    """One target: a URL, or a table of a TOML file. Its headers are secret."""
    try:
        target = _parsed(value)
        resolve(target)
    except (BadSetting, msgspec.ValidationError, TypeError) as exc:
        raise BadSetting(f"{source}: {exc}") from exc
    return target


def _parsed(value: Any) -> ForwardTarget:
    if not isinstance(value, str):
        return msgspec.convert(value, ForwardTarget, dec_hook=_decode)
    if "@" in value.partition("://")[2].partition("/")[0].partition("?")[0]:
        raise BadSetting("credentials do not go into the URL but into headers")
    try:
        return parse_url(value)
    except BadSetting as exc:
        raise BadSetting(f"{value.partition('?')[0]}: {exc.__cause__}") from exc


def _check(settings: Settings) -> None:
    """What no setting can know alone."""
    resolve_all(settings.forward)
    check_hosts(settings.allowed_hosts)
    trace_links(settings.trace_links)
    Proxies(settings.trusted_proxies, settings.root_path)
    _check_tls(settings)
    if settings.scrub_patterns or settings.scrub_allow:
        own_rules(settings.scrub_patterns, settings.scrub_allow)
    Denied(settings.scrub_deny)
    if unknown := set(settings.apart) - set(views.names()):
        raise BadSetting(
            f"--apart {min(unknown)}: no such projection; one of {', '.join(views.names())}"
        )
    taken = [number for port in all_ports() if (number := port.number(settings))]
    if len(set(taken)) < len(taken):
        *some, last = (FIELDS[port.setting].option for port in all_ports())
        raise BadSetting(f"{', '.join(some)} and {last} must differ")
    if settings.data.exists() and not settings.data.is_dir():
        raise BadSetting(f"--data {settings.data}: that is a file, a folder is needed")
    if not is_loopback(settings.host) and not TokenStore(settings.data / "tokens.json").list():
        raise BadSetting(
            f"--host {settings.host} can be reached from other machines, and there are no tokens "
            f"in {settings.data}; make one first: spanledger token add NAME --scope ingest"
        )


def _check_tls(settings: Settings) -> None:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise BadSetting("--tls-cert and --tls-key go together; one of them is missing")
    if settings.tls_client_ca is not None and settings.tls_cert is None:
        raise BadSetting("--tls-client-ca needs --tls-cert and --tls-key")
    for name in ("tls_cert", "tls_key", "tls_client_ca"):
        path = getattr(settings, name)
        if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
            raise BadSetting(f"{FIELDS[name].option} {path}: there is no file that can be read")
    if settings.tls_cert is not None:
        _check_certificates(settings)


def _check_certificates(settings: Settings) -> None:
    """Whether the files are what they should be: gRPC would only say that it cannot listen."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    named = f"--tls-cert {settings.tls_cert} and --tls-key {settings.tls_key}"
    try:
        assert settings.tls_cert is not None
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
        named = f"--tls-client-ca {settings.tls_client_ca}"
        if settings.tls_client_ca is not None:
            context.load_verify_locations(settings.tls_client_ca)
    except ssl.SSLError as exc:
        raise BadSetting(f"{named} cannot be used: {exc.reason or exc}") from exc


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a port on `host`.

    Raises:
        BadSetting: nothing is known by that name.
    """
    host = bare(host)
    if host.lower().rstrip(".") == LOCALHOST:
        return True  # what it means is not asked of the system
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise BadSetting(f"--host {host}: no such address") from exc
    addresses = (str(address[0]).partition("%")[0] for *_, address in found)
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)


def to_json(settings: Settings) -> bytes:
    """Settings for a child process."""
    return msgspec.json.encode(settings, enc_hook=str)


def from_json(body: bytes) -> Settings:
    """Settings as a parent process wrote them."""
    return msgspec.json.decode(body, type=Settings, dec_hook=_decode)
