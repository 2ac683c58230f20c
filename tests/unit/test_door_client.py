"""The client of the log's door, when connections end at an unhappy moment."""

import os
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest

from events.errors import Unavailable
from events.log import socket as door_socket
from events.log.port import Appended
from events.log.socket import DoorClient
from tests.events import make_batch, make_span


class Writer:
    """A writer's side, one connection at a time, answering when it is told to."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self.peers: list[socket.socket] = []
        self._arrived = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            door_socket._send(peer, door_socket._Hello("log", bytes(64)))
            self.peers.append(peer)
            self._arrived.release()

    def next(self) -> socket.socket:
        assert self._arrived.acquire(timeout=10)
        return self.peers[-1]

    def close(self) -> None:
        self._listener.close()
        for peer in self.peers:
            peer.close()


def test_an_old_connection_that_ends_late_fails_no_new_request() -> None:
    """What waits on a new connection is told by that one only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "door")
        writer = Writer(path)
        client = DoorClient(path)
        old = writer.next()
        held = os.dup(old.fileno())  # its end does not reach the client's listener by itself
        old.shutdown(socket.SHUT_RD)
        batch = make_batch([make_span()])
        with pytest.raises(Unavailable):
            client.append_async(batch)
        future = client.append_async(batch)
        new = writer.next()
        old.shutdown(socket.SHUT_RDWR)
        os.close(held)
        time.sleep(0.3)
        assert not future.done()
        number = door_socket.msgspec.msgpack.decode(door_socket._receive(new))[0]
        door_socket._send(new, door_socket._Answer(number, Appended(1, 1, 0)))
        assert future.result(10).stored == 1
        client.close()
        writer.close()
