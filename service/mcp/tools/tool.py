"""What a tool is, and what tools share."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

import msgspec
from msgspec import Meta

from events.errors import NotFound, Unavailable
from events.times import rfc3339
from projections.query.times import parse_moment

Document = dict[str, Any]
TEXT_LIMIT: Final = 300
"""Characters of a message that is one of many in an answer."""
LONG_TEXT_LIMIT: Final = 1500
_SIMILAR: Final = 5

TaskId = Annotated[str, Meta(min_length=1, max_length=32_768, description="Exact id of a task.")]
RunId = Annotated[
    str, Meta(min_length=1, max_length=32_768, description="Id of a run of the task.")
]
Since = Annotated[
    str, Meta(max_length=64, description="From then on: RFC 3339, or an age such as 30m, 24h, 7d.")
]
Cursor = Annotated[
    str, Meta(max_length=4096, description="`cursor` of the answer that this call continues.")
]
Fingerprint = Annotated[
    str, Meta(max_length=128, description="Of an error pattern; every error names its own.")
]


class Source(Protocol):
    """Answers questions in the words of the HTTP API, for one tenant."""

    def ask(self, resource: str, filters: Mapping[str, Any]) -> Document:
        """The document at `resource` (below /api/v1, what it names encoded: `path_of`); filters
        that are None don't count.

        Raises:
            NotFound, Rejected, Unavailable: as the API refuses.
        """
        ...


class TookTooLong(Unavailable):
    """A call was not answered in its time."""


class Timed:
    """A source that refuses once the time of the call is over."""

    def __init__(self, source: Source, seconds: float) -> None:
        self._source = source
        self._ends_s = time.monotonic() + seconds

    def ask(self, resource: str, filters: Mapping[str, Any]) -> Document:
        """See `Source.ask`."""
        if time.monotonic() > self._ends_s:
            raise TookTooLong("the call took too long; ask for less: a task, a shorter time")
        return self._source.ask(resource, filters)


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Args:
        takes: its arguments; bounds and sentences are the schema that clients see.
        run: `run(source, arguments, limit)` gives the answer with at most `limit` items in its
            longest list. It begins with `summary`, and where there is more than it tells, `more`
            says how to go on.
        limit: how many items there are at most where the arguments do not say it.
    """

    name: str
    title: str
    description: str
    takes: type[msgspec.Struct]
    run: Callable[[Source, Any, int], Document]
    limit: int = 20


def moment(text: str) -> str | None:
    """A time or an age as the API takes it.

    Raises:
        BadInput: it is neither.
    """
    return rfc3339(parse_moment(text, time.time_ns()))


def cut(text: str | None, limit: int = TEXT_LIMIT) -> str | None:
    """`text` of at most `limit` characters; its end is left out, visibly."""
    if text is None or len(text) <= limit:
        return text
    return f"{text[: limit - 1]}…"


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 attempt`, `2 attempts`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def require_task(source: Source, task_id: str | None) -> None:
    """See to it that a task is known, where nothing was found of it; all tasks are.

    Raises:
        NotFound: it is not, which is another thing than that it did nothing of the kind.
    """
    if task_id is not None and not source.ask("tasks", {"task": task_id, "limit": 1})["items"]:
        raise unknown_task(source, task_id)


def unknown_task(source: Source, task_id: str) -> NotFound:
    """What to tell of a task that is not known: the ids that begin like it."""
    found: list[str] = []
    for length in (len(task_id), len(task_id) // 2, 1):
        if prefix := task_id[:length]:
            items = source.ask("tasks", {"q": prefix, "limit": _SIMILAR})["items"]
            found = [item["task_id"] for item in items]
        if found:
            break
    hint = f"; ids that begin alike: {', '.join(map(repr, found))}" if found else ""
    return NotFound(f"no task {cut(task_id, 200)!r}{hint}")
