"""An HTTP server with faults, and policies with short pauses to meet them by."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

QUICK = """
[defaults]
backoff = { kind = "exponential", base_s = 0.01, cap_s = 0.05, jitter = "full" }
circuit = { failures = 0 }
[[rule]]
id = "network"
when = { category = "network" }
max_attempts = 5
[[rule]]
id = "database"
when = { category = "database" }
max_attempts = 5
actions = ["reconnect"]
"""
TRANSIENT = ("503", "502", "504", "429", "reset", "slow", "cut")
PERMANENT = ("400", "401", "403", "404", "409", "422", "501")


class Faulty(BaseHTTPRequestHandler):
    """Answers `/FAULT/TIMES/RUN` with the fault so many times, then well."""

    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def do_GET(self) -> None:
        _, fault, times, _ = self.path.split("/")
        with self.lock:
            self.seen[self.path] += 1
            number = self.seen[self.path]
        if number > int(times):
            self._answer(200)
        elif fault == "reset":
            self.connection.close()
        elif fault == "slow":
            threading.Event().wait(5)
        elif fault == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        else:
            self._answer(int(fault))
        self.close_connection = True

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status == 429:
            self.send_header("retry-after", "0.02")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ValueError):
            return  # the connection was reset on purpose


@contextlib.contextmanager
def faulty_server() -> Iterator[str]:
    """A server with faults; its address."""
    found = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    found.daemon_threads = True
    found.block_on_close = False
    thread = threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()
    thread.join()
