"""The forms of the ledger's page: what an operator has done to the log's views, by whom."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import anyio
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from events import names
from events.errors import BadInput, Unavailable
from service.access.tokens import Forbidden, TokenStore
from service.api.asking import AnyRequest, arguments, place_of, signed_in
from service.configuration.settings import Settings
from service.control.socket import call
from service.web.acting.verification import Verification
from service.web.answers import lead_to
from service.web.forms import form_of

_PATIENCE_S: Final = 15.0
_AT_ONCE: Final = 2
_log = logging.getLogger(__name__)

Fields = Mapping[str, str]


class Care:
    """Takes the forms. They ask the roles of the service, over their control sockets; what they
    begin goes on when the answer is there, and the page tells how far it is."""

    def __init__(self, settings: Settings, tokens: TokenStore, verification: Verification) -> None:
        self._data = settings.data
        self._origins = settings.cors_origins
        self._tokens = tokens
        self._verification = verification
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    def routes(self) -> list[HTTPRouteHandler]:
        """The one handler."""

        async def act(request: Request[Any, Any, Any]) -> Response[Any]:
            return await self._act(request)

        return [post("/ledger/{action:str}", name="ledger form")(act)]

    async def _act(self, request: AnyRequest) -> Response[Any]:
        fields = await form_of(request, self._origins)
        who = await signed_in(request, self._tokens, "admin")
        if who.is_bound:
            raise Forbidden("this is about all tenants, and this token is bound to one")
        (action,) = arguments(request, ["action"])
        actor = who.token or names.ACTOR_LOCAL
        if action == "verify":
            self._verification.begin(actor)
        else:
            perform = _ACTIONS.get(action)
            if perform is None:
                known = ", ".join(sorted((*_ACTIONS, "verify")))
                raise BadInput(f"no action {action[:80]!r}; known: {known}")
            await anyio.to_thread.run_sync(perform, self._data, fields, limiter=self._limiter)
        _log.info("asked for on a page", extra={"action": action, "actor": actor})
        return lead_to(f"{place_of(request).root}ledger")


def _projections(fields: Fields) -> list[str] | None:
    """The projection that a form names; None: all."""
    name = fields.get("projection", "")
    return [name] if name else None


def _rebuild(data: Path, fields: Fields) -> None:
    """Begin a rebuild; it goes on in the projector when nobody listens any more."""

    def begun(told: Any) -> None:
        raise _Begun

    try:
        call(
            data, "projector", "rebuild", timeout_s=_PATIENCE_S, on_progress=begun,
            names=_projections(fields),
        )  # fmt: skip
    except _Begun:
        return


class _Begun(Exception):
    """It told that it is under way."""


def _cancel(data: Path, fields: Fields) -> None:
    call(data, "projector", "cancel", timeout_s=_PATIENCE_S)


def _pause(data: Path, fields: Fields) -> None:
    call(data, "projector", "pause", timeout_s=_PATIENCE_S, names=_projections(fields))


def _resume(data: Path, fields: Fields) -> None:
    call(data, "projector", "resume", timeout_s=_PATIENCE_S, names=_projections(fields))


def _requeue(data: Path, fields: Fields) -> None:
    """Apply a dead letter again, or all."""
    call(data, "projector", "requeue", timeout_s=_PATIENCE_S, id=_number(fields, "id"))


def _discard(data: Path, fields: Fields) -> None:
    """Keep a dead letter's event out of its view for good."""
    number = _number(fields, "id")
    if number is None:
        raise BadInput("discard needs the id of a dead letter")
    call(data, "projector", "discard", timeout_s=_PATIENCE_S, id=number)


def _number(fields: Fields, name: str) -> int | None:
    text = fields.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadInput(f"{name}: expected a whole number, not {text[:80]!r}")
    return int(text)


_ACTIONS: Final[Mapping[str, Callable[[Path, Fields], None]]] = {
    "rebuild": _rebuild, "cancel": _cancel, "pause": _pause, "resume": _resume,
    "requeue": _requeue, "discard": _discard,
}  # fmt: skip


def asked(data: Path, role: str, op: str) -> Any:
    """What a role says of itself, or None while it does not run or has no time."""
    try:
        return call(data, role, op, timeout_s=_GLANCE_S)
    except Unavailable:
        return None


_GLANCE_S: Final = 1.0
