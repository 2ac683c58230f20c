"""The log's head, watched once for all streams."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import anyio

from events.errors import SpanledgerError, Unavailable
from projections.query.log import Log

POLL_S: Final = 0.1
MOST_STREAMS: Final = 100


class Feed:
    """Tells streams that the log grew; belongs to one event loop."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._head = 0
        self._streams = 0
        self._changed = asyncio.Condition()
        self._watch: asyncio.Task[None] | None = None
        self.closed = False

    def require_room(self) -> None:
        """See to it that one more stream may begin.

        Raises:
            Unavailable: there are too many, or the service is closing.
        """
        if self.closed:
            raise Unavailable("the service is closing")
        if self._streams >= MOST_STREAMS:
            raise Unavailable(f"{MOST_STREAMS} streams are open, which is the most there may be")

    @contextlib.asynccontextmanager
    async def subscribed(self) -> AsyncIterator[None]:
        """Count a stream in; the head is watched while there is any."""
        self._streams += 1
        if self._watch is None:
            self._watch = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            self._streams -= 1
            if self._streams == 0 and self._watch is not None:
                self._watch.cancel()
                self._watch = None

    async def head(self) -> int:
        """The last committed position, looked up now."""
        self._head = max(self._head, await anyio.to_thread.run_sync(self._log.head))
        return self._head

    async def beyond(self, position: int, wait_s: float) -> bool:
        """Wait until the head is beyond `position`, the feed closes or the time is over."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._changed.wait_for(lambda: self.closed or self._head > position), wait_s
                )
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
