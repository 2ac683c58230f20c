"""`percepts`: finished runs with how new they are, as their ends are told (server-sent events).

A stream asks the views for its next page and keeps nothing but its place, which is the `id` of
each message: a client that connects again with `Last-Event-ID` misses nothing, and is told again
at most what it did not confirm.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import anyio
import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream
from msgspec import Meta

from projections.endpoints import ENDPOINTS
from projections.queries import Queries
from projections.query.parameters import Position, TaskId, parse
from projections.query.refusals import BeyondHead
from projections.views.percepts.question import PerceptPage, PerceptsQuestion
from service.access.tokens import TokenStore
from service.api.asking import AnyRequest, is_allowed, parameters, tenant_of
from service.api.events import HEARTBEAT_S, frame_of, start_of
from service.api.feed import POLL_S, Feed
from service.api.routes import PREFIX

PATH: Final = "percepts"
_PAGE: Final = 50
_READS_AT_ONCE: Final = 2
_WAIT_S: Final = 1.0
"""A stream ends at most so long after its token was revoked."""
(_ENDPOINT,) = (endpoint for endpoint in ENDPOINTS if endpoint.path == "percepts/page")


class PerceptsFeed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the feed of percepts."""

    after: (
        Annotated[
            Position,
            Meta(description="Start after this position; with what ends from now on if absent. "
                 "A `Last-Event-ID` header goes before it."),
        ]
        | None
    ) = None  # fmt: skip
    task: TaskId | None = None
    min_novelty: Annotated[
        float, Meta(ge=0, le=1, description="Only runs that are at least so new.")
    ] = 0.0
    heartbeat_s: Annotated[
        float, Meta(ge=0.2, le=60, description="A comment after so many seconds of silence.")
    ] = HEARTBEAT_S


class Percepts:
    """Serves the feed."""

    def __init__(self, queries: Queries, feed: Feed, tokens: TokenStore) -> None:
        self._queries = queries
        self._feed = feed
        self._tokens = tokens
        self._reads = anyio.CapacityLimiter(_READS_AT_ONCE)

    def route(self) -> HTTPRouteHandler:
        """The handler."""

        async def percepts(request: Request[Any, Any, Any]) -> Stream:
            return await self._open(request)

        return get(f"{PREFIX}/{PATH}", name=PATH)(percepts)

    async def _open(self, request: AnyRequest) -> Stream:
        tenant = await tenant_of(request, self._tokens)
        asked = parse(PerceptsFeed, parameters(request))
        # What the views have seen goes first: they may pass a head that was looked up before.
        seen = await anyio.to_thread.run_sync(self._queries.seen)
        head = await self._feed.head()
        after = start_of(request, asked.after, seen)
        if after > head:
            raise BeyondHead(after, head)
        return self._feed.stream(tenant, self._frames(request, tenant, asked, after))

    async def _frames(
        self, request: AnyRequest, tenant: str, asked: PerceptsFeed, after: int
    ) -> AsyncIterator[bytes]:
        quiet_s = 0.0
        while not self._feed.closed and await is_allowed(request, self._tokens, tenant):
            page = await self._page(tenant, asked, after)
            after = int(page.position)
            for item in page.items:
                yield frame_of("percept", int(item.position), item)
            if page.items:
                quiet_s = 0.0
            if not page.complete:
                continue
            quiet_s += await self._wait(after, min(asked.heartbeat_s, _WAIT_S))
            if quiet_s >= asked.heartbeat_s and not self._feed.closed:
                quiet_s = 0.0
                yield b": heartbeat\n\n"

    async def _wait(self, after: int, wait_s: float) -> float:
        """Wait until the log grew, and a moment more for the views; about how long that was."""
        started_s = anyio.current_time()
        await self._feed.beyond(after, wait_s)
        await anyio.sleep(POLL_S)
        return anyio.current_time() - started_s

    async def _page(self, tenant: str, asked: PerceptsFeed, after: int) -> PerceptPage:
        question = PerceptsQuestion(
            after=str(after), limit=_PAGE, task=asked.task, min_novelty=asked.min_novelty
        )

        def read() -> PerceptPage:
            page = self._queries.ask(_ENDPOINT, question, (), tenant=tenant)
            assert isinstance(page, PerceptPage)
            return page

        return await anyio.to_thread.run_sync(read, limiter=self._reads)
