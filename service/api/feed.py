"""The log's head, watched once for all streams."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import anyio
from litestar.response import Stream

from events.errors import Closing, SpanledgerError, Unavailable
from projections.query.log import Log

POLL_S: Final = 0.1
MOST_STREAMS: Final = 400
MOST_STREAMS_OF_A_TENANT: Final = 100
_RETRY_S: Final = 5.0


class TooManyStreams(Unavailable):
    """As many live streams are open as there may be."""


class Feed:
    """Tells streams that the log grew; belongs to one event loop."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._head = 0
        self._streams: Counter[str] = Counter()
        self._changed = asyncio.Condition()
        self._watch: asyncio.Task[None] | None = None
        self.closed = False

    def require_room(self, tenant: str) -> None:
        """See to it that one more stream of a tenant may begin.

        Raises:
            TooManyStreams: there are too many, of the tenant or in all.
            Closing: the service is closing.
        """
        if self.closed:
            raise Closing("the service is closing")
        whose, most = "", MOST_STREAMS
        if self._streams[tenant] >= MOST_STREAMS_OF_A_TENANT:
            whose, most = " of this tenant", MOST_STREAMS_OF_A_TENANT
        elif self._streams.total() < MOST_STREAMS:
            return
        told = f"{most} streams{whose} are open, which is the most there may be"
        raise TooManyStreams(told, retry_after_s=_RETRY_S)

    @contextlib.asynccontextmanager
    async def subscribed(self, tenant: str) -> AsyncIterator[None]:
        """Count a stream in; the head is watched while there is any.

        Raises:
            TooManyStreams, Closing: as `require_room`; others may have come first.
        """
        self.require_room(tenant)
        self._streams[tenant] += 1
        if self._watch is None:
            self._watch = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            self._streams[tenant] -= 1
            self._streams += Counter()  # forget tenants without any
            if not self._streams and self._watch is not None:
                self._watch.cancel()
                self._watch = None

    def stream(self, tenant: str, frames: AsyncIterator[bytes]) -> Stream:
        """The answer that counts as a stream for as long as its frames come.

        Raises:
            TooManyStreams, Closing: as `require_room`, before the answer begins.
        """
        self.require_room(tenant)
        return Stream(
            self._counted(tenant, frames),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _counted(self, tenant: str, frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async with contextlib.AsyncExitStack() as held:
            try:
                await held.enter_async_context(self.subscribed(tenant))
            except Unavailable:  # others were quicker; the client asks again and is told why
                yield b"retry: 5000\n\n"
                return
            yield b"retry: 2000\n\n"
            async for frame in frames:
                yield frame
            yield b": closing\n\n"

    async def head(self) -> int:
        """The last committed position, looked up now."""
        self._head = max(self._head, await anyio.to_thread.run_sync(self._log.head))
        return self._head

    async def beyond(self, position: int, wait_s: float) -> bool:
        """Wait until the head is beyond `position`, the feed closes or the time is over."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                # Not wait_for: it waits in a task of its own, and a stream that is cancelled
                # meanwhile would let go of a lock that the other task holds.
                async with asyncio.timeout(wait_s):
                    await self._changed.wait_for(lambda: self.closed or self._head > position)
        return self._head > position

    async def close(self) -> None:
        """End all streams."""
        async with self._changed:
            self.closed = True
            self._changed.notify_all()

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(SpanledgerError):  # the next look may succeed
                before = self._head
                if await self.head() > before:
                    async with self._changed:
                        self._changed.notify_all()
            await asyncio.sleep(POLL_S)
