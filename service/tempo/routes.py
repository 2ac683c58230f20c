"""The routes below `/tempo`: point a Grafana data source of type Tempo there."""

import time
from collections.abc import Callable
from typing import Annotated, Any, Final

import anyio
import msgspec
from litestar import MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from events.errors import BadInput, NotFound
from projections.query import ids
from service.access.tokens import TokenStore
from service.api.asking import AnyRequest, arguments, parameters, tenant_of
from service.forward.encode import field
from service.tempo import finding
from service.tempo.finding import Window
from service.tempo.measure import parse_measure
from service.tempo.pipeline import parse_search
from service.tempo.series import (
    DEFAULT_EXEMPLARS,
    MOST_EXEMPLARS,
    gather,
    instant_answer,
    range_answer,
)
from service.tempo.steps import bounds_of, steps_of, whole
from service.traces.stored import StoredTraces

PREFIX: Final = "/tempo/api"
PROTOBUF: Final = "application/protobuf"
MOST_BYTES: Final = 64 << 20
"""Of one trace; a larger one is cut, and says so."""
_TRACE, _STATUS, _MESSAGE = b"\x0a", b"\x18", b"\x22"
_PARTIAL: Final = b"\x01"
_CUT: Final = b"the trace is larger than 64 MiB; this is its beginning"
_BEHIND: Final = b"traces is behind: spans that were just stored may be missing"
_AT_ONCE: Final = 4
_DEFAULT_LIMIT: Final = 20
_DEFAULT_SPANS: Final = 3


class _Asked(msgspec.Struct, frozen=True):
    """Parameters; those that Tempo has besides are let pass, as Grafana sends them."""

    q: str = "{}"
    limit: Annotated[int, Meta(ge=1, le=1_000)] = _DEFAULT_LIMIT
    spss: Annotated[int, Meta(ge=1, le=1_000)] = _DEFAULT_SPANS
    start: Annotated[int, Meta(ge=0, le=1 << 33)] | None = None
    end: Annotated[int, Meta(ge=0, le=1 << 33)] | None = None
    scope: str = ""


class _Measured(msgspec.Struct, frozen=True):
    """Parameters of figures; `query` is an older name of `q`."""

    q: str = ""
    query: str = ""
    start: Annotated[int, Meta(ge=0, le=1 << 33)] | None = None
    end: Annotated[int, Meta(ge=0, le=1 << 33)] | None = None
    since: str = ""
    step: str = ""
    exemplars: Annotated[int, Meta(ge=0)] | None = None


