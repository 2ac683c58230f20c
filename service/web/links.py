"""Where pages are: links from any page to any other, whatever prefix a proxy serves us under."""

import re
from typing import Any, Final
from urllib.parse import quote, urlencode

from projections.views.spans.tokens import text_of
from service.access.proxies import Place
from service.web.assets import ASSETS

_KEY: Final = re.compile(r"[\w./-]+")
_LONGEST: Final = 500


def quoted(text: str) -> str:
    """An id as one part of a path, slashes and dots at its ends too."""
    return quote(text, safe="").replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


class Links:
    """Links of one answer. `root` leads to the start page and ends with a slash."""

    def __init__(self, place: Place) -> None:
        self.root = place.root
        self.path = place.path
        self.base = place.origin + place.prefix

    def to(self, path: str, **query: Any) -> str:
        """A path below the start page; parameters that are None or empty are left out."""
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return self.root + path + (f"?{urlencode(given)}" if given else "")

    def asset(self, name: str) -> str:
        """A file of `service/web/static`, under the name that its content gives it."""
        return f"{self.root}static/{ASSETS.names[name]}"

    def task(self, task_id: str) -> str:
        """The page of a task; ids that a client would resolve as paths are asked for by list."""
        if task_id in (".", ".."):
            return self.to("tasks", task=task_id)
        return self.to(f"tasks/{quoted(task_id)}")

    def run(self, task_id: str, run_id: str) -> str:
        """The page of a run."""
        return self.to(f"tasks/{quoted(task_id)}/runs/{quoted(run_id)}")

    def attempt(self, attempt: Any) -> str:
        """The page of an attempt, with what finds it at once."""
        return self.to(
            f"attempts/{attempt.attempt_id}", task=attempt.task_id, run=attempt.run_id
        )  # fmt: skip

    def saying(self, key: str, value: Any) -> str:
        """The search for attempts that say an attribute; empty where a search cannot."""
        text = text_of(value)
        if not _KEY.fullmatch(key) or not text or len(text) > _LONGEST:
            return ""
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return self.to("search", q=f'@{key}:"{escaped}"')

    def trace(self, trace_id: str) -> str:
        """The page of a trace."""
        return self.to(f"traces/{trace_id}")

    def error(self, fingerprint: str) -> str:
        """The page of an error pattern."""
        return self.to(f"errors/{fingerprint}")
