"""Listening addresses: what a host means, binding it, and noticing who listens there already.

`localhost` is both loopback addresses, because clients try either first; a machine without IPv6
has one. With SO_REUSEPORT two services would share a port silently (grpcio turns it on by
default), so it is on only between workers; a single receiver first binds its port alone.
"""

import errno
import socket
from contextlib import ExitStack
from typing import Any, Final

from events.errors import Unavailable

LOCALHOST: Final = "localhost"
_LOOPBACK: Final = ("127.0.0.1", "::1")
_BACKLOG: Final = 512
_TRIES: Final = 50


def authority(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bare(host: str) -> str:
    """A host as it is given to the system: without the brackets of an IPv6 address."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def addresses(host: str) -> tuple[str, ...]:
    """The addresses to listen on for `host`; the first is the one that is told.

    Raises:
        Unavailable: `localhost` has no address on this machine.
    """
    if bare(host).lower().rstrip(".") != LOCALHOST:
        return (bare(host),)
    found = tuple(address for address in _LOOPBACK if _is_here(address))
    if not found:
        raise Unavailable("this machine has no loopback address")
    return found


def free_port(host: str) -> int:
    """A port that is free on all addresses of `host` at this moment."""
    with ExitStack() as held:
        return _hold(held, addresses(host), 0, shared=False)[0].getsockname()[1]  # type: ignore[no-any-return]


def ensure_free(host: str, port: int) -> None:
    """Bind the port alone for a moment.

    Raises:
        Unavailable: another process listens there, or the address is not of this machine.
    """
    if port:
        with ExitStack() as held:
            _hold(held, addresses(host), port, shared=False)


def bind(host: str, port: int, *, shared: bool) -> list[socket.socket]:
    """Sockets that listen at one port on all addresses of `host`; port 0 takes a free one.

    Args:
        shared: let other workers listen on the port as well.

    Raises:
        Unavailable: as in `ensure_free`.
    """
    with ExitStack() as held:
        listeners = _hold(held, addresses(host), port, shared=shared)
        held.pop_all()
        return listeners


def open_socket(address: str, port: int) -> tuple[socket.socket, Any]:
    """A TCP socket of the family of `address`, and what it is to be bound to.

    Raises:
        OSError: it is no address.
    """
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, place = found[0]
    opened = socket.socket(family, kind, protocol)
    if family == socket.AF_INET6 and address in _LOOPBACK:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    # Connections of an earlier service may linger on the port; listeners may not.
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return opened, place


def _hold(
    held: ExitStack, hosts: tuple[str, ...], port: int, *, shared: bool
) -> list[socket.socket]:
    """Listen at one port on all of `hosts`. A free one of the first may be taken on another, so
    some are tried."""
    for attempt in range(_TRIES):
        with ExitStack() as trying:
            listeners: list[socket.socket] = []
            try:
                for host in hosts:
                    number = listeners[0].getsockname()[1] if listeners else port
                    listeners.append(trying.enter_context(_listener(host, number, shared=shared)))
            except Unavailable:
                if port or not listeners or attempt == _TRIES - 1:
                    raise
                continue
            held.push(trying.pop_all())
            return listeners
    raise AssertionError("a try ends in sockets or in an error")


def _listener(host: str, port: int, *, shared: bool) -> socket.socket:
    try:
        listener, place = open_socket(host, port)
    except OSError as exc:
        raise Unavailable(f"{authority(host, port)} is no address to listen on: {exc}") from exc
    try:
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(place)
        listener.listen(_BACKLOG)
    except OSError as exc:
        listener.close()
        raise Unavailable(f"cannot listen on {authority(host, port)}: {exc.strerror}") from exc
    return listener


def _is_here(address: str) -> bool:
    """Whether the machine has this loopback address; one without IPv6 has no `::1`."""
    try:
        probe, place = open_socket(address, 0)
    except OSError:
        return False
    with probe:
        try:
            probe.bind(place)
        except OSError as exc:
            return exc.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True