class Tempo:
    """Answers what the data source asks; work is done in a few threads."""

    def __init__(self, traces: StoredTraces, tokens: TokenStore) -> None:
        self._traces = traces
        self._tokens = tokens
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    def routes(self) -> list[HTTPRouteHandler]:
        """A handler for each route."""

        async def echo(request: Request[Any, Any, Any]) -> Response[bytes]:
            await tenant_of(request, self._tokens)
            return Response(b"echo", media_type=MediaType.TEXT)

        async def trace(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._trace(request, framed=True)

        async def bare_trace(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._trace(request, framed=False)

        async def search(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._json(request, self._search)

        async def tags(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._json(request, self._tags)

        async def values(request: Request[Any, Any, Any]) -> Response[bytes]:
            (tag,) = arguments(request, ["tag"])
            return await self._json(request, lambda *asked: self._values(tag, *asked))

        async def range_of(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._json(request, self._range, _Measured)

        async def instant_of(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._json(request, self._instant, _Measured)

        return [
            get(f"{PREFIX}/metrics/query_range", name="tempo-metrics-range")(range_of),
            get(f"{PREFIX}/metrics/query", name="tempo-metrics")(instant_of),
            get(f"{PREFIX}/echo", name="tempo-echo")(echo),
            get(f"{PREFIX}/v2/traces/{{trace_id:str}}", name="tempo-trace")(trace),
            get(f"{PREFIX}/traces/{{trace_id:str}}", name="tempo-bare-trace")(bare_trace),
            get(f"{PREFIX}/search", name="tempo-search")(search),
            get(f"{PREFIX}/v2/search/tags", name="tempo-tags")(tags),
            get(f"{PREFIX}/v2/search/tag/{{tag:str}}/values", name="tempo-values")(values),
        ]

    async def _trace(self, request: AnyRequest, *, framed: bool) -> Response[bytes]:
        tenant = await tenant_of(request, self._tokens)
        (named,) = arguments(request, ["trace_id"])
        content, lack = await anyio.to_thread.run_sync(
            self._read, tenant, named, limiter=self._limiter
        )
        if framed:
            content = field(_TRACE, content)
            content += _STATUS + _PARTIAL + field(_MESSAGE, lack) if lack else b""
        return Response(content, media_type=PROTOBUF)

    def _read(self, tenant: str, named: str) -> tuple[bytes, bytes]:
        """A trace as `TracesData`, and why it may not be whole; empty if it is.

        Raises:
            NotFound: nobody knows it.
        """
        behind = _BEHIND if self._traces.is_behind() else b""
        for trace_id in ids.trace_ids(named):
            parts: list[bytes] = []
            size = 0
            for chunk in self._traces.chunks(tenant, trace_id):
                if parts and size + len(chunk) > MOST_BYTES:
                    return b"".join(parts), _CUT
                parts.append(chunk)
                size += len(chunk)
            if parts:
                return b"".join(parts), behind
        raise NotFound(f"no trace {named[:64]}")

    async def _json(
        self,
        request: AnyRequest,
        work: Callable[[str, Any], Any],
        takes: type[_Asked | _Measured] = _Asked,
    ) -> Response[bytes]:
        tenant = await tenant_of(request, self._tokens)
        try:
            asked = msgspec.convert(parameters(request), takes, strict=False)
        except msgspec.ValidationError as exc:
            raise BadInput(str(exc)) from exc
        found = await anyio.to_thread.run_sync(work, tenant, asked, limiter=self._limiter)
        return Response(msgspec.json.encode(found), media_type=MediaType.JSON)

    def _search(self, tenant: str, asked: _Asked) -> dict[str, Any]:
        found = finding.search(
            self._traces, tenant, parse_search(asked.q), Window(asked.start, asked.end),
            limit=asked.limit, spans_each=asked.spss,
        )  # fmt: skip
        return {"traces": found, "metrics": {}}

    def _tags(self, tenant: str, asked: _Asked) -> dict[str, Any]:
        window = Window(asked.start, asked.end)
        scope = "" if asked.scope == "none" else asked.scope
        found = finding.tags(self._traces, tenant, window, scope, asked.q)
        return {"scopes": found, "metrics": {}}

    def _values(self, tag: str, tenant: str, asked: _Asked) -> dict[str, Any]:
        window = Window(asked.start, asked.end)
        found = finding.values(self._traces, tenant, window, tag, asked.q)
        return {"tagValues": found, "metrics": {}}

    def _range(self, tenant: str, asked: _Measured) -> dict[str, Any]:
        measure = parse_measure(asked.q or asked.query)
        times = bounds_of(asked.start, asked.end, asked.since, time.time_ns())
        steps = steps_of(*times, asked.step)
        usual = DEFAULT_EXEMPLARS if measure.exemplars else 0
        wanted = usual if asked.exemplars is None else min(asked.exemplars, MOST_EXEMPLARS)
        with self._traces.searching() as search:
            found = gather(
                search, tenant, measure, steps, 0 if measure.exemplars is False else wanted
            )
        return range_answer(measure, steps, found)

    def _instant(self, tenant: str, asked: _Measured) -> dict[str, Any]:
        measure = parse_measure(asked.q or asked.query)
        steps = whole(*bounds_of(asked.start, asked.end, asked.since, time.time_ns()))
        with self._traces.searching() as search:
            found = gather(search, tenant, measure, steps)
        return instant_answer(measure, steps, found)
