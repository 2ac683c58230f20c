"""Taking the ports of a service, so that no two services ever share one.

Workers share a port by SO_REUSEPORT, and then a second service of the same user could join them
unnoticed. So each port is first bound exclusively; after that it is kept, not listened on, for
as long as the service runs: free ports stay ours while a child is started again.
"""

import socket
from collections.abc import Mapping
from typing import Self

from events.errors import Unavailable
from service.network.addresses import addresses, ensure_free, free_port, open_socket


class PortTaken(Unavailable):
    """Another process listens on the port."""


class Ports:
    """The ports by name, `port` 0 replaced by a free one.

    Raises:
        PortTaken: one is in use or may not be used; the message names it.
    """

    def __init__(self, host: str, wanted: Mapping[str, int]) -> None:
        self._held: list[socket.socket] = []
        self.numbers: dict[str, int] = {}
        try:
            for name, port in wanted.items():
                self.numbers[name] = self._take(host, name, port)
        except BaseException:
            self.close()
            raise

    def _take(self, host: str, name: str, port: int) -> int:
        """One port on all addresses of `host`, each alone at first, then held."""
        number = port or free_port(host)
        for address in addresses(host):
            try:
                ensure_free(address, number)
                self._hold(address, number)
            except (OSError, Unavailable) as exc:
                reason = getattr(exc.__cause__ or exc, "strerror", None) or exc
                option = f"--{name.replace('_', '-')}"
                raise PortTaken(
                    f"port {port} on {address} cannot be used: {reason}; "
                    f"stop what listens there, or choose another with {option} (0: a free one)"
                ) from exc
        return number

    def _hold(self, address: str, number: int) -> None:
        held, place = open_socket(address, number)
        self._held.append(held)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(place)

    def close(self) -> None:
        """Let the ports go; may be called twice."""
        while self._held:
            self._held.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
