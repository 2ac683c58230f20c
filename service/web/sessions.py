"""Signing in and out, and choosing a tenant: what a browser is told once and then says itself."""

from typing import Any, Final

import anyio
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from service.access import cookies
from service.access.tokens import Forbidden, TokenStore, Unauthenticated, check_tenant
from service.api.asking import place_of
from service.configuration.settings import Settings
from service.web.answers import cookie, lead_to, page
from service.web.forms import form_of, secret_of
from service.web.links import Links
from service.web.rendering import render

_UNAUTHORIZED: Final = 401


class Sessions:
    """Serves the forms about who asks."""

    def __init__(self, settings: Settings, tokens: TokenStore) -> None:
        self._settings = settings
        self._tokens = tokens

    def routes(self) -> list[HTTPRouteHandler]:
        """All handlers."""

        async def sign_in_page(request: Request[Any, Any, Any]) -> Response[Any]:
            return await self.sign_in_page(request, status=200)

        async def sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
            return await self._sign_in(request)

        async def sign_out(request: Request[Any, Any, Any]) -> Response[Any]:
            await form_of(request)
            gone = [cookie(place_of(request), name, "") for name in (cookies.TOKEN, cookies.TENANT)]
            return lead_to(place_of(request).root, cookies=gone)

        async def choose(request: Request[Any, Any, Any]) -> Response[Any]:
            name = check_tenant((await form_of(request)).get("tenant", "").strip())
            place = place_of(request)
            return lead_to(place.root, cookies=[cookie(place, cookies.TENANT, name)])

        return [
            get("/sign-in", name="sign-in page")(sign_in_page),
            post("/sign-in", name="sign-in")(sign_in),
            post("/sign-out", name="sign-out")(sign_out),
            post("/tenant", name="tenant")(choose),
        ]

    async def sign_in_page(
        self, request: Request[Any, Any, Any], *, status: int, wrong: str = "", then: str = ""
    ) -> Response[Any]:
        """The form that asks for a token; it leads back to the page that was asked for."""
        place, secret = place_of(request), secret_of(request)
        asked = request.scope["path"].removeprefix("/")
        query = request.scope["query_string"].decode("latin-1")
        if not then and asked != "sign-in":
            then = asked + (f"?{query}" if query else "")

        def text() -> str:
            values = {
                "title": "Sign in", "csrf": secret, "next": then, "wrong": wrong,
                "theme": theme_of(request),
            }  # fmt: skip
            return render("sign_in.html.j2", Links(place), values)

        leaves = [cookie(place, cookies.FORM, secret, same_site="strict")]
        return page(await anyio.to_thread.run_sync(text), status, cookies=leaves)

    async def _sign_in(self, request: Request[Any, Any, Any]) -> Response[Any]:
        fields = await form_of(request)
        token, then = fields.get("token", "").strip(), _inside(fields.get("next", ""))
        try:
            who = await anyio.to_thread.run_sync(self._tokens.admit, token or None, "read", None)
        except (Unauthenticated, Forbidden) as exc:
            told = str(exc).partition(";")[0]
            return await self.sign_in_page(request, status=_UNAUTHORIZED, wrong=told, then=then)
        place = place_of(request)
        kept = [cookie(place, cookies.TOKEN, token)]
        if who.is_bound:  # a tenant that was chosen before would have every page refused
            kept.append(cookie(place, cookies.TENANT, ""))
        return lead_to(place.root + then, cookies=kept)


def theme_of(request: Request[Any, Any, Any]) -> str:
    """The theme that the reader chose; empty: that of the system."""
    chosen = request.cookies.get(cookies.THEME, "")
    return chosen if chosen in ("light", "dark") else ""


def _inside(path: str) -> str:
    """A path below our start page; anything that could lead elsewhere is left out."""
    is_safe = path.isprintable() and not path.startswith(("/", "\\", ".")) and "//" not in path
    return path if is_safe and ":" not in path.partition("?")[0].partition("/")[0] else ""
