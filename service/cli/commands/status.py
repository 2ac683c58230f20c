"""`spanledger status`: the whole service on one screen."""

from pathlib import Path
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from events.errors import SpanledgerError
from service.cli.command import command
from service.cli.commands import forward, projections
from service.cli.options import Asking, Form
from service.cli.output.documents import Document, write
from service.cli.output.exits import Failed
from service.cli.output.render import console, grid, pairs, writing_on
from service.cli.source.folder import existing_folder
from service.cli.source.source import Source, open_source
from service.control.locks import is_held
from service.control.socket import NoAnswer, call, instances
from service.network.endpoints import SUPERVISOR, read_endpoints
from service.roles.declaration import ROLES

_PING_S: Final = 2.0


@command
def status(asking: Asking, form: Form) -> None:
    """Show the whole service: endpoints, roles, head of the log, lag of views and targets.

    With --url: what the service tells over HTTP.

    Examples:

        spanledger status

        spanledger status --watch
    """
    with open_source(asking) as source:
        folder = None if asking.url else existing_folder(asking.data)
        write(lambda: status_document(source, folder), form, draw_status)


def status_document(source: Source, data: Path | None) -> dict[str, Any]:
    """What is known of the service; a part that cannot be told has its reason in `problems`."""
    problems: list[str] = []

    def part(resource: str) -> dict[str, Any]:
        try:
            return source.ask(resource, {})
        except SpanledgerError as exc:
            problems.append(str(exc))
            return {}

    known = part("projections")
    try:
        head = source.ask("log/head", {})
    except Failed as exc:
        if not known:
            raise
        head = {}  # a token that is bound to a tenant may not see it
        problems.append(str(exc))
    document: dict[str, Any] = {
        "where": source.where,
        "head": head,
        "projections": known.get("items", []),
    }
    if data is not None:
        endpoints = read_endpoints(data)
        left_out = (endpoints or {}).get("left_out", {})
        problems += [f"port {name}: {reason}" for name, reason in left_out.items()]
        document |= {
            "serving": endpoints is not None,
            "endpoints": endpoints,
            "roles": _roles(data, problems),
            "forward": _targets(data, problems),
        }
    return document | {"problems": problems}


def _roles(data: Path, problems: list[str]) -> list[str]:
    """The roles that run; whichever does not answer is a problem."""
    names = [
        name for role in (SUPERVISOR, *ROLES) for name in sorted({role, *instances(data, role)})
    ]
    running = [name for name in names if is_held(data, name)]
    for role in running:
        if role == "forwarder":
            continue  # it is asked for its targets
        try:
            call(data, role, "ping", timeout_s=_PING_S)
        except NoAnswer as exc:
            problems.append(str(exc))
        except SpanledgerError:
            continue  # it begins or ends just now
    return running


def _targets(data: Path, problems: list[str]) -> list[dict[str, Any]]:
    if not (data / "forward.db").exists():
        return []
    try:
        targets: list[dict[str, Any]] = forward.ask_forwarder(data, "status")
    except SpanledgerError as exc:
        problems.append(str(exc))
        return []
    return targets


def draw_status(document: Document) -> RenderableType:
    """The service, then its projections, then its targets."""
    out = console()
    head = document["head"]
    facts: dict[str, Any] = {"service": document["where"]}
    if "serving" in document:
        serving = document["serving"]
        facts["serving"] = Text("yes", "green") if serving else Text("no", "yellow")
        facts |= {
            name: address
            for name, address in (document["endpoints"] or {}).items()
            if name not in ("version", "left_out")
        }
        facts["roles"] = document["roles"] or "none runs"
    if head:
        facts["head"] = f"{head['position']}  {head.get('committed_at') or ''}"
    parts: list[RenderableType] = [pairs(facts, writing_on(out))]
    for columns, items in (
        (projections.COLUMNS, document["projections"]),
        (forward.TARGETS, document.get("forward")),
    ):
        if items:
            parts += [Text(""), grid(columns, items, out)]
    parts += [Text(problem, style="red") for problem in document["problems"]]
    return Group(*parts)
