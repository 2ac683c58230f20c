"""One route for each endpoint of `projections.endpoints`."""

import re
import time
from collections.abc import Sequence
from typing import Any, Final

import anyio
import msgspec
from litestar import MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler

from projections.endpoints import ENDPOINTS
from projections.queries import POLL_S, Queries
from projections.query.endpoint import Endpoint
from projections.query.parameters import Question, parse
from projections.query.status import ProjectionList, for_one_tenant
from service.access.tokens import TokenStore
from service.api.asking import AnyRequest, admitted, arguments, parameters

PREFIX: Final = "/api/v1"
_AT_ONCE: Final = 16


class Answers:
    """Answers endpoints; questions run in worker threads, at most so many at once."""

    def __init__(self, queries: Queries, tokens: TokenStore) -> None:
        self._queries = queries
        self._tokens = tokens
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    def routes(self) -> list[HTTPRouteHandler]:
        """A handler for each endpoint."""
        return [self._route(endpoint) for endpoint in ENDPOINTS]

    def _route(self, endpoint: Endpoint) -> HTTPRouteHandler:
        wanted = re.findall(r"{(\w+)}", endpoint.path)

        async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._answer(endpoint, wanted, request)

        path = re.sub(r"{(\w+)}", r"{\1:str}", endpoint.path)
        return get(f"{PREFIX}/{path}", name=endpoint.path)(answer)

    async def _answer(
        self, endpoint: Endpoint, wanted: Sequence[str], request: AnyRequest
    ) -> Response[bytes]:
        who = await admitted(request, self._tokens)
        question = parse(endpoint.asks, parameters(request))
        named = arguments(request, wanted)
        await self._reach(endpoint, question)

        def body() -> bytes:
            answer = self._queries.ask(endpoint, question, named, tenant=who.tenant)
            if who.is_bound and isinstance(answer, ProjectionList):
                answer = for_one_tenant(answer)
            return msgspec.json.encode(answer)

        content = await anyio.to_thread.run_sync(body, limiter=self._limiter)
        return Response(content, media_type=MediaType.JSON, headers={"cache-control": "no-store"})

    async def _reach(self, endpoint: Endpoint, question: Question) -> None:
        """Wait for `min_position`; the looks are short, so no waiting request holds a thread."""
        if question.min_position is None:
            return
        ends = time.monotonic() + question.wait_s

        def look() -> bool:
            return self._queries.is_reached(endpoint, question, last=time.monotonic() >= ends)

        while not await anyio.to_thread.run_sync(look):
            await anyio.sleep(POLL_S)
