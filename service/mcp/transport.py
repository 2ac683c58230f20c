"""The SDK's manager of HTTP requests, on views of a data folder; loads the SDK."""

from collections.abc import Mapping
from typing import Any

import msgspec
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from projections.queries import Queries
from service.mcp.http import WHO
from service.mcp.limits import Buckets
from service.mcp.server import Caller, Context, Toolbox
from service.mcp.tools.tool import Document


class _Views:
    """A source: the views, for one tenant."""

    def __init__(self, queries: Queries, tenant: str) -> None:
        self._queries = queries
        self._tenant = tenant

    def ask(self, resource: str, filters: Mapping[str, Any]) -> Document:
        """See `Source.ask`."""
        given = {name: value for name, value in filters.items() if value is not None}
        answer = self._queries.answer(resource, given, tenant=self._tenant)
        document: Document = msgspec.to_builtins(answer)
        return document


def manager(queries: Queries) -> StreamableHTTPSessionManager:
    """A manager that answers from `queries`; it checks no host or origin, `http` does."""

    def caller_of(ctx: Context) -> Caller:
        assert ctx.request is not None
        name, tenant = ctx.request.scope[WHO]
        return Caller(name, _Views(queries, tenant))

    server = Toolbox(caller_of, Buckets()).server()
    return StreamableHTTPSessionManager(server, json_response=True, stateless=True)
