"""One shape for every error: RFC 9457 `application/problem+json`; a page for who wants pages."""

import logging
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from events.errors import Damaged, NotFound, Rejected, SpanledgerError, TooLarge, Unavailable
from projections.query.refusals import BadQuestion, BeyondHead, NotReached
from service.access.hosts import ForeignOrigin, UnknownHost
from service.access.tokens import Forbidden, Unauthenticated
from service.api.asking import place_of
from service.api.feed import TooManyStreams
from service.append.facts import BadFact, Conflict
from service.otlp.decompression import UnknownType
from service.web.problem_page import problem_page

MEDIA_TYPE: Final = "application/problem+json"
_PREFIX: Final = "urn:spanledger:problem:"
_log = logging.getLogger(__name__)

# The first class that fits decides.
_KINDS: Final[tuple[tuple[type[SpanledgerError], str, HTTPStatus, str], ...]] = (
    (BeyondHead, "position-beyond-head", HTTPStatus.BAD_REQUEST, "Position beyond the head"),
    (BadQuestion, "bad-parameters", HTTPStatus.BAD_REQUEST, "Bad parameters"),
    (NotFound, "not-found", HTTPStatus.NOT_FOUND, "Not found"),
    (Unauthenticated, "unauthenticated", HTTPStatus.UNAUTHORIZED, "Token needed"),
    (Forbidden, "forbidden", HTTPStatus.FORBIDDEN, "Not allowed"),
    (UnknownHost, "unknown-host", HTTPStatus.MISDIRECTED_REQUEST, "Unknown host"),
    (ForeignOrigin, "foreign-origin", HTTPStatus.FORBIDDEN, "Not allowed"),
    (BadFact, "bad-parameters", HTTPStatus.BAD_REQUEST, "Bad parameters"),
    (Conflict, "idempotency-conflict", HTTPStatus.CONFLICT, "Said otherwise before"),
    (
        TooLarge,
        "request-entity-too-large",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "Request Entity Too Large",
    ),
    (
        UnknownType,
        "unsupported-media-type",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "Unsupported Media Type",
    ),
    (Rejected, "bad-request", HTTPStatus.BAD_REQUEST, "Bad request"),
    (
        NotReached,
        "position-not-reached",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Position not reached in time",
    ),
    (TooManyStreams, "too-many-streams", HTTPStatus.TOO_MANY_REQUESTS, "Too many streams"),
    (Unavailable, "unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "Not available now"),
    (Damaged, "damaged", HTTPStatus.INTERNAL_SERVER_ERROR, "Damaged"),
    (SpanledgerError, "internal", HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error"),
)


class FieldError(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request."""

    parameter: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was not answered (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] = []
    position: str | None = None
    missing: list[str] | None = None


class NotReady(SpanledgerError):
    """Parts of the service do not answer; `missing` names them."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__(f"not ready, missing: {', '.join(missing)}")
        self.missing = missing


def spanledger_problem(request: Request[Any, Any, Any], error: SpanledgerError) -> Response[bytes]:
    """The response to an error that was raised on purpose."""
    if isinstance(error, NotReady):
        return _response(
            request, "not-ready", HTTPStatus.SERVICE_UNAVAILABLE, "Not ready", str(error),
            headers={"retry-after": "1"}, missing=error.missing,
        )  # fmt: skip
    _, slug, status, title = next(kind for kind in _KINDS if isinstance(error, kind[0]))
    if isinstance(error, Damaged) or (status >= 500 and not isinstance(error, Unavailable)):
        _log.error("query failed", extra={"action": "query", "error": str(error)})
    headers = {}
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    extra: dict[str, Any] = {}
    if isinstance(error, BadQuestion | BadFact):
        extra["errors"] = [FieldError(*each) for each in error.errors]
    if isinstance(error, BeyondHead | NotReached | Conflict):
        extra["position"] = str(error.position)
    return _response(request, slug, status, title, str(error), headers=headers, **extra)


def http_problem(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """The response to what the framework refuses: no such path, wrong method, …"""
    status = HTTPStatus(error.status_code)
    slug = status.phrase.lower().replace(" ", "-")
    detail = error.detail if error.detail != status.phrase else status.description or status.phrase
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    return _response(request, slug, status, status.phrase, detail, headers=headers)


def unforeseen_problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The response to a mistake of ours: logged, and nothing of it told."""
    _log.error("unforeseen error", exc_info=error, extra={"action": "query"})
    return _response(
        request, "internal", HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error",
        "the service made a mistake; its log says more",
    )  # fmt: skip


def _response(
    request: Request[Any, Any, Any],
    slug: str,
    status: HTTPStatus,
    title: str,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    **extra: Any,
) -> Response[bytes]:
    problem = Problem(
        type=_PREFIX + slug,
        title=title,
        status=status,
        detail=detail,
        instance=place_of(request).prefix + request.scope["path"],
        **extra,
    )
    shown = problem_page(request, place_of(request), problem)
    if shown is not None:
        shown.headers.update(headers or {})
        return shown
    body = {k: v for k, v in msgspec.structs.asdict(problem).items() if v is not None}
    return Response(
        msgspec.json.encode(body), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


HANDLERS: Final[dict[int | type[Exception], Any]] = {
    SpanledgerError: spanledger_problem,
    HTTPException: http_problem,
    Exception: unforeseen_problem,
}
