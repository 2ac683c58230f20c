"""The application: routes, error shape and the raw path."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
from litestar import Litestar, Request
from litestar.config.cors import CORSConfig
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.response import Redirect

from events import names
from events.errors import SpanledgerError
from events.log.socket import DoorClient
from events.metrics import REQUESTS
from projections.queries import Queries
from service.access.hosts import Hosts
from service.access.proxies import Proxies
from service.access.tokens import TokenStore
from service.api.alerts import Alerts
from service.api.asking import PLACE
from service.api.deciding import Deciding
from service.api.events import Events
from service.api.feed import Feed
from service.api.percepts import Percepts
from service.api.problems import HANDLERS, spanledger_problem
from service.api.routes import Answers
from service.api.system import Metrics, Probe, System, own_metrics
from service.api.writing import BODY_LIMIT_BYTES, Writing
from service.append.appender import Appender
from service.configuration.settings import Settings
from service.control.socket import socket_path
from service.policies.applying import Applying
from service.roles.declaration import needed_roles
from service.tempo.routes import Tempo
from service.traces.stored import StoredTraces
from service.web.acting.triage import TriageForm
from service.web.live import Live
from service.web.site import Site


class Application(Litestar):
    """Routes by the path as it was sent, so that a task id may hold encoded slashes, below the
    prefix of a proxy; refuses hosts that are none of ours before anything else."""

    queries: Queries
    feed: Feed
    live: Live
    policies: Applying
    hosts: Hosts
    proxies: Proxies

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        """Only what our handlers need. The others are for models of pydantic and attrs, whose
        loading was a fifth of the start; if Litestar renames this, they are loaded again."""
        return [*plugins, MsgspecDIPlugin()]

    async def end_streams(self) -> None:
        """End the live streams, which would never end by themselves."""
        self.live.close()
        await self.feed.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """See ASGI; counts each answer by its status."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        raw = scope.get("raw_path")
        if raw:
            scope["path"] = raw.partition(b"?")[0].decode("latin-1")
        place = scope[PLACE] = self.proxies.place(scope)
        scope["path"] = place.path or "/"

        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                REQUESTS.labels("query", "http", str(message["status"])).inc()
            await send(message)

        try:
            self.hosts.check(scope["headers"], scope["http_version"])
        except SpanledgerError as refused:
            answer = spanledger_problem(Request(scope), refused)
        else:
            if place.path:
                await super().__call__(scope, receive, counted)
                return
            # Links that lead on from a page need the slash; the last part alone is a safe link.
            answer = Redirect(f"./{place.prefix.rpartition('/')[2]}/", status_code=308)
        await answer.to_asgi_response(None, Request(scope))(scope, receive, counted)


def create_app(
    settings: Settings, tokens: TokenStore, *, probe: Probe, metrics: Metrics = own_metrics
) -> Application:
    """The application on a data folder.

    Args:
        probe, metrics: see `System`.
    """
    queries = Queries(settings.data, budget_s=settings.query_budget_s)
    feed = Feed(queries.log)
    appender = Appender(settings, lambda: DoorClient(socket_path(settings.data, "door")))
    policies = Applying(
        settings.data,
        settings.of_role("policies", None),
        lambda fact: appender.record(names.DEFAULT_TENANT, fact),
    )
    system = System(queries, tokens, needed_roles(settings), probe, metrics)

    traces = StoredTraces(settings.data, settings.query_budget_s)
    site = Site(settings, queries, tokens, system.missing, policies)

    @contextlib.asynccontextmanager
    async def living(started: Litestar) -> AsyncIterator[None]:
        yield
        policies.close()
        await anyio.to_thread.run_sync(site.verification.close)
        await app.end_streams()
        queries.close()
        traces.close()
        appender.close()

    app = Application(
        route_handlers=[
            *Answers(queries, tokens).routes(),
            *system.routes(),
            *site.routes(),
            *TriageForm(settings, appender, tokens, queries).routes(),
            *Tempo(traces, tokens).routes(),
            *Alerts(settings.data, tokens).routes(),
            *Writing(settings, appender, tokens, queries).routes(),
            *Deciding(settings, tokens, policies, queries).routes(),
            Events(queries.log, feed, tokens).route(),
            Percepts(queries, feed, tokens).route(),
        ],
        exception_handlers=HANDLERS,
        openapi_config=None,
        cors_config=_cors(settings),
        lifespan=[living],
        logging_config=None,
        request_max_body_size=BODY_LIMIT_BYTES,
    )
    app.queries, app.feed, app.policies, app.live = queries, feed, policies, site.live
    app.hosts = Hosts(settings.allowed_hosts, tokens.is_open)
    app.proxies = Proxies(settings.trusted_proxies, settings.root_path)
    return app


def _cors(settings: Settings) -> CORSConfig | None:
    """What pages of other origins may send; None where there are none."""
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST"],
        allow_headers=[
            "authorization",
            "content-type",
            "last-event-id",
            names.TENANT_HEADER,
            names.IDEMPOTENCY_HEADER,
        ],
    )
