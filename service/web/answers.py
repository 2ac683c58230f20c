"""Pages as responses: what a browser may do with them, and which cookies they leave."""

from collections.abc import Iterable
from typing import Any, Final, Literal

from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from service.access.proxies import Place

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
KEPT_S: Final = 30 * 86400
_SEE_OTHER: Final = 303


def page(text: str, status: int = 200, *, cookies: Iterable[Cookie] = ()) -> Response[Any]:
    """A page."""
    return Response(
        text, status_code=status, media_type=MediaType.HTML, headers=HEADERS, cookies=list(cookies)
    )


def lead_to(link: str, *, cookies: Iterable[Cookie] = ()) -> Response[Any]:
    """What follows a form: the browser asks for `link` next."""
    return Redirect(
        link, status_code=_SEE_OTHER, cookies=list(cookies), headers={"cache-control": "no-store"}
    )


def cookie(
    place: Place, name: str, value: str, *, same_site: Literal["lax", "strict"] = "lax"
) -> Cookie:
    """A cookie that no script can read; an empty value deletes it.

    `lax`: links from elsewhere find who follows them signed in.
    """
    return Cookie(
        key=name, value=value, path=f"{place.prefix}/", max_age=KEPT_S if value else 0,
        secure=place.origin.startswith("https:"), httponly=True, samesite=same_site,
    )  # fmt: skip


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a browser asks for something to show, and not a program for data."""
    return "text/html" in request.headers.get("accept", "")
