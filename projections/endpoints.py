"""Every question that can be asked, collected from the views' folders.

The HTTP API, its OpenAPI document and the CLI's local mode are all made from this table, so they
cannot differ. A view adds to it by having a `question.py` with `ENDPOINTS`.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Final
from urllib.parse import quote, unquote

from projections import mapping_questions, views
from projections.query import status
from projections.query.endpoint import Endpoint


def _collected() -> Iterator[Endpoint]:
    for name in views.names():
        if find_spec(f"{views.__name__}.{name}.question") is not None:
            yield from import_module(f"{views.__name__}.{name}.question").ENDPOINTS
    yield status.ENDPOINT
    yield from mapping_questions.ENDPOINTS


ENDPOINTS: Final = tuple(_collected())


def path_of(*parts: str) -> str:
    """The path of these parts below /api/v1: `path_of("traces", trace_id)`.

    Everybody who asks by a path that names something makes it here: what is named is
    percent-encoded, so that an id with a slash in it leads nowhere else.
    """
    return "/".join(_encoded(part) for part in parts)


def _encoded(part: str) -> str:
    if part in (".", ".."):  # a client would take them for steps of the path
        return part.replace(".", "%2E")
    return quote(part, safe="")


def route(resource: str) -> tuple[Endpoint, tuple[str, ...]] | None:
    """The endpoint of a path below /api/v1 and its arguments; a task id may hold slashes, even
    where nobody encoded them."""
    parts = [unquote(part) for part in resource.strip("/").split("/")]
    for endpoint in ENDPOINTS:  # a name of its own goes before an argument
        if parts == endpoint.path.split("/"):
            return endpoint, ()
    for endpoint in sorted(ENDPOINTS, key=lambda e: e.path.count("/"), reverse=True):
        pattern = endpoint.path.split("/")
        tail = len(pattern) - 2
        if "{" in endpoint.path and (
            parts[0] == pattern[0]
            and len(parts) >= len(pattern)
            and (parts[len(parts) - tail :] == pattern[2:])
        ):
            return endpoint, ("/".join(parts[1 : len(parts) - tail]),)
    return None
