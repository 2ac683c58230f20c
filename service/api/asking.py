"""What a request asks and for whom: its parameters, its path's arguments, its tenant."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import anyio
from litestar import Request

from events import names
from events.errors import SpanledgerError
from projections.query.parameters import TEXT_LIMIT
from projections.query.refusals import BadQuestion
from service.access import cookies
from service.access.hosts import require_own_origin
from service.access.proxies import Place
from service.access.tokens import Admission, Forbidden, Scope, TokenStore

QUERY_LIMIT_BYTES: Final = 60 << 10
_MOST_PARAMETERS: Final = 64
_SAFE: Final = ("GET", "HEAD")
AnyRequest = Request[Any, Any, Any]
PLACE: Final = "spanledger.place"
"""Where in the scope the `Place` of the request is."""


def place_of(request: AnyRequest) -> Place:
    """Where the request found the service; what links in its answer begin with."""
    place: Place = request.scope[PLACE]  # type: ignore[typeddict-item]
    return place


def parameters(request: AnyRequest) -> dict[str, str]:
    """The query string's parameters, each given once.

    Raises:
        BadQuestion: too long, no UTF-8, or one given twice.
    """
    query: bytes = request.scope.get("query_string", b"")
    if len(query) > QUERY_LIMIT_BYTES:
        raise BadQuestion([("query", f"longer than {QUERY_LIMIT_BYTES} bytes")])
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )  # fmt: skip
    except UnicodeDecodeError as exc:
        raise BadQuestion([("query", "not UTF-8, percent-encoded")]) from exc
    except ValueError as exc:
        raise BadQuestion([("query", f"more than {_MOST_PARAMETERS} parameters")]) from exc
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise BadQuestion([(name[:64], "given more than once")])
        found[name] = value
    return found


def arguments(request: AnyRequest, wanted: Iterable[str]) -> list[str]:
    """The parts of the path that name something, decoded; they may hold any character.

    Raises:
        BadQuestion: one is too long or no UTF-8.
    """
    values = []
    for name in wanted:
        try:
            value = unquote_to_bytes(request.scope["path_params"][name]).decode()
        except UnicodeDecodeError as exc:
            raise BadQuestion([(name, "not UTF-8, percent-encoded")]) from exc
        if len(value) > TEXT_LIMIT:
            raise BadQuestion([(name, f"longer than {TEXT_LIMIT} characters")])
        values.append(value)
    return values


async def tenant_of(request: AnyRequest, tokens: TokenStore, scope: Scope = "read") -> str:
    """The tenant that the request acts for; see `admitted`."""
    return (await admitted(request, tokens, scope)).tenant


async def is_allowed(request: AnyRequest, tokens: TokenStore, tenant: str) -> bool:
    """Whether the token is still good: it may have been revoked since, and nobody can say while
    the tokens cannot be read."""
    try:
        return await tenant_of(request, tokens) == tenant
    except SpanledgerError:
        return False


async def require_unbound(request: AnyRequest, tokens: TokenStore, what: str) -> None:
    """See to it that the request may read figures of all tenants together.

    Raises:
        Forbidden: its token is bound to a tenant; the message says what is needed for `what`.
    """
    if (await admitted(request, tokens)).is_bound:
        raise Forbidden(
            f"{what} tell of all tenants, and this token is bound to one: a token with scope read "
            "or admin that is bound to no tenant is needed"
        )


def require_own_page(request: AnyRequest, allowed_origins: Sequence[str]) -> None:
    """Refuse a write that a page of another site made a browser send.

    Raises:
        ForeignOrigin: see `service.access.hosts.require_own_origin`.
    """
    origin = place_of(request).origin
    require_own_origin(request.scope["headers"], origin, allowed_origins)


async def admitted(request: AnyRequest, tokens: TokenStore, scope: Scope = "read") -> Admission:
    """Who sends the request: by its headers or, where it changes nothing, by the cookies that a
    browser has from the sign-in page.

    Raises:
        Unauthenticated, Forbidden, BadInput, Unavailable: as `TokenStore.admit`.
    """
    said = request.cookies if request.method in _SAFE else {}
    return await _admitted(request, said, tokens, scope)


async def signed_in(request: AnyRequest, tokens: TokenStore, scope: Scope) -> Admission:
    """Who sends a form of one of our own pages, which its own secret has proved already: by
    cookies too.

    Raises:
        Unauthenticated, Forbidden, BadInput, Unavailable: as `TokenStore.admit`.
    """
    return await _admitted(request, request.cookies, tokens, scope)


async def _admitted(
    request: AnyRequest, said: Mapping[str, str], tokens: TokenStore, scope: Scope
) -> Admission:
    return await anyio.to_thread.run_sync(
        tokens.admit,
        request.headers.get("authorization") or said.get(cookies.TOKEN),
        scope,
        request.headers.get(names.TENANT_HEADER, said.get(cookies.TENANT)),
    )
