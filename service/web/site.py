"""One route for each page, and for the files that pages load."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import anyio
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from events.errors import NotFound
from projections.queries import Queries
from service.access import cookies
from service.access.tokens import Admission, TokenStore, Unauthenticated
from service.api.asking import (
    AnyRequest,
    admitted,
    arguments,
    is_allowed,
    parameters,
    place_of,
)
from service.configuration.settings import Settings
from service.policies.applying import Applying
from service.web import export
from service.web.acting.care import Care
from service.web.acting.verification import Verification
from service.web.answers import cookie, lead_to, page, wants_page
from service.web.assets import ASSETS
from service.web.forms import secret_of
from service.web.kept import Kept
from service.web.links import Links
from service.web.live import Live
from service.web.pages import (
    alerts,
    attempt,
    attempts,
    error,
    errors,
    executors,
    health,
    ledger,
    live,
    overview,
    run,
    runs,
    search,
    task,
    tasks,
    trace,
)
from service.web.rendering import render
from service.web.sessions import Sessions, theme_of
from service.web.visit import Moved, Page, Said, Shown, Table, Visit

ALL: Final[tuple[Page, ...]] = (
    *overview.PAGES,
    *live.PAGES,
    *tasks.PAGES,
    *task.PAGES,
    *run.PAGES,
    *runs.PAGES,
    *attempts.PAGES,
    *attempt.PAGES,
    *trace.PAGES,
    *errors.PAGES,
    *error.PAGES,
    *search.PAGES,
    *alerts.PAGES,
    *executors.PAGES,
    *health.PAGES,
    *ledger.PAGES,
)
_AT_ONCE: Final = 16
_FILES_AT_ONCE: Final = 2
_MISSING: Final = "missing"
_MISSING_KEPT_S: Final = 2.0
_FOR_A_YEAR: Final = "public, max-age=31536000, immutable"
_UNAUTHORIZED: Final = 401


class Site:
    """Serves the pages; they are made in worker threads, at most so many at once.

    Args:
        missing: names the parts of the service that do not answer now.
        policies: those in force.
    """

    def __init__(
        self,
        settings: Settings,
        queries: Queries,
        tokens: TokenStore,
        missing: Callable[[], list[str]],
        policies: Applying,
    ) -> None:
        self._settings = settings
        self._queries = queries
        self._tokens = tokens
        self._missing = missing
        self._policies = policies
        self._sessions = Sessions(settings, tokens)
        self.live = Live(queries, tokens)
        self._kept = Kept()
        self.verification = Verification(settings.data)
        self._care = Care(settings, tokens, self.verification)
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        self._files = anyio.CapacityLimiter(_FILES_AT_ONCE)

    def routes(self) -> list[HTTPRouteHandler]:
        """All handlers."""

        async def asset(request: Request[Any, Any, Any]) -> Response[bytes]:
            return _asset(request)

        pages = [self._route(each) for each in ALL]
        files = get("/static/{name:str}", name="static")(asset)
        return [*pages, files, self.live.route(), *self._sessions.routes(), *self._care.routes()]

    def _route(self, each: Page) -> HTTPRouteHandler:
        wanted = re.findall(r"{(\w+)}", each.path)

        async def answer(request: Request[Any, Any, Any]) -> Response[Any]:
            return await self._answer(each, wanted, request)

        path = re.sub(r"{(\w+)}", r"{\1:str}", each.path)
        return get(f"/{path}", name=f"page {each.path}")(answer)

    async def _answer(
        self, each: Page, wanted: Sequence[str], request: AnyRequest
    ) -> Response[Any]:
        try:
            who = await admitted(request, self._tokens)
        except Unauthenticated:
            is_start = not each.path
            if not is_start and not wants_page(request):
                raise
            status = 200 if is_start else _UNAUTHORIZED
            return await self._sessions.sign_in_page(request, status=status)
        visit = self._visit(request, who, wanted)

        async def still() -> bool:
            return await is_allowed(request, self._tokens, who.tenant)

        def shown() -> Response[Any]:
            if each.kept_s:
                return page(
                    self._kept.of(_key(each, visit), each.kept_s, lambda: _part(each, visit))
                )
            found = each.show(visit)
            if isinstance(found, Moved):
                return lead_to(found.link)
            if isinstance(found, Table):
                return export.file_of(found, self._files, still)
            leaves = [cookie(visit.place, cookies.FORM, visit.csrf, same_site="strict")]
            return page(_text(each, visit, found), cookies=leaves)

        return await anyio.to_thread.run_sync(shown, limiter=self._limiter)

    def _missing_now(self) -> list[str]:
        """As `missing`; a part that does not answer keeps a page waiting once, not each."""
        text = self._kept.of(_MISSING, _MISSING_KEPT_S, lambda: " ".join(self._missing()))
        return text.split()

    def _visit(self, request: AnyRequest, who: Admission, wanted: Sequence[str]) -> Visit:
        place = place_of(request)
        said = Said((name, value) for name, value in parameters(request).items() if value.strip())
        return Visit(
            self._queries, self._settings, self._policies, who, place, Links(place), said,
            arguments(request, wanted), secret_of(request), theme_of(request),
            missing=self._missing_now, verification=self.verification,
        )  # fmt: skip


def _key(each: Page, visit: Visit) -> tuple[object, ...]:
    """What a kept page depends on."""
    said = tuple(sorted(visit.parameters.items()))
    links = visit.links
    return each.path, visit.tenant, visit.who.is_bound, links.root, links.base, said


def _part(each: Page, visit: Visit) -> str:
    found = each.show(visit)
    assert isinstance(found, Shown)
    return _text(each, visit, found)


def _text(each: Page, visit: Visit, found: Shown) -> str:
    values = {
        "title": found.title,
        "at": each.path.partition("/")[0],
        "who": visit.who,
        "csrf": visit.csrf,
        "theme": visit.theme,
        "now_ns": visit.now_ns,
        **found.values,
    }
    return render(found.template, visit.links, values)


def _asset(request: AnyRequest) -> Response[bytes]:
    """A file of `service/web/static`, packed where the browser can unpack it."""
    found = ASSETS.get(request.path_params["name"])
    if found is None:
        raise NotFound("there is no such file; load the page again")
    headers = {
        "cache-control": _FOR_A_YEAR,
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(found.packed, media_type=found.media_type, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)
