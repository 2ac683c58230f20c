"""The form on an error's page: what somebody decides of it, as a fact in the log."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import anyio
import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from events import names
from events.errors import Unavailable
from projections.endpoints import ENDPOINTS
from projections.queries import Queries
from projections.query.parameters import parse
from projections.query.refusals import BadQuestion, NotReached
from service.access.tokens import TokenStore
from service.api.asking import AnyRequest, arguments, place_of, signed_in
from service.append.appender import Appender
from service.append.triage import NewTriage, triage_of
from service.configuration.settings import Settings
from service.web.answers import lead_to
from service.web.forms import form_of

_ERROR: Final = next(each for each in ENDPOINTS if each.path == "errors/{fingerprint}")
_WAIT: Final = {"wait_s": "3"}
_AT_ONCE: Final = 4


class TriageForm:
    """Takes the form; answers once the decision is durable, and mostly once the page shows it."""

    def __init__(
        self, settings: Settings, appender: Appender, tokens: TokenStore, queries: Queries
    ) -> None:
        self._origins = settings.cors_origins
        self._appender = appender
        self._tokens = tokens
        self._queries = queries
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    def routes(self) -> list[HTTPRouteHandler]:
        """The one handler."""

        async def decide(request: Request[Any, Any, Any]) -> Response[Any]:
            return await self._decide(request)

        return [post("/errors/{fingerprint:str}/triage", name="triage form")(decide)]

    async def _decide(self, request: AnyRequest) -> Response[Any]:
        fields = await form_of(request, self._origins)
        who = await signed_in(request, self._tokens, "write")
        (fingerprint,) = arguments(request, ["fingerprint"])

        def append() -> str:
            error: Any = self._queries.ask(
                _ERROR, parse(_ERROR.asks, {}), [fingerprint], tenant=who.tenant
            )
            new = decision_of(fields, error)
            fact = triage_of(new, who.token or names.ACTOR_LOCAL, None, error)
            position = self._appender.record(who.tenant, fact).position
            path, asked = f"errors/{error.fingerprint}", {"min_position": str(position), **_WAIT}
            with suppress(NotReached, Unavailable):  # it is durable; a page shows it in a while
                self._queries.answer(path, asked, tenant=who.tenant)
            return path

        path = await anyio.to_thread.run_sync(append, limiter=self._limiter)
        return lead_to(f"{place_of(request).root}{path}#triage")


def decision_of(fields: Mapping[str, str], error: Any) -> NewTriage:
    """What a form decides of an error as it stands: what it leaves as it is, it does not say.

    Raises:
        BadQuestion: a field is none; the message names it.
    """
    said: dict[str, str] = {}
    if action := fields.get("action"):
        said["action"] = action
    if action == "ignore" and (until := fields.get("until", "").strip()):
        said["until"] = f"{until}T00:00:00Z" if len(until) == len("2027-01-31") else until
    for name in ("note", "owner"):
        text = fields.get(name, "").replace("\r\n", "\n").strip()
        if name in fields and text != (getattr(error, name) or ""):
            said[name] = text
    try:
        return msgspec.convert(said, NewTriage)
    except msgspec.ValidationError as exc:
        raise BadQuestion([("form", str(exc))]) from exc
