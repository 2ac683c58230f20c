"""One route for each write of `service.api.writes`; answered only after the commit."""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import anyio
import msgspec
from litestar import MediaType, Request, Response, post
from litestar.exceptions import HTTPException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import HTTPRouteHandler

from events import names
from events.errors import TooLarge
from projections.queries import Queries
from projections.query.refusals import BadQuestion
from service.access.tokens import TokenStore
from service.api.asking import AnyRequest, admitted, arguments, parameters, require_own_page
from service.api.routes import PREFIX
from service.api.writes import WRITES, Write, Written
from service.append.appender import Appender
from service.configuration.settings import Settings
from service.otlp.decompression import decompress

CREATED: Final = 201
_AT_ONCE: Final = 16
_ARGUMENT: Final = re.compile(r"{(\w+)}")
_JSON: Final = "application/json"
_Struct = TypeVar("_Struct", bound=msgspec.Struct)
BODY_LIMIT_BYTES: Final = 64 << 10
"""Of a body, compressed or not."""
_EXACT: Final = 1 << 53
"""Doubles up to here tell every integer apart."""


class Writing:
    """Serves writes; they wait for their commits in worker threads, at most so many at once."""

    def __init__(
        self, settings: Settings, appender: Appender, tokens: TokenStore, queries: Queries
    ) -> None:
        self._origins = settings.cors_origins
        self._appender = appender
        self._tokens = tokens
        self._queries = queries
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    def routes(self) -> list[HTTPRouteHandler]:
        """A handler for each write."""
        return [self._route(write) for write in WRITES]

    def _route(self, write: Write) -> HTTPRouteHandler:
        async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._answer(write, request)

        path = _ARGUMENT.sub(r"{\1:str}", write.path)
        return post(f"{PREFIX}/{path}", name=f"write {write.path}")(answer)

    async def _answer(self, write: Write, request: AnyRequest) -> Response[bytes]:
        require_own_page(request, self._origins)
        who = await admitted(request, self._tokens, "write")
        if unknown := [(name, "no parameters are known here") for name in parameters(request)]:
            raise BadQuestion(unknown)
        body = await json_body(request)
        coding = ",".join(request.headers.getall("content-encoding", []))
        key = _key(request)
        named = arguments(request, _ARGUMENT.findall(write.about))

        def append() -> Written:
            content = decompress(coding, body, BODY_LIMIT_BYTES)
            new = parsed(content, write.takes)
            about = self._about(write, named, who.tenant)
            fact = write.fact(new, who.token or names.ACTOR_LOCAL, key, *about)
            receipt = self._appender.record(who.tenant, fact)
            return Written(
                event_id=receipt.event_id.hex(),
                position=str(receipt.position),
                idempotency_key=fact.idempotency_key,
            )

        written = await anyio.to_thread.run_sync(append, limiter=self._limiter)
        headers = {"cache-control": "no-store", names.POSITION_HEADER: written.position}
        return Response(
            msgspec.json.encode(written), status_code=CREATED, media_type=MediaType.JSON,
            headers=headers,
        )  # fmt: skip

    def _about(self, write: Write, named: Sequence[str], tenant: str) -> list[msgspec.Struct]:
        """What the fact is about, where the path names it.

        Raises:
            NotFound: it is not there.
        """
        if not write.about:
            return []
        values = iter(named)
        resource = _ARGUMENT.sub(lambda _: next(values), write.about)
        return [self._queries.answer(resource, {}, tenant=tenant)]


async def json_body(request: AnyRequest) -> bytes:
    """The body, if it says that it is JSON: a form of another site cannot say so."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _JSON:
        raise HTTPException(
            detail=f"the body must be JSON: send `content-type: {_JSON}`", status_code=415
        )
    try:
        return await request.body()
    except RequestEntityTooLarge as exc:
        raise TooLarge(
            f"the body is larger than {BODY_LIMIT_BYTES} bytes", limit_bytes=BODY_LIMIT_BYTES
        ) from exc


def _key(request: AnyRequest) -> str | None:
    """The idempotency key, with or without the quotes that structured headers have."""
    key = request.headers.get(names.IDEMPOTENCY_HEADER)
    if key is not None and len(key) > 1 and key[0] == key[-1] == '"':
        return key[1:-1]
    return key


def parsed(body: bytes, kind: type[_Struct]) -> _Struct:
    """The record that a body of JSON holds.

    Raises:
        BadQuestion: it holds none; the message says where.
    """
    try:
        return msgspec.convert(_canonical(msgspec.json.decode(body)), kind)
    except msgspec.ValidationError as exc:
        raise BadQuestion([("body", str(exc))]) from exc
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise BadQuestion([("body", f"no JSON: {exc}")]) from exc


def _canonical(value: Any) -> Any:
    """A JSON value as every sender's repeat of it reads: members in order, whole doubles as
    integers (RFC 8785), for maps have no order, and some languages have no integers."""
    if isinstance(value, dict):
        return {name: _canonical(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value
