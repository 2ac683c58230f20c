"""A receiver of notices on a real socket: what it was sent, and answers that it is to give."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.serving import until


@dataclass
class Post:
    """One request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """Its body as JSON."""
        return json.loads(self.body)


@dataclass
class Hook:
    """A server on loopback; `answers` are given one after the other, then 200s.

    An answer is a status, or one with headers; while `hold` is not set none is given.
    """

    posts: list[Post] = field(default_factory=list)
    answers: list[int | tuple[int, dict[str, str]]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def statuses(self) -> list[str]:
        """What the notices that came say."""
        return [post.document["data"]["status"] for post in list(self.posts)]

    def wait(self, count: int, within_s: float = 60.0) -> list[Post]:
        """The first posts, once so many came."""
        until(lambda: len(self.posts) >= count, within_s)
        return self.posts[:count]


@contextlib.contextmanager
def hooked(port: int = 0) -> Iterator[Hook]:
    """A running hook; it ends with the block."""
    hook = Hook()
    hook.hold.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            hook.posts.append(Post(self.path, headers, body))
            hook.hold.wait(120)
            answer = hook.answers.pop(0) if hook.answers else 200
            status, more = (answer, {}) if isinstance(answer, int) else answer
            with contextlib.suppress(OSError):  # who asked may be gone
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    hook.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hook
    finally:
        hook.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
