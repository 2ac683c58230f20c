"""Taking the ports of a service, so that no two services ever share one.

Workers share a port by SO_REUSEPORT, and then a second service of the same user could join them
unnoticed. So each port is first bound exclusively; after that it is kept, not listened on, for
as long as the service runs: free ports stay ours while a child is started again.
"""

import socket
from collections.abc import Mapping
from typing import Self

from events.errors import Unavailable


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
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, socket.SOCK_STREAM) as test:
                # Connections of an earlier service may linger on the port; listeners may not.
                test.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                test.bind(address)
                test.listen(1)
                bound = test.getsockname()
            held = socket.socket(family, socket.SOCK_STREAM)
            self._held.append(held)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind(bound)
        except OSError as exc:
            option = f"--{name.replace('_', '-')}"
            raise PortTaken(
                f"port {port} on {host} cannot be used: {exc.strerror or exc}; "
                f"stop what listens there, or choose another with {option} (0: a free one)"
            ) from exc
        number: int = bound[1]
        return number

    def close(self) -> None:
        """Let the ports go; may be called twice."""
        while self._held:
            self._held.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
