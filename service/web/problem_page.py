"""Problems as pages: what was wrong and what to do, in the place of a page that was asked for."""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from litestar import Request, Response

from service.access.proxies import Place
from service.web.answers import page, wants_page
from service.web.links import Links
from service.web.rendering import render
from service.web.sessions import theme_of

_ADVICE: Final = {
    400: "Correct what is named here in the page's address, or leave it out.",
    401: "Sign in with a token that this service knows.",
    403: "Ask whoever runs this service for a token that may.",
    404: "It may have another id, belong to another tenant, or not have arrived yet.",
    405: "This address only shows, or only takes what a form sends.",
    421: "Allow the name with the setting that is named here, or use localhost.",
    500: "The service's log says more. What was acknowledged is safe in the log of events.",
    503: "Load the page again in a moment; the overview tells which part does not answer.",
}
_DAMAGED: Final = (
    "Part of the log cannot be read; lists and figures, which come from the views, still can. "
    "Verify the log on the ledger's page or with “spanledger log verify”, which say where it "
    "breaks, and put back a backup: docs/operating.md says how."
)
_IDS: Final = ("attempt_id", "trace_id")
_PARTS: Final = re.compile(r"[./:_\s-]")
_API: Final = ("/api/", "/openapi.json", "/metrics")


def problem_page(
    request: Request[Any, Any, Any], place: Place, problem: Any
) -> Response[Any] | None:
    """The page for a `service.api.problems.Problem`; None where a program asked."""
    if place.path.startswith(_API) or not wants_page(request):
        return None
    links = Links(place)
    values = {
        "title": problem.title, "problem": problem, "advice": _advice(problem),
        "elsewhere": list(_elsewhere(links)) if _is_wrong_id(problem) else [],
        "theme": theme_of(request),
        "sought": request.query_params.get("q", "") if place.path.rstrip("/") == "/search" else "",
    }  # fmt: skip
    return page(render("problem.html.j2", links, values), problem.status)


def _advice(problem: Any) -> str:
    if problem.type.endswith(":damaged"):
        return _DAMAGED
    return _ADVICE.get(problem.status, "")


def _is_wrong_id(problem: Any) -> bool:
    return problem.status == 404 or any(error.parameter in _IDS for error in problem.errors)


def _elsewhere(links: Links) -> Iterator[tuple[str, str]]:
    """Where the thing may be found that the address names, or others like it."""
    kind, *names = [unquote(part) for part in links.path.strip("/").split("/")]
    if not names or kind not in ("attempts", "errors", "runs", "tasks", "traces"):
        return
    if len(names) > 1 and kind == "tasks":
        yield "All runs of this task", links.task(names[0])
    yield "Search for this id everywhere", links.to("search", q=names[-1])
    beginning = _PARTS.split(names[0])[0]
    if kind == "tasks" and beginning:
        yield f"Tasks that begin with {beginning[:40]}", links.to("tasks", q=beginning)
    elif kind != "traces":
        yield f"All {kind}", links.to(kind)
