"""Listening addresses: their text, binding them, and noticing who listens there already.

With SO_REUSEPORT two services would share a port silently (grpcio turns it on by default), so
it is on only between workers; a single receiver first binds its port alone.
"""

import socket

from events.errors import Unavailable

_BACKLOG = 512


def authority(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def ensure_free(host: str, port: int) -> None:
    """Bind the port alone for a moment.

    Raises:
        Unavailable: another process listens there, or the address is not of this machine.
    """
    if port:
        bind(host, port, shared=False).close()


def bind(host: str, port: int, *, shared: bool) -> socket.socket:
    """A socket that listens; `shared` lets other workers listen on the port as well.

    Raises:
        Unavailable: as in `ensure_free`.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise Unavailable(f"{authority(host, port)} is no address to listen on: {exc}") from exc
    try:
        # Connections of an earlier service may linger on the port; listeners may not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as exc:
        listener.close()
        raise Unavailable(f"cannot listen on {authority(host, port)}: {exc.strerror}") from exc
    return listener
