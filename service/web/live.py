"""`/live/stream`: what changes, once a second, as server-sent events for any number of pages.

The views are asked once for all pages of a tenant, and what is told is written once. A page that
does not keep up misses messages, and is told how many; nobody waits for it. While no page is open
nothing is asked, and while nothing was folded only how far the views are behind.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import anyio
import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from events.errors import SpanledgerError
from projections.queries import Queries
from service.access.tokens import TokenStore
from service.api.asking import AnyRequest, admitted, is_allowed
from service.web.pulse import Beat, Pulse

EVERY_S: Final = 1.0
HEARTBEAT_S: Final = 15.0
MOST_PAGES: Final = 1_000
_WAITING: Final = 4
"""Messages that may wait for one page."""
_log = logging.getLogger(__name__)


class _Tenant:
    """The pages of a tenant that are open, and the task that asks for them."""

    def __init__(self) -> None:
        self.pages: set[asyncio.Queue[bytes]] = set()
        self.task: asyncio.Task[None] | None = None
        self.told: Beat | None = None
        """What a page hears that opens now."""


class Live:
    """Serves the stream; belongs to one event loop."""

    def __init__(self, queries: Queries, tokens: TokenStore) -> None:
        self._queries = queries
        self._tokens = tokens
        self._tenants: dict[str, _Tenant] = {}
        self._closed = asyncio.Event()

    def route(self) -> HTTPRouteHandler:
        """The handler."""

        async def stream(request: Request[Any, Any, Any]) -> Stream:
            who = await admitted(request, self._tokens)
            return Stream(
                self._frames(request, who.tenant),
                media_type="text/event-stream",
                headers={"cache-control": "no-store", "x-accel-buffering": "no"},
            )

        return get("/live/stream", name="live stream")(stream)

    def close(self) -> None:
        """End all streams."""
        self._closed.set()

    async def _frames(self, request: AnyRequest, tenant: str) -> AsyncIterator[bytes]:
        yield b"retry: 3000\n\n"
        if sum(len(each.pages) for each in self._tenants.values()) >= MOST_PAGES:
            return  # the browser asks again
        queue: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)
        with self._opened(tenant, queue) as opened:
            if opened.told is not None:
                yield _frame(opened.told)
            while not self._closed.is_set():
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        frame = await queue.get()
                except TimeoutError:
                    frame = b"event: here\ndata:\n\n"  # a page hears it, and knows a silence
                if not frame or not await is_allowed(request, self._tokens, tenant):
                    return
                yield frame

    @contextlib.contextmanager
    def _opened(self, tenant: str, queue: "asyncio.Queue[bytes]") -> Any:
        """Count a page in; the first one begins the asking, the last one ends it."""
        opened = self._tenants.setdefault(tenant, _Tenant())
        opened.pages.add(queue)
        if opened.task is None:
            opened.task = asyncio.create_task(self._follow(tenant, opened))
        try:
            yield opened
        finally:
            opened.pages.discard(queue)
            if not opened.pages:
                opened.task.cancel()
                self._tenants.pop(tenant, None)

    async def _follow(self, tenant: str, opened: _Tenant) -> None:
        pulse = Pulse(self._queries, tenant)
        while not self._closed.is_set():
            try:
                beat = await anyio.to_thread.run_sync(pulse.beat)
            except SpanledgerError as exc:
                _log.debug("no live news", extra={"action": "live", "error": str(exc)})
                beat = None
            except Exception:  # nobody else would say it: its pages go on without news meanwhile
                _log.exception("the live news of a tenant failed", extra={"action": "live"})
                beat = None
            if beat is not None:
                opened.told = beat if opened.told is None else opened.told.and_then(beat)
                _hand_out(opened, _frame(beat))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._closed.wait()
        _hand_out(opened, b"")


def _frame(beat: Beat) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(beat)


def _hand_out(opened: _Tenant, frame: bytes) -> None:
    """Give a message to every page; of what waits too long the oldest goes."""
    for queue in opened.pages:
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(frame)
