"""Where events are forwarded to: a checked form of the `--forward` setting.

The scheme says how: `otlp+grpc://` and `otlp+http://` in plain text, `otlp+grpcs://` and
`otlp+https://` over TLS. Without a name a target is called by its host and port; the name is
what its cursor is kept under.
"""

import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

import msgspec

from events import names
from events.errors import BadSetting
from service.configuration.settings import ForwardTarget
from service.forward.encode import Signal

_SCHEMES: Final = {
    "otlp+grpc": ("grpc", False),
    "otlp+grpcs": ("grpc", True),
    "otlp+http": ("http", False),
    "otlp+https": ("http", True),
}
_DEFAULT_PORTS: Final = {"grpc": 4317, "http": 4318}
_VALUE: Final = re.compile(r"([!-~]([ \t!-~]*[!-~])?)?")
_NAME: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{1,100}")


@dataclass(frozen=True, slots=True)
class Tls:
    """The PEM bytes of a TLS connection; None takes the system's, or no client certificate."""

    ca: bytes | None
    certificate: bytes | None
    key: bytes | None
    setting: ForwardTarget

    def context(self) -> ssl.SSLContext:
        """The same for an HTTPS connection."""
        context = ssl.create_default_context(cafile=self.setting.ca_file)
        if self.setting.cert_file:
            context.load_cert_chain(self.setting.cert_file, self.setting.key_file)
        return context


@dataclass(frozen=True, slots=True)
class Target:
    """One target, checked. `headers` have lower-case names; `path` is the base of HTTP paths."""

    name: str
    url: str
    transport: str
    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...]
    signals: tuple[Signal, ...]
    start: str
    by_run: bool
    tls: Tls | None

    @property
    def authority(self) -> str:
        """`host:port`, as a connection is opened to."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_url(url: str) -> ForwardTarget:
    """The setting that stands in one `--forward` argument.

    What a URL cannot say otherwise stands in its query: `name`, `signals` (comma-separated),
    `start`, `traces`, `ca_file`, `cert_file`, `key_file`, and `header.NAME` for each header.

    Raises:
        BadSetting: the query has another word, or a value that does not fit.
    """
    parts = _split(url)
    fields: dict[str, object] = {"url": parts._replace(query="").geturl()}
    headers: dict[str, str] = {}
    for word, value in parse_qsl(parts.query, keep_blank_values=True):
        if word.startswith("header."):
            headers[word.removeprefix("header.")] = value
        else:
            fields[word] = value.split(",") if word == "signals" else value
    try:
        return msgspec.convert(
            fields | {"headers": headers}, ForwardTarget, dec_hook=lambda kind, value: kind(value)
        )
    except msgspec.ValidationError as exc:
        raise BadSetting(f"--forward {url}: {exc}") from exc


def resolve(setting: ForwardTarget) -> Target:
    """Check one setting and read the files it names.

    Raises:
        BadSetting: the URL, a header, `start` or a file is wrong; the message names it.
    """
    parts = _split(setting.url)
    if parts.scheme not in _SCHEMES:
        raise BadSetting(
            f"forward target {setting.url!r}: the scheme must be one of "
            + ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        )
    transport, secure = _SCHEMES[parts.scheme]
    host, port = _address(setting.url, parts, _DEFAULT_PORTS[transport])
    if transport == "grpc" and parts.path.strip("/"):
        raise BadSetting(f"forward target {setting.url!r}: gRPC has no path")
    if setting.start not in ("head", "beginning") and not setting.start.isdecimal():
        raise BadSetting(
            f"forward target {setting.url!r}: start must be head, beginning or a position, "
            f"not {setting.start!r}"
        )
    if not setting.signals:
        raise BadSetting(f"forward target {setting.url!r}: signals names none")
    name = setting.name or f"{host}:{port}"
    if not _NAME.fullmatch(name):
        raise BadSetting(f"forward target {setting.url!r}: {name!r} is no name for a target")
    return Target(
        name=name, url=setting.url, transport=transport, host=host, port=port,
        path=parts.path.rstrip("/"), headers=_headers(setting), signals=setting.signals,
        start=setting.start, by_run=setting.traces == "by-run", tls=_tls(setting, secure),
    )  # fmt: skip


def resolve_all(settings: Iterable[ForwardTarget]) -> list[Target]:
    """Check every target of a service; two of one name are refused."""
    targets = [resolve(setting) for setting in settings]
    seen: set[str] = set()
    for target in targets:
        if target.name in seen:
            raise BadSetting(f"two forward targets are called {target.name!r}: give them names")
        seen.add(target.name)
    return targets


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as exc:
        raise BadSetting(f"forward target {url!r}: {exc}") from exc


def _address(url: str, parts: SplitResult, default_port: int) -> tuple[str, int]:
    try:
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise BadSetting(f"forward target {url!r}: {exc}") from exc
    if not host or parts.query or parts.fragment or parts.username is not None:
        raise BadSetting(
            f"forward target {url!r}: expected otlp+…://host:port; credentials go into headers"
        )
    return host, default_port if port is None else port


def _headers(setting: ForwardTarget) -> tuple[tuple[str, str], ...]:
    checked = []
    for name, value in setting.headers.items():
        lower = name.lower()
        if not re.fullmatch(r"[a-z0-9._-]+", lower) or not _VALUE.fullmatch(value):
            raise BadSetting(
                f"forward target {setting.url!r}: header {name!r} cannot be sent; names have "
                "A-Z a-z 0-9 . _ -, values printable ASCII, no spaces around"
            )
        if lower == names.TENANT_HEADER:
            raise BadSetting(
                f"forward target {setting.url!r}: {name} is sent with each event's own tenant"
            )
        checked.append((lower, value))
    return tuple(checked)


def _tls(setting: ForwardTarget, secure: bool) -> Tls | None:
    if not secure:
        if setting.ca_file or setting.cert_file or setting.key_file:
            raise BadSetting(
                f"forward target {setting.url!r}: TLS files need otlp+grpcs:// or otlp+https://"
            )
        return None
    if (setting.cert_file is None) != (setting.key_file is None):
        raise BadSetting(f"forward target {setting.url!r}: cert_file and key_file go together")
    try:
        tls = Tls(
            ca=setting.ca_file.read_bytes() if setting.ca_file else None,
            certificate=setting.cert_file.read_bytes() if setting.cert_file else None,
            key=setting.key_file.read_bytes() if setting.key_file else None,
            setting=setting,
        )
        tls.context()
    except (OSError, ssl.SSLError) as exc:
        raise BadSetting(f"forward target {setting.url!r}: {exc}") from exc
    return tls
