"""Where a request may go: no receiver may be used to reach what only this machine can.

A name is resolved, each of its addresses is checked, and the connection is made to one that was
allowed: what the name means a moment later does not matter. Addresses that are not public need
`--alerts-allow`.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Final

from events.errors import BadSetting, Rejected

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class NotAllowed(Rejected):
    """The address is not public, and not among those that are allowed."""


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks and addresses that a setting names.

    Raises:
        BadSetting: one is none.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError as exc:
            raise BadSetting(f"--alerts-allow {text}: no address or network: {exc}") from exc
    return tuple(found)


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether a request may go there: to what is public, or was allowed."""
    inner = _inner(address)
    if any(one in network for one in (address, inner) for network in allowed):
        return True
    return inner.is_global and address.is_global and not inner.is_multicast


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


async def resolve(host: str, port: int, allowed: Sequence[Network]) -> list[str]:
    """The addresses of `host` that a request may go to, at least one, the preferred first.

    Raises:
        NotAllowed: none of its addresses may be reached.
        OSError: nothing is known by that name.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as exc:
        raise OSError(f"{host}: no name of a host") from exc
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    if not addresses:
        raise OSError(f"{host}: no address")
    reachable = [str(address) for address in addresses if is_allowed(address, allowed)]
    if not reachable:
        raise NotAllowed(
            f"{host} is {addresses[0]}, which is not public: allow it by --alerts-allow "
            f"{addresses[0]}"
        )
    return list(dict.fromkeys(reachable))
