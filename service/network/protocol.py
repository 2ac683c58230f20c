"""HTTP/1.1 from the socket: uvicorn's protocol, bounded, and deaf to offers of another protocol.

httptools stops reading at an offered upgrade (`Upgrade: h2c`, which Java's own client sends with
every first request) as if the offer had been accepted: the request then seems to have no body.
Here an offer is ignored, as RFC 9110 §7.8 allows: the head is parsed again without it, and the
body behind it is read. Trailers are no headers: what was said about a request cannot be changed
behind its body. What cannot be parsed never gets between a request and its answer.
"""

import asyncio
import re
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEADERS_S: Final = 15.0
_HEADERS_BYTES: Final = 64 << 10
_FRAMING_PER_BODY: Final = 16
"""Bytes of framing that may come with each byte of body: a chunk of one byte has five."""


class BoundedProtocol(HttpToolsProtocol):
    """Reads requests whole; bounds the time of a head, and the size of a head and of framing."""

    headers_s = _HEADERS_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._framing_bytes = 0
        self._allowed_bytes = _HEADERS_BYTES
        self._header_timer: asyncio.TimerHandle | None = None
        self._offered = False  # the head that is parsed offers an upgrade
        self._deaf = False  # nothing more can be understood
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A client that has said all may still want its answer; TLS has no such half-close."""
        cycle = self.cycle
        if cycle is None or cycle.response_started or cycle.more_body or self.scheme == "https":
            return None
        self._stop_listening()
        return True

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._deaf:
            return
        self._framing_bytes += len(data)
        try:
            self._parse(memoryview(data))
        except httptools.HttpParserError:
            self._not_understood()
            return
        if self._framing_bytes > self._allowed_bytes:
            self._hang_up()

    def _parse(self, data: memoryview) -> None:
        """Feed `data`; a head that offers an upgrade is fed again without its offer.

        Raises:
            HttpParserError: this is no HTTP/1.
        """
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
            head = self._head_without_offer()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)

    def _head_without_offer(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserError("this is no proxy")
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join((*lines, b"", b""))

    def on_message_begin(self) -> None:
        self._offered = False
        super().on_message_begin()
        self._await_headers()

    def on_headers_complete(self) -> None:
        self._headers_came()
        if self.parser.should_upgrade():
            self._offered = True
            return
        self._take_host_from_target()
        super().on_headers_complete()
        self.headers = []  # the scope has its own by now: here come the trailers

    def _take_host_from_target(self) -> None:
        """A target that is a whole URL, as proxies are asked, says the host (RFC 9112 §3.2.2)."""
        _, mark, rest = self.url.partition(b"://")
        if mark and not self.url.startswith(b"/"):
            authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
            self.headers[:] = [header for header in self.headers if header[0] != b"host"]
            self.headers.append((b"host", authority))

    def on_body(self, body: bytes) -> None:
        self._framing_bytes -= len(body)
        self._allowed_bytes += _FRAMING_PER_BODY * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._framing_bytes = 0
        self._allowed_bytes = _HEADERS_BYTES
        if not self._offered:
            super().on_message_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if cycle.waiting_for_100_continue:
            app = _closing_unless_asked(app, cycle)
        super()._start_asgi_task(cycle, app)

    def _not_understood(self) -> None:
        """Answer 400, unless that would stand in place of another request's answer."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self.send_400_response("Invalid HTTP request received.")
        elif not cycle.more_body:
            self._stop_listening()
        elif self.pipeline or cycle.response_started:
            self._hang_up()
        else:
            self.send_400_response("Invalid HTTP request received.")

    def _stop_listening(self) -> None:
        """Close once the last request that was read is answered."""
        self._deaf = True
        self._headers_came()
        self.cycle.keep_alive = False

    def _await_headers(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.headers_s, self._hang_up)

    def _headers_came(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _hang_up(self) -> None:
        self._headers_came()
        self.transport.close()


def _closing_unless_asked(app: Any, cycle: Any) -> Any:
    """`app` for a client that waits for `100 Continue` before it sends its body.

    One that is answered before it was asked may send the body or leave it out: what comes next
    on such a connection could be either, so it is closed.
    """

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        async def closing(message: Any) -> None:
            if cycle.waiting_for_100_continue:
                cycle.keep_alive = False
            await send(message)

        await app(scope, receive, closing)

    return answering
