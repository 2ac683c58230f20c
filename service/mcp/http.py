"""Streamable HTTP: who may ask, then the SDK, which is loaded by the first request.

Stateless: each request stands for itself, so any process answers it, and a client outlives a
restart of the service. There is no stream to listen on, hence only POST. Hosts, origins, tokens,
tenants and TLS are those of the API.
"""

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import anyio
import msgspec

from events import names
from events.errors import Rejected, SpanledgerError, TooLarge, Unavailable
from projections.queries import Queries
from service.access.hosts import ForeignOrigin, Hosts, UnknownHost, require_own_origin
from service.access.proxies import Proxies
from service.access.tokens import Forbidden, TokenStore, Unauthenticated
from service.configuration.settings import Settings
from service.network.web import WebServer

WHO: Final = "spanledger.caller"
"""Where in the scope the name and the tenant of the caller are."""
PATH: Final = "/mcp"
BODY_LIMIT_BYTES: Final = 1 << 20
"""Of one call; the SDK reads whatever comes."""
_STATUS: Final[tuple[tuple[type[SpanledgerError], int], ...]] = (
    (Unauthenticated, 401), (Forbidden, 403), (ForeignOrigin, 403), (UnknownHost, 421),
    (TooLarge, 413), (Rejected, 400), (Unavailable, 503), (SpanledgerError, 500),
)  # fmt: skip
_CORS_HEADERS: Final = (
    "authorization, content-type, accept, mcp-protocol-version, mcp-session-id, mcp-method, "
    f"mcp-name, {names.TENANT_HEADER}"
)
_log = logging.getLogger(__name__)


class McpServer(WebServer):
    """Serves MCP from `start` to `close`."""

    def __init__(self, settings: Settings, port: int, tokens: TokenStore) -> None:
        self._queries = Queries(settings.data, budget_s=settings.query_budget_s)
        app = McpApplication(settings, self._queries, tokens)
        super().__init__(app, settings, port, "MCP", lifespan="on")

    def close(self) -> None:
        super().close()
        self._queries.close()


class McpApplication:
    """The ASGI application: checks a request, and passes it to the SDK."""

    def __init__(self, settings: Settings, queries: Queries, tokens: TokenStore) -> None:
        self._settings = settings
        self._tokens = tokens
        self._hosts = Hosts(settings.allowed_hosts, tokens.is_open)
        self._proxies = Proxies(settings.trusted_proxies, settings.root_path)
        self._sdk = _Sdk(queries)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        allowed = _allowed_origin(scope, self._settings.cors_origins)
        answering = _Answering(send, allowed)
        try:
            self._hosts.check(scope["headers"], scope["http_version"])
            if allowed is None:
                own = self._proxies.place(scope).origin
                require_own_origin(scope["headers"], own, self._settings.cors_origins)
            if not await answering.is_told(scope):
                scope[WHO] = await self._admitted(scope)
                replayed = _replayed(await _body_of(receive), receive)
                await (await self._sdk.manager()).handle_request(scope, replayed, answering.send)
        except SpanledgerError as exc:
            await answering.refuse(exc)

    async def _admitted(self, scope: Any) -> tuple[str, str]:
        """The name of the caller, for its limits, and its tenant."""
        sent = {name: value.decode("latin-1") for name, value in scope["headers"]}
        tenant = sent.get(names.TENANT_HEADER.lower().encode())
        who = await anyio.to_thread.run_sync(
            self._tokens.admit, sent.get(b"authorization"), "read", tenant
        )
        address = (scope.get("client") or ("",))[0]
        return f"{who.token or address}/{who.tenant}", who.tenant

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._sdk.close()
        await send({"type": "lifespan.shutdown.complete"})


class _Sdk:
    """The SDK's session manager: loaded, entered and left in one task, as its task group wants."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._living: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Any] | None = None
        self._ending = asyncio.Event()

    async def manager(self) -> Any:
        """The manager; the first call loads it, others wait for that."""
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._living = asyncio.create_task(self._live(self._ready))
        return await asyncio.shield(self._ready)

    async def _live(self, ready: "asyncio.Future[Any]") -> None:
        try:
            module = await anyio.to_thread.run_sync(
                importlib.import_module, "service.mcp.transport"
            )
            manager = module.manager(self._queries)
            async with manager.run():
                ready.set_result(manager)
                await self._ending.wait()
        except Exception as exc:
            _log.exception("mcp failed", extra={"action": "mcp"})
            if not ready.done():
                ready.set_exception(Unavailable(f"the MCP server cannot be loaded: {exc}"))

    async def close(self) -> None:
        """Leave the manager."""
        self._ending.set()
        if self._living is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._living


class _Answering:
    """What is answered besides the SDK's answers, and the headers that browsers want on all."""

    def __init__(self, send: Any, allowed: str | None) -> None:
        self._send = send
        self._headers: list[tuple[bytes, bytes]] = []
        if allowed is not None:
            self._headers = [
                (b"access-control-allow-origin", allowed.encode("latin-1")), (b"vary", b"origin")
            ]  # fmt: skip

    async def send(self, message: Any) -> None:
        """Pass on a message of ASGI."""
        if message["type"] == "http.response.start" and self._headers:
            message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
        await self._send(message)

    async def is_told(self, scope: Any) -> bool:
        """Whether the request is answered already: it asks for no call."""
        if scope["method"] == "OPTIONS" and self._headers:
            self._headers += [
                (b"access-control-allow-methods", b"POST"),
                (b"access-control-allow-headers", _CORS_HEADERS.encode()),
            ]
            await self._answer(204, b"")
            return True
        if f"/{scope['path'].rstrip('/').rpartition('/')[2]}" != PATH:
            await self._tell(404, f"MCP is served at {PATH}")
            return True
        if scope["method"] != "POST":
            self._headers.append((b"allow", b"POST"))
            await self._tell(405, "this is an MCP server, stateless: clients send POST")
            return True
        return False

    async def refuse(self, error: SpanledgerError) -> None:
        """Answer with an error of ours."""
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        if status == 401:
            self._headers.append((b"www-authenticate", b"Bearer"))
        if isinstance(error, Unavailable):
            self._headers.append((b"retry-after", str(max(1, round(error.retry_after_s))).encode()))
        await self._tell(status, str(error))

    async def _tell(self, status: int, message: str) -> None:
        body = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": message}}
        await self._answer(status, msgspec.json.encode(body))

    async def _answer(self, status: int, body: bytes) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


async def _body_of(receive: Any) -> bytes:
    """The whole body of a request.

    Raises:
        TooLarge: it is larger than a call may be.
    """
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT_BYTES:
            told = f"the call is larger than {BODY_LIMIT_BYTES} bytes; ask for less at once"
            raise TooLarge(told, limit_bytes=BODY_LIMIT_BYTES)
        more = message.get("more_body", False)
    return bytes(body)


def _replayed(body: bytes, receive: Any) -> Callable[[], Awaitable[Any]]:
    """What an application receives whose body was read already: that, and then what comes."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Any:
        return waiting.pop() if waiting else await receive()

    return replay


def _allowed_origin(scope: Any, allowed: Sequence[str]) -> str | None:
    """The request's origin, if its pages may use the server from a browser."""
    origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
    return origin if origin and (origin in allowed or "*" in allowed) else None
