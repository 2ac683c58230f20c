"""The service about itself: health, the log's head, metrics, documentation."""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any, Final

import anyio
import jinja2
import msgspec
from litestar import MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup, escape
from prometheus_client import CONTENT_TYPE_LATEST

from events.errors import SpanledgerError
from projections.queries import Queries
from projections.query.refusals import BadQuestion
from service.access.tokens import TokenStore
from service.api import openapi
from service.api.asking import parameters, place_of, require_unbound
from service.api.problems import NotReady
from service.api.routes import PREFIX
from service.telemetry.samples import scrape, text_of

_PAGE_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
}

Probe = Callable[[str], None]
Metrics = Callable[[], str]


def own_metrics() -> str:
    """The metrics of this process alone, in Prometheus's text format."""
    return text_of(scrape("api").families)


class System:
    """Serves what is not about tasks.

    Args:
        needed: the roles without which the service is not ready.
        probe: raises a SpanledgerError if the role that it is given does not answer.
        metrics: tells those of the service in Prometheus's text format.
    """

    def __init__(
        self,
        queries: Queries,
        tokens: TokenStore,
        needed: Sequence[str],
        probe: Probe,
        metrics: Metrics,
    ) -> None:
        self._queries = queries
        self._tokens = tokens
        self._needed = needed
        self._probe = probe
        self._tell_metrics = metrics
        self._docs = lru_cache(8)(self._render_docs)

    # Made when first asked for, in a thread: nobody waits for them at the start.

    @cached_property
    def _document(self) -> dict[str, Any]:
        return openapi.document()

    @cached_property
    def _pages(self) -> jinja2.Environment:
        pages = jinja2.Environment(
            loader=jinja2.PackageLoader("service.api"), autoescape=True, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        pages.filters["code"] = _code
        return pages

    def _render(self, name: str, **values: Any) -> str:
        return self._pages.get_template(name).render(**values)

    def routes(self) -> list[HTTPRouteHandler]:
        """All handlers."""
        return [
            get(f"{PREFIX}/health/live", name="live")(self._answering(self._live)),
            get(f"{PREFIX}/health/ready", name="ready")(self._answering(self._ready)),
            get(f"{PREFIX}/log/head", name="log/head")(self._answering(self._log_head)),
            get("/metrics", name="metrics")(self._answering(self._metrics)),
            get("/openapi.json", name="openapi")(self._answering(self._openapi)),
            get("/docs", name="docs")(self._answering(self._docs_page)),
        ]

    def _render_docs(self, root: str) -> str:
        operations = openapi.operations(self._document)
        return self._render(
            "docs.html.j2", root=root, document=self._document, operations=operations
        )

    def _answering(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        """A handler that Litestar accepts: a function with an annotated request."""

        async def handler(request: Request[Any, Any, Any]) -> Response[Any]:
            unknown = [(name, "no parameters are known here") for name in parameters(request)]
            if unknown:
                raise BadQuestion(unknown)
            response: Response[Any] = await answer(request)
            return response

        return handler

    async def _live(self, request: Request[Any, Any, Any]) -> Response[Any]:
        return _json({"status": "live"})

    async def _ready(self, request: Request[Any, Any, Any]) -> Response[Any]:
        missing = await anyio.to_thread.run_sync(self.missing)
        if missing:
            raise NotReady(missing)
        return _json({"status": "ready", "missing": []})

    def missing(self) -> list[str]:
        """What keeps the service from being ready."""
        missing = []
        for role in self._needed:
            try:
                self._probe(role)
            except SpanledgerError:
                missing.append(role)
        try:
            self._queries.seen()
        except SpanledgerError:
            missing.append("views")
        return missing

    async def _log_head(self, request: Request[Any, Any, Any]) -> Response[Any]:
        await require_unbound(request, self._tokens, "position and hash of the log's end")
        return _json(await anyio.to_thread.run_sync(self._queries.log_head))

    async def _metrics(self, request: Request[Any, Any, Any]) -> Response[Any]:
        await require_unbound(request, self._tokens, "metrics of the service")
        content = await anyio.to_thread.run_sync(self._tell_metrics)
        return Response(content, media_type=CONTENT_TYPE_LATEST.rpartition(";")[0])

    async def _openapi(self, request: Request[Any, Any, Any]) -> Response[Any]:
        prefix = place_of(request).prefix
        document = await anyio.to_thread.run_sync(lambda: self._document)
        return _json({**document, "servers": [{"url": prefix or "/"}]})

    async def _docs_page(self, request: Request[Any, Any, Any]) -> Response[Any]:
        text = await anyio.to_thread.run_sync(self._docs, place_of(request).root)
        return Response(text, media_type=MediaType.HTML, headers=_PAGE_HEADERS)


def _code(text: str) -> Markup:
    """`text` with what stands between backticks as code."""
    parts = (escape(part) for part in text.split("`"))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part
        for number, part in enumerate(parts)
    )


def _json(value: Any) -> Response[bytes]:
    return Response(
        msgspec.json.encode(value), media_type=MediaType.JSON, headers={"cache-control": "no-store"}
    )
