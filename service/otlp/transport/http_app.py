"""OTLP over HTTP: the ASGI application, which reads a request and answers it.

Answers and errors are written in the encoding of the request. Who may not send is told before
the body is read. A body is bounded in size and time, and so are all bodies together.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from events import names
from events.errors import BadInput, QueueFull, TooLarge
from service.access.tokens import Unauthenticated
from service.configuration.settings import Settings
from service.otlp.decompression import UnknownType
from service.otlp.request import Answer, Encoding, Outcome, Signal
from service.otlp.transport import answers
from service.otlp.transport.codes import (
    NoLength,
    SlowClient,
    UnknownPath,
    WrongMethod,
    retry_after_s,
    status_of,
)
from service.otlp.transport.intake import (
    COMMIT_TIMEOUT_S,
    Intake,
    count_answer,
    count_refusal,
    too_late,
)

_PATHS: Final = {f"/v1/{signal}": signal for signal in Signal}
_ENCODINGS: Final = {str(encoding): encoding for encoding in Encoding}
_DISCARD_S: Final = 2.0
_EXPOSED: Final = b"Spanledger-Position, Retry-After"

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class _Gone(Exception):
    """The client hung up; there is nobody to answer."""


@dataclass(slots=True)
class _Call:
    """One request while it is answered."""

    scope: Scope
    receive: Receive
    headers: dict[bytes, bytes]
    signal: str = "unknown"
    encoding: Encoding = Encoding.JSON
    body_read: bool = False

    def header(self, name: str) -> str | None:
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1").strip()


class HttpApp:
    """The application. Its coroutines run in one loop.

    Args:
        body_timeout_s: the longest time a body may take to arrive.
    """

    def __init__(self, settings: Settings, intake: Intake, *, body_timeout_s: float) -> None:
        self._settings = settings
        self._intake = intake
        self._body_timeout_s = body_timeout_s
        self._arriving: Counter[str] = Counter()  # bytes of bodies that arrive, by tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = _Call(scope, receive, dict(scope["headers"]))
        headers = self._cors(call)
        try:
            if scope["method"] == "OPTIONS" and headers:
                status, body = 204, b""
                headers += _preflight(call)
            else:
                status, body = 200, await self._answer(call, headers)
        except _Gone:
            return
        except Exception as error:
            # Every error is told by the status table.
            status, body = await self._refuse(call, error, headers)
        headers.append((b"content-type", call.encoding.encode()))
        headers.append((b"content-length", b"%d" % len(body)))
        count_answer(call.signal, "http", str(status))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, call: _Call, headers: Headers) -> bytes:
        signal = _open(call)
        tenant = self._intake.tenant(call.header("authorization"), call.header(names.TENANT_HEADER))
        body = await self._read(call, tenant)
        coding = call.header("content-encoding") or ""
        waiting = self._intake.take(signal, call.encoding, tenant, body, coding)
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                outcome = await _outcome(waiting)
        except TimeoutError:
            raise too_late() from None
        if outcome.position is not None:
            headers.append((names.POSITION_HEADER.encode(), b"%d" % outcome.position))
        return answers.success(signal, call.encoding, outcome)

    async def _read(self, call: _Call, tenant: str) -> bytes:
        limit = self._settings.max_request_bytes
        announced = call.header("content-length")
        if announced is None and b"transfer-encoding" not in call.headers:
            raise NoLength("send the body with Content-Length or Transfer-Encoding: chunked")
        if announced is not None and int(announced) > limit:
            raise _too_large(limit)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._body_timeout_s):
                async for chunk in _chunks(call):
                    chunks.append(chunk)
                    size += len(chunk)
                    self._arriving[tenant] += len(chunk)
                    if size > limit:
                        raise _too_large(limit)
                    self._demand_share(tenant, size)
        except TimeoutError:
            raise SlowClient(f"the body did not come in {self._body_timeout_s:g} s") from None
        finally:
            self._arriving[tenant] -= size
            if not self._arriving[tenant]:
                del self._arriving[tenant]
        if announced is not None and int(announced) != size:
            raise BadInput(f"{size} bytes of body came, and {announced} were announced")
        return b"".join(chunks)

    def _demand_share(self, tenant: str, size: int) -> None:
        """See to it that all bodies that arrive at once are bounded, and each tenant's fairly."""
        most, own = self._settings.queue_bytes, self._arriving[tenant]
        if size < own > most // len(self._arriving) and self._arriving.total() > most:
            raise QueueFull("too many bodies arrive at once")

    async def _refuse(self, call: _Call, error: Exception, headers: Headers) -> tuple[int, bytes]:
        count_refusal(call.signal, error)
        if not call.body_read:
            # A client that is cut off while it sends would not read why: listen for a moment.
            headers.append((b"connection", b"close"))
            await self._discard(call)
        if (delay_s := retry_after_s(error)) is not None:
            headers.append((b"retry-after", b"%d" % delay_s))
        if isinstance(error, WrongMethod):
            headers.append((b"allow", b"POST"))
        if isinstance(error, Unauthenticated):
            headers.append((b"www-authenticate", b"Bearer"))
        return status_of(error).http, answers.failure(call.encoding, error)

    async def _discard(self, call: _Call) -> None:
        left = self._settings.max_decompressed_bytes
        try:
            async with asyncio.timeout(min(_DISCARD_S, self._body_timeout_s)):
                async for chunk in _chunks(call):
                    left -= len(chunk)
                    if left < 0:
                        return
        except (TimeoutError, _Gone):
            return

    def _cors(self, call: _Call) -> Headers:
        """What a browser is told; empty unless the origin is allowed."""
        origin = call.headers.get(b"origin")
        allowed = self._settings.cors_origins
        if origin is None or not ("*" in allowed or origin.decode("latin-1") in allowed):
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"Origin"),
        ]


def _open(call: _Call) -> Signal:
    """The signal of a request that is one by its path, method and type."""
    encoding = _ENCODINGS.get((call.header("content-type") or "").partition(";")[0].strip().lower())
    call.encoding = encoding or Encoding.JSON
    signal = _PATHS.get(call.scope["path"].rstrip("/"))
    if signal is None:
        raise UnknownPath(f"nothing is here; send to {', '.join(_PATHS)}")
    call.signal = signal
    if call.scope["method"] != "POST":
        raise WrongMethod("send with POST")
    if encoding is None:
        raise UnknownType(f"the content-type must be one of {', '.join(_ENCODINGS)}")
    return signal


async def _chunks(call: _Call) -> Any:
    while not call.body_read:
        message = await call.receive()
        if message["type"] != "http.request":
            raise _Gone
        call.body_read = not message.get("more_body", False)
        yield message.get("body", b"")


async def _outcome(answer: Answer) -> Outcome:
    """What `answer` comes to, without a thread that waits for it."""
    settled = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            loop.call_soon_threadsafe(settled.set)

    answer.when_done(wake)
    try:
        await settled.wait()
    except asyncio.CancelledError:
        answer.cancel()
        raise
    return answer.result()


def _preflight(call: _Call) -> Headers:
    asked = call.headers.get(b"access-control-request-headers", b"content-type")
    return [
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", asked),
        (b"access-control-max-age", b"7200"),
    ]


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"the body is over {limit_bytes} bytes", limit_bytes=limit_bytes)
