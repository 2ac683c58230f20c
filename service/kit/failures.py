"""Failures of every category, really provoked: what is raised is what libraries raise.

Nothing outside of a temporary folder and of ports of this machine is touched, and each failure
takes milliseconds at most.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

TIMEOUT_S: Final = 5.0
_SHORT_S: Final = 0.005


class _Answering(BaseHTTPRequestHandler):
    """Answers each path with the status that it names."""

    def do_GET(self) -> None:
        status = int(self.path.strip("/"))
        self.send_response(status)
        if status in (429, 503):
            self.send_header("retry-after", "1")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is said."""


class Failures:
    """Provokes failures; made by `provoking`."""

    def __init__(self, folder: Path, base: str) -> None:
        self._folder = folder
        self._base = base
        self._kinds: Mapping[str, tuple[Callable[[], object], ...]] = {
            "network": (self._refused, self._reset, self._status(503), self._status(429)),
            "timeout": (self._silent_peer, self._slow_coroutine, self._slow_process,
                        self._status(504)),
            "file_system": (self._missing, self._full, self._folder_for_file),
            "database": (self._unique, self._no_table, self._locked),
            "permission": (self._status(401), self._status(403)),
            "validation": (self._broken_json, self._no_number, self._status(422)),
            "execution": (self._no_key, self._no_module, self._exit_code, self._killed,
                          self._too_deep),
            "unknown": (self._vague,),
        }  # fmt: skip

    @property
    def categories(self) -> list[str]:
        """Every category that can be provoked."""
        return [*self._kinds]

    def provoke(self, category: str, chance: random.Random) -> None:
        """Raise an error of a category.

        Args:
            chance: chooses among those of the category.
        """
        chance.choice(self._kinds[category])()
        raise AssertionError(f"nothing was raised for {category}")

    def every(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Each failure with its category."""
        for category, kinds in self._kinds.items():
            yield from ((category, kind) for kind in kinds)

    def _status(self, status: int) -> Callable[[], object]:
        return lambda: urllib.request.urlopen(f"{self._base}/{status}", timeout=TIMEOUT_S)

    def _refused(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
            socket.create_connection(unused.getsockname(), TIMEOUT_S)

    def _reset(self) -> None:
        with _connected() as (server, client):
            peer, _ = server.accept()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
            client.recv(1)

    def _silent_peer(self) -> None:
        with _connected() as (_, client):
            client.settimeout(_SHORT_S)
            client.recv(1)

    def _slow_coroutine(self) -> None:
        asyncio.run(asyncio.wait_for(asyncio.sleep(TIMEOUT_S), _SHORT_S))

    def _slow_process(self) -> None:
        subprocess.run(["sleep", str(TIMEOUT_S)], timeout=_SHORT_S, check=True)

    def _missing(self) -> None:
        (self._folder / "orders-2026.csv").read_bytes()

    def _full(self) -> None:
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"data")

    def _folder_for_file(self) -> None:
        self._folder.open()

    def _database(self, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            for statement in statements:
                connection.execute(statement)

    def _unique(self) -> None:
        self._database(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY)", "INSERT INTO orders VALUES (1)",
            "INSERT INTO orders VALUES (1)",
        )  # fmt: skip

    def _no_table(self) -> None:
        self._database("SELECT * FROM invoices")

    def _locked(self) -> None:
        path = self._folder / f"{threading.get_ident()}.db"
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as one:
            one.execute("BEGIN EXCLUSIVE")
            with contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
                other.execute("BEGIN EXCLUSIVE")

    def _broken_json(self) -> None:
        json.loads('{"order": 17, "amount": ')

    def _no_number(self) -> None:
        int("seventeen")

    def _no_key(self) -> object:
        order: dict[str, int] = {"id": 17}
        return order["amount"]

    def _no_module(self) -> None:
        __import__("reports_that_nobody_installed")

    def _exit_code(self) -> None:
        subprocess.run([sys.executable, "-S", "-c", "raise SystemExit(3)"], check=True)

    def _killed(self) -> None:
        program = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
        subprocess.run([sys.executable, "-S", "-c", program], check=True)

    def _too_deep(self) -> None:
        self._too_deep()

    def _vague(self) -> None:
        raise RuntimeError("something went wrong")


@contextlib.contextmanager
def _connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A listener, and a client that is connected to it."""
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = socket.create_connection(server.getsockname(), TIMEOUT_S)
        yield server, held.enter_context(client)


@contextlib.contextmanager
def provoking() -> Iterator[Failures]:
    """Failures, with the folder and the server that they need; gone at the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        with tempfile.TemporaryDirectory(prefix=f"spanledger-{os.getpid()}-") as folder:
            yield Failures(Path(folder), f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
