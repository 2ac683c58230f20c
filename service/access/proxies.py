"""What a proxy in front of the API says of the request that it passes on.

`X-Forwarded-Prefix`, `-Proto` and `-Host` are believed from `--trusted-proxies` only, and only
where they can stand in a link. The path is right whether the proxy cuts its prefix off or not.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from events.errors import BadInput, BadSetting
from service.access.hosts import Authority

NONE: Final = "none"
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+", re.ASCII)
_OURS = re.compile(
    r"/(?:|openapi\.json|(?:alerts|api/v1|attempts|docs|errors|executors|health|ledger|live|metrics"
    r"|runs|search|sign-in|sign-out|static|tasks|tenant|traces)(?:/.*)?)",
    re.DOTALL,
)
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request found the service: what links in its answer begin with.

    `root` ends with `/`. It is a path where the prefix is known, else it leads up from the page.
    """

    prefix: str
    path: str
    root: str
    origin: str


class Proxies:
    """Who may say where the service is.

    Args:
        trusted: addresses and networks; `*` is all, `none` is nobody.
        root_path: the prefix under which a proxy serves us; empty if none.

    Raises:
        BadSetting: one of them cannot be used.
    """

    def __init__(self, trusted: Iterable[str], root_path: str) -> None:
        self._root_path = checked_prefix(root_path)
        self._networks = [network for text in trusted for network in _networks(text)]

    def place(self, scope: Mapping[str, Any]) -> Place:
        """Where the request of an ASGI scope found us; `scope["path"]` is the path as sent."""
        said = self._said(scope)
        prefix = _prefix_said(said.get(b"x-forwarded-prefix", "")) or self._root_path
        path = _without(prefix, scope["path"])
        up = "../" * (path.rstrip("/").count("/") + path.endswith("/") - 1) if path != "/" else ""
        return Place(prefix, path, f"{prefix}/" if prefix else up or "./", _origin(scope, said))

    def _said(self, scope: Mapping[str, Any]) -> dict[bytes, str]:
        """The headers of a proxy that may be believed; of several values the first."""
        if not self._trusts((scope.get("client") or ("",))[0]):
            return {}
        return {
            name: value.decode("latin-1").partition(",")[0].strip()
            for name, value in scope["headers"]
            if name.startswith(b"x-forwarded-")
        }

    def _trusts(self, client: str) -> bool:
        try:
            address = ipaddress.ip_address(client.partition("%")[0])
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)


def checked_prefix(text: str) -> str:
    """A root path without a slash at its end.

    Raises:
        BadSetting: it is no path.
    """
    prefix = text.rstrip("/")
    if prefix and not _is_prefix(prefix):
        raise BadSetting(f"--root-path: expected a path such as /ops/spanledger, not {text!r}")
    return prefix


def _networks(text: str) -> Sequence[_Network]:
    if text == NONE:
        return ()
    if text == "*":
        return ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")
    try:
        return (ipaddress.ip_network(text, strict=False),)
    except ValueError as exc:
        raise BadSetting(
            f"--trusted-proxies: expected addresses, networks, * or none, not {text!r}"
        ) from exc


def _is_prefix(text: str) -> bool:
    parts = text.split("/")
    return _PREFIX.fullmatch(text) is not None and not {".", ".."} & set(parts)


def _prefix_said(text: str) -> str:
    prefix = text.rstrip("/")
    return prefix if _is_prefix(prefix) else ""


def _without(prefix: str, path: str) -> str:
    """The path that is ours: a proxy may leave its prefix before it, or cut it off."""
    if not prefix or not f"{path}/".startswith(f"{prefix}/"):
        return path
    rest = path[len(prefix) :]
    return rest if rest == "" or _OURS.fullmatch(rest) or not _OURS.fullmatch(path) else path


def _origin(scope: Mapping[str, Any], said: Mapping[bytes, str]) -> str:
    scheme = said.get(b"x-forwarded-proto", "").lower()
    if scheme not in ("http", "https"):
        scheme = scope["scheme"]
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    for name in (said.get(b"x-forwarded-host", ""), host):
        try:
            Authority(name)
        except BadInput:
            continue
        return f"{scheme}://{name}"
    return f"{scheme}://localhost"
