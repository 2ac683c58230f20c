"""HTTP/1.1 on raw sockets: nothing is acknowledged that was not read whole."""

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.configuration.settings import Settings
from service.network.web import WebServer
from tests.receivers import PROTOBUF, receiving, traces

H2C = (
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    "HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\n"
)
OFFERS = {
    "none": "",
    "h2c": H2C,
    "without settings": "Connection: Upgrade\r\nUpgrade: h2c\r\n",
    "websocket": "Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    "several": "Upgrade: TLS/1.0, h2c\r\nUpgrade: foo/2\r\n"
    "Connection: te\r\nConnection: UPGRADE\r\n",
    "not in Connection": "Upgrade: h2c\r\n",
    "Connection only": "Connection: Upgrade\r\n",
    "to be closed": "Connection: close, Upgrade\r\nUpgrade: h2c\r\n",
}


def head(framing: str, more: str = "", version: str = "1.1", path: str = "/v1/traces") -> bytes:
    return (
        f"POST {path} HTTP/{version}\r\nHost: x\r\n{more}Content-Type: {PROTOBUF}\r\n{framing}\r\n"
    ).encode()


def announced(body: bytes) -> tuple[str, bytes]:
    return f"Content-Length: {len(body)}\r\n", body


def chunked(body: bytes) -> tuple[str, bytes]:
    """Chunks with extensions, and trailers behind them."""
    sizes = (1, 7, len(body) - 8)
    out, at = b"", 0
    for size in sizes:
        out += b'%x;name="v;1"\r\n%b\r\n' % (size, body[at : at + size])
        at += size
    return "Transfer-Encoding: chunked\r\n", out + b"0;last\r\nX-Scope-OrgID: other\r\n\r\n"


FRAMINGS: dict[str, Any] = {"announced": announced, "chunked": chunked}


class Peer:
    """A client that says exactly what it is told to."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.received = b""

    def send(self, *pieces: bytes) -> None:
        """Each piece in a segment of its own."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(0.05)
            self.socket.sendall(piece)

    def answer(self) -> tuple[int, bytes]:
        """The status and body of the next answer; 0 if the connection ends before one."""
        while not (found := re.match(rb"HTTP/1.1 (\d+) .*?\r\n\r\n", self.received, re.DOTALL)):
            if not self._more():
                return 0, b""
        size = int((re.search(rb"content-length: (\d+)", found[0]) or [0, 0])[1])
        while len(self.received) < found.end() + size:
            assert self._more()
        body = self.received[found.end() : found.end() + size]
        self.received = self.received[found.end() + size :]
        return int(found[1]), body

    def _more(self) -> bool:
        try:
            more = self.socket.recv(65536)
        except ConnectionError:
            return False
        self.received += more
        return bool(more)


@contextlib.contextmanager
def peer(address: str) -> Iterator[Peer]:
    found = Peer(address)
    with found.socket:
        yield found


def spans(number: int) -> bytes:
    return traces(2, first=number).SerializeToString()


@pytest.mark.parametrize("framing", sorted(FRAMINGS))
@pytest.mark.parametrize("offer", sorted(OFFERS))
def test_an_offered_upgrade_is_ignored(tmp_path: Path, offer: str, framing: str) -> None:
    """The body is read and stored, however it is cut into segments, and the next one too."""
    with receiving(tmp_path) as it:
        number = 1
        for cut in (lambda h, b: (h + b,), lambda h, b: (h, b), lambda h, b: (h[:60], h[60:] + b)):
            with peer(it.http) as client:
                for _ in range(1 if "close" in offer else 2):
                    said, body = FRAMINGS[framing](spans(number))
                    client.send(*cut(head(said, OFFERS[offer]), body))
                    assert client.answer() == (200, b"")
                    number += 2
        found = it.events()
        assert len(found) == number - 1
        assert {event.tenant for event in found} == {"default"}


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    """Offers among them lose nothing, whatever the segments are."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        stream = b""
        for number in range(1, 40, 2):
            said, body = list(FRAMINGS.values())[number % 4 // 2](spans(number))
            stream += head(said, H2C if number % 3 else "") + body
        client.send(*(stream[at : at + 333] for at in range(0, len(stream), 333)))
        assert [client.answer()[0] for _ in range(20)] == [200] * 20
        assert len(it.events()) == 40


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("offer", ["none", "h2c"])
def test_who_expects_to_be_asked_is_asked(tmp_path: Path, offer: str, waits: bool) -> None:
    """`Expect: 100-continue` is served whether the client waits or not."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        for number in (1, 3):
            said, body = announced(spans(number))
            client.send(head(said, OFFERS[offer] + "Expect: 100-continue\r\n"))
            if waits:
                assert client.answer()[0] == 100
            client.send(body)
            if not waits:
                assert client.answer()[0] == 100
            assert client.answer() == (200, b"")
        assert len(it.events()) == 4


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: identity\r\n",
    ],
)
@pytest.mark.parametrize("offer", ["none", "h2c"])
def test_ambiguous_framing_is_refused(tmp_path: Path, offer: str, framing: str) -> None:
    """Two readings of where a body ends are one too many."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        client.send(head(framing, OFFERS[offer]) + b"\x0a\x00\x0a\x00\x0a\x00\r\n0\r\n\r\n")
        assert client.answer()[0] in (400, 413)
        assert client.answer()[0] == 0
        assert it.events() == []


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_body_of_no_length_is_refused(tmp_path: Path, version: str) -> None:
    """By HTTP's rules there is none; its sender meant something else."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        client.send(head("", version=version) + spans(1))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.answer()[0] in (400, 411)
        assert client.answer()[0] == 0
        assert it.events() == []


