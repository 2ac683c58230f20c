"""One route for each endpoint of `service.alerts.questions`."""

from pathlib import Path
from typing import Any

import anyio
import msgspec
from litestar import MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler

from service.access.tokens import TokenStore
from service.alerts.questions import ENDPOINTS, AlertsEndpoint, answer, without_receivers
from service.api.asking import AnyRequest, admitted, parameters
from service.api.routes import PREFIX


class Alerts:
    """Answers from `alerts.db`, in worker threads."""

    def __init__(self, data: Path, tokens: TokenStore) -> None:
        self._data = data
        self._tokens = tokens

    def routes(self) -> list[HTTPRouteHandler]:
        """A handler for each endpoint."""
        return [self._route(endpoint) for endpoint in ENDPOINTS]

    def _route(self, endpoint: AlertsEndpoint) -> HTTPRouteHandler:
        async def handler(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._answer(endpoint, request)

        return get(f"{PREFIX}/{endpoint.path}", name=endpoint.path)(handler)

    async def _answer(self, endpoint: AlertsEndpoint, request: AnyRequest) -> Response[bytes]:
        who = await admitted(request, self._tokens)
        given = parameters(request)

        def body() -> bytes:
            found = answer(self._data, endpoint.path, given, who.tenant)
            return msgspec.json.encode(without_receivers(found) if who.is_bound else found)

        content = await anyio.to_thread.run_sync(body)
        return Response(content, media_type=MediaType.JSON, headers={"cache-control": "no-store"})
