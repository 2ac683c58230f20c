"""Which names this service may be asked by, and which pages may make a browser write to it.

A browser sends any page's requests to this machine, and a page can give its own name the address
127.0.0.1 (DNS rebinding). Where there are no tokens, only the name in `Host` tells such a request
from an honest one; a write from another site is told by its `Origin`.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from events.errors import BadInput, BadSetting, Rejected

ANY: Final = "*"
Headers = Iterable[tuple[bytes, bytes]]
_AUTHORITY = re.compile(
    r"(\[[0-9A-Fa-f:.]+(?:%[\w.]+)?\]|[A-Za-z0-9_.-]+)(?::(\d{0,5}))?", re.ASCII
)
_SHOWN: Final = 80
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class UnknownHost(Rejected):
    """The request names a host that is none of this service's."""


class ForeignOrigin(Rejected):
    """A page of another site made a browser send this."""


class Authority:
    """A host and perhaps a port, in one spelling: lower case, no brackets, no dot at the end."""

    def __init__(self, text: str) -> None:
        match = _AUTHORITY.fullmatch(text.strip())
        if match is None:
            raise BadInput(f"{text[:_SHOWN]!r} is no host")
        self.host = match[1].strip("[]").lower().removesuffix(".")
        self.port = match[2] or ""

    @property
    def is_loopback(self) -> bool:
        """Whether the name can only mean the machine that uses it."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback

    def is_within(self, allowed: "Authority", *, below: bool) -> bool:
        """Whether it is `allowed`, which has a port or means any; `below`: a name under it."""
        if allowed.port and allowed.port != self.port:
            return False
        return self.host.endswith(f".{allowed.host}") if below else self.host == allowed.host


class Hosts:
    """The names by which the API may be asked.

    Args:
        allowed: as in `--allowed-hosts`; names of this machine's loopback are always allowed.
        is_open: whether everybody is let in without a token now; asked only if `allowed` is
            empty, and then any host is right for a service that asks for tokens.

    Raises:
        BadSetting: one of `allowed` is no host.
    """

    def __init__(self, allowed: Iterable[str], is_open: Callable[[], bool]) -> None:
        self._is_open = is_open
        names = [text for text in allowed if text != ANY]
        self._any = any(text == ANY for text in allowed)
        self._allowed = [(_configured(name), name.startswith("*.")) for name in names]

    def check(self, headers: Headers, http_version: str = "1.1") -> None:
        """See to it that a request names one host, and one of this service.

        Raises:
            BadInput: it names none, or several.
            UnknownHost: it is not ours; the message says which setting allows it.
            Unavailable: whether there are tokens cannot be told now.
        """
        given = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if not given and http_version == "1.0":
            return  # no browser speaks it
        if len(given) != 1:
            raise BadInput("a request needs one Host header, and only one")
        if not self._is_ours(given[0]):
            raise UnknownHost(
                f"this service does not answer to the host {given[0][:_SHOWN]!r}; ask it as "
                "localhost, or allow the name with --allowed-hosts"
            )

    def _is_ours(self, text: str) -> bool:
        try:
            asked = Authority(text)
        except BadInput:
            asked = None
        if self._any or (asked is not None and asked.is_loopback):
            return True  # the most there are, and the tokens need not be looked at
        if not self._allowed:
            return not self._is_open()
        return asked is not None and any(
            asked.is_within(allowed, below=below) for allowed, below in self._allowed
        )


def check_hosts(allowed: Iterable[str]) -> None:
    """See to it that each of `allowed` can name hosts.

    Raises:
        BadSetting: one cannot.
    """
    for text in allowed:
        if text != ANY:
            _configured(text)


def require_own_origin(headers: Headers, own: str, allowed: Sequence[str]) -> None:
    """Refuse what a page of another site sends; for requests that change something.

    Args:
        own: the service's own origin as its users see it, `scheme://host:port`.
        allowed: further origins, as in `--cors-origins`.

    Raises:
        ForeignOrigin: the request comes from another site.
    """
    sent = {name: value.decode("latin-1") for name, value in headers}
    origin = sent.get(b"origin")
    if origin is None:  # no browser, or one that tells in another way
        foreign = sent.get(b"sec-fetch-site", "none") not in ("none", "same-origin")
    else:
        known = {_plain_origin(each) for each in (own, *allowed)}
        foreign = _plain_origin(origin) not in known and ANY not in allowed
    if foreign:
        raise ForeignOrigin(
            f"a page of {(origin or 'another site')[:_SHOWN]!r} may not change anything here; "
            "allow its origin with --cors-origins"
        )


def _plain_origin(text: str) -> str:
    """An origin as browsers write it: small letters, and no port that its scheme implies."""
    origin = text.lower()
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition("://")[0], ""))


def _configured(text: str) -> Authority:
    try:
        return Authority(text.removeprefix("*."))
    except BadInput as exc:
        raise BadSetting(
            f"--allowed-hosts: {exc}; write NAME, NAME:PORT, *.NAME for all below, or * for any"
        ) from exc