def test_http_1_0_is_served(tmp_path: Path) -> None:
    """One request, and the connection is closed."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        said, body = announced(spans(1))
        client.send(head(said, H2C, version="1.0") + body)
        assert client.answer() == (200, b"")
        assert client.answer()[0] == 0
        assert len(it.events()) == 2


@pytest.mark.parametrize("framing", sorted(FRAMINGS))
@pytest.mark.parametrize("offer", ["none", "h2c"])
def test_half_a_body_is_never_acknowledged(tmp_path: Path, offer: str, framing: str) -> None:
    """Whether the client closes, or only stops sending; what came is not stored."""
    with receiving(tmp_path) as it:
        said, body = FRAMINGS[framing](spans(1))
        for stop in (socket.SHUT_WR, socket.SHUT_RDWR):
            for left in (3, len(body) // 2):
                with peer(it.http) as client:
                    client.send(head(said, OFFERS[offer]), body[:-left])
                    client.socket.shutdown(stop)
                    assert client.answer()[0] == 0
        assert it.post("/v1/traces", spans(10)).status_code == 200
        assert len(it.events()) == 2


@pytest.mark.parametrize("offer", ["none", "h2c"])
def test_who_has_said_all_is_answered(tmp_path: Path, offer: str) -> None:
    """A client may close its side before it reads, as `nc -N` does."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        it.door.hold()
        said, body = announced(spans(1))
        client.send(head(said, OFFERS[offer]) + body)
        client.socket.shutdown(socket.SHUT_WR)
        time.sleep(0.1)
        it.door.let_go()
        assert client.answer() == (200, b"")
        assert client.answer()[0] == 0


@pytest.mark.parametrize("rest", [b"\x00\x01garbage\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"])
def test_garbage_behind_a_request_does_not_answer_it(tmp_path: Path, rest: bytes) -> None:
    """The request that was read whole gets its own answer, then the connection ends."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        it.door.hold()
        said, body = announced(spans(1))
        client.send(head(said, H2C) + body + rest, rest)
        it.door.let_go()
        assert client.answer() == (200, b"")
        assert client.answer()[0] == 0


def test_a_bad_chunk_refuses_its_request(tmp_path: Path) -> None:
    """What came before is not stored."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        said, body = chunked(spans(1))
        client.send(head(said) + body[:30], b"zz\r\n")
        assert client.answer()[0] == 400
        assert it.events() == []


@pytest.mark.parametrize("more", ["", "Expect: 100-continue\r\n", H2C])
def test_an_error_before_the_body_ends_the_connection(tmp_path: Path, more: str) -> None:
    """What follows could be the refused body or a new request: neither is taken for the other."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        said, body = announced(spans(1))
        client.send(head(said, more, path="/v2/traces") + body + head(said) + body)
        statuses = [client.answer()[0] for _ in range(3)]
        assert [status for status in statuses if status not in (0, 100)] in ([404], [404, 200])
        assert len(it.events()) == 2 * statuses.count(200)


def test_a_connection_lives_on_after_a_bad_body(tmp_path: Path) -> None:
    """An error that was found in a body that was read whole costs nobody the connection."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        for sent, expected in ((b"garbage", 400), (spans(1), 200)):
            said, body = announced(sent)
            client.send(head(said) + body)
            assert client.answer()[0] == expected
        assert len(it.events()) == 2


def test_endless_trailers_are_cut_off(tmp_path: Path) -> None:
    """Framing is bounded by the body that comes with it."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        client.send(head("Transfer-Encoding: chunked\r\n") + b"0\r\n")
        trailers = b"x-more: xxxxxxxx\r\n" * 1_000_000
        with pytest.raises(ConnectionError):
            client.send(trailers)
        assert it.events() == []


def test_many_small_chunks_are_one_body(tmp_path: Path) -> None:
    """Chunks of one byte are wasteful and allowed."""
    with receiving(tmp_path) as it, peer(it.http) as client:
        body = traces(400).SerializeToString()
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
        client.send(head("Transfer-Encoding: chunked\r\n") + chunks + b"0\r\n\r\n")
        assert client.answer() == (200, b"")
        assert len(it.events()) == 400


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body, or with 403 before it was read."""
    body, more = b"", scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        body, more = body + message["body"], message["more_body"]
    size = (b"content-length", b"%d" % len(body))
    status = 200 if scope["path"] != "/early" else 403
    await send({"type": "http.response.start", "status": status, "headers": [size]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def echoing(tmp_path: Path) -> Iterator[str]:
    server = WebServer(echo, Settings(data=tmp_path), 0, "echo")
    address = server.start()
    yield address
    server.close()


@pytest.mark.parametrize("offer", sorted(OFFERS))
def test_every_application_is_given_the_body(echoing: str, offer: str) -> None:
    """The API is served by the same protocol."""
    for frame in FRAMINGS.values():
        with peer(echoing) as client:
            said, body = frame(b"a body of any kind" * 9)
            client.send(head(said, OFFERS[offer]) + body)
            assert client.answer() == (200, b"a body of any kind" * 9)


def test_an_early_answer_to_who_waits_ends_the_connection(echoing: str) -> None:
    """A client that was not asked for its body may leave it out; its next request is no body."""
    said, body = announced(b"GET / HTTP/1.1\r\n\r\n")
    with peer(echoing) as client:
        client.send(head(said, "Expect: 100-continue\r\n", path="/early"))
        assert client.answer()[0] == 403
        assert client.answer()[0] == 0
    with peer(echoing) as client:
        client.send(head(said, path="/early") + body + head(said) + body)
        assert [client.answer()[0] for _ in range(2)] == [403, 200]
