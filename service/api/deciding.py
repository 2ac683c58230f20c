"""Policies over HTTP: which are in force, and what they say of a failed attempt."""

from pathlib import Path
from typing import Annotated, Any, Final

import anyio
import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from events.times import rfc3339
from projections.policies.asking import DecideQuestion
from projections.policies.resolving import said
from projections.queries import Queries
from projections.query.records import Ns, Rfc3339
from projections.query.refusals import BadQuestion
from service.access.tokens import Admission, TokenStore
from service.api.asking import AnyRequest, admitted, parameters, require_own_page
from service.api.routes import PREFIX
from service.api.writing import BODY_LIMIT_BYTES, json_body, parsed
from service.configuration.settings import Settings
from service.otlp.decompression import decompress
from service.policies.applying import Applying
from service.policies.deciding import Decided, answer
from service.policies.history import Histories

POLICIES: Final = "policies"
DECIDE: Final = "policies/decide"
_AT_ONCE: Final = 8
_NO_STORE: Final = {"cache-control": "no-store"}


class PolicyRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of the policies in force."""

    id: str
    when: Annotated[
        dict[str, list[str]], Meta(description="What it is for; of each list one must hold")
    ]
    settings: Annotated[dict[str, Any], Meta(description="What it says, by names of settings")]
    file: str
    line: int


class PoliciesInForce(msgspec.Struct, frozen=True, kw_only=True):
    """The policies in force: rules, the strongest first."""

    digest: Annotated[str, Meta(description="Their version")]
    file: Annotated[str | None, Meta(description="Where they were read; null: the shipped ones")]
    applied_at: Rfc3339 | None
    applied_ns: Ns | None
    actor: Annotated[str | None, Meta(description="Who applied them")]
    items: list[PolicyRule]


class Deciding:
    """Serves what policies say; decisions are computed in worker threads."""

    def __init__(
        self, settings: Settings, tokens: TokenStore, applying: Applying, queries: Queries
    ) -> None:
        self._origins = settings.cors_origins
        self._tokens = tokens
        self._applying = applying
        self._verdicts = queries.verdicts
        self._histories = Histories(queries)
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    def routes(self) -> list[HTTPRouteHandler]:
        """The list, and the decision."""

        async def policies(request: Request[Any, Any, Any]) -> Response[bytes]:
            who = await admitted(request, self._tokens)
            _require_none(request)
            return _answer(in_force(self._applying, who))

        async def decide(request: Request[Any, Any, Any]) -> Response[bytes]:
            return await self._decide(request)

        return [
            get(f"{PREFIX}/{POLICIES}", name=POLICIES)(policies),
            post(f"{PREFIX}/{DECIDE}", name=DECIDE, status_code=200)(decide),
        ]

    async def _decide(self, request: AnyRequest) -> Response[bytes]:
        require_own_page(request, self._origins)
        who = await admitted(request, self._tokens)
        _require_none(request)
        body = await json_body(request)
        coding = ",".join(request.headers.getall("content-encoding", []))

        def decided() -> Decided:
            content = decompress(coding, body, BODY_LIMIT_BYTES)
            question = parsed(content, DecideQuestion)
            history = self._histories.of(who.tenant)
            return answer(
                question, self._applying.policies, self._verdicts.classifier(), chances=history,
                look=history.look, past=history.action,
            )  # fmt: skip

        return _answer(await anyio.to_thread.run_sync(decided, limiter=self._limiter))


def _require_none(request: AnyRequest) -> None:
    if unknown := [(name, "no parameters are known here") for name in parameters(request)]:
        raise BadQuestion(unknown)


def _answer(content: msgspec.Struct) -> Response[bytes]:
    return Response(msgspec.json.encode(content), media_type=MediaType.JSON, headers=_NO_STORE)


def in_force(applying: Applying, who: Admission) -> PoliciesInForce:
    """The policies in force, as they are told: who may see one tenant is told names of files, and
    not where the service keeps them."""
    policies, applied = applying.policies, applying.applied

    def told(file: str) -> str:
        return Path(file).name if who.is_bound else file

    return PoliciesInForce(
        digest=policies.digest,
        file=None if applied is None else told(applied.file),
        applied_at=None if applied is None else rfc3339(applied.applied_ns),
        applied_ns=None if applied is None else applied.applied_ns,
        actor=None if applied is None else applied.actor,
        items=[
            PolicyRule(
                id=placed.rule.id, when=dict(placed.rule.when.asked()),
                settings=dict(said(placed.rule)), file=told(placed.file), line=placed.line,
            )
            for placed in policies.strongest_first()
        ],
    )  # fmt: skip
