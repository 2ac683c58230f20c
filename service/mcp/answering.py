"""Calling a tool: its arguments checked, its answer made to fit.

Pure but for what the source does. An answer is at most `MOST_BYTES` of JSON: lists are made
shorter first (by asking again for less, so that what the answer says of going on is right), then
texts. An id is told whole or not at all: a part of one names nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from events.errors import BadInput
from projections.query.parameters import parse
from projections.query.refusals import BadQuestion
from service.mcp.tools.comparison import TOOL as COMPARE_ATTEMPTS
from service.mcp.tools.executors import TOOL as RECOMMEND_EXECUTOR
from service.mcp.tools.explanation import TOOL as EXPLAIN_FAILURE
from service.mcp.tools.failures import TOOL as TASKS_LAST_FAILED
from service.mcp.tools.figures import TOOL as TASK_STATS
from service.mcp.tools.listing import TOOL as TASKS_LIST
from service.mcp.tools.patterns import TOOL as ERROR_PATTERN
from service.mcp.tools.tool import Document, Source, Tool, cut, moment
from service.mcp.tools.trace import TOOL as TASKS_BY_TRACE

MOST_BYTES: Final = 48 << 10
"""Of an answer's JSON: some 14,000 tokens."""
_SHORTER: Final = (200, 80)
"""Characters of each text, where one item alone is too much."""
_FEWER: Final = 3
"""Items of each list, where short texts are too much."""
_IDS: Final = frozenset({
    "id", "task_id", "task_ids", "run_id", "trace_id", "span_id", "fingerprint", "stack_hash",
    "executor", "example",
})  # fmt: skip
"""What names something, to be asked for by it."""
_WHOLE: Final = _IDS | {"cursor", "more"}

TOOLS: Final[dict[str, Tool]] = {
    tool.name: tool
    for tool in (
        TASKS_LIST, TASKS_BY_TRACE, TASKS_LAST_FAILED, ERROR_PATTERN, EXPLAIN_FAILURE,
        RECOMMEND_EXECUTOR, TASK_STATS, COMPARE_ATTEMPTS,
    )
}  # fmt: skip
"""Every tool by its name, in the order in which they are told."""


def schema_of(tool: Tool) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments."""
    _, components = msgspec.json.schema_components([tool.takes])
    schema = dict(components[tool.takes.__name__])
    schema.pop("title", None)
    return schema | {"additionalProperties": False}


def answer(
    name: str, arguments: Mapping[str, Any], source: Source, most_bytes: int = MOST_BYTES
) -> Document:
    """The answer of a tool: `summary`, `truncated`, `more`, then what it tells.

    Raises:
        BadInput: there is no such tool, or arguments are wrong; the message names each.
        NotFound, Unavailable: as the source says.
    """
    tool = TOOLS.get(name)
    if tool is None:
        raise BadInput(f"no tool {name[:80]!r}; there are {', '.join(TOOLS)}")
    asked = _asked(tool, {k: v for k, v in arguments.items() if v is not None})
    wanted = limit = getattr(asked, "limit", tool.limit)
    while True:
        document = tool.run(source, asked, limit)
        size = _size(document)
        if size <= most_bytes or limit == 1:
            break
        limit = max(1, min(limit - 1, limit * most_bytes // size))
    truncated = limit < wanted or size > most_bytes
    document = _fitted(document, most_bytes)
    more = document.pop("more", None)
    if truncated:
        more = f"cut to fit {most_bytes} bytes{'; ' + more if more else ''}"
    return {"summary": document.pop("summary"), "truncated": truncated, "more": more, **document}


def _fitted(document: Document, most_bytes: int) -> Document:
    """A document with one item at most in its list, made smaller until it fits."""
    for smaller in _SMALLER:
        if _size(document) <= most_bytes:
            return document
        document = smaller(document)
    while _size(document) > most_bytes:  # whole parts go, the largest first
        rest = [key for key in document if key not in ("summary", "more")]
        if not rest:
            return {"summary": cut(document["summary"]), "more": "nothing more of it fits"}
        del document[max(rest, key=lambda key: len(msgspec.json.encode(document[key])))]
    return document


def _asked(tool: Tool, given: dict[str, Any]) -> Any:
    """The arguments as the tool takes them.

    Raises:
        BadQuestion: one lacks, is unknown or wrong; of several faults of one kind all are named.
    """
    needed = [field.name for field in msgspec.structs.fields(tool.takes) if field.required]
    missing = [(name, "needed") for name in needed if name not in given]
    if missing:
        raise BadQuestion(missing)
    if "since" in given:
        try:
            given["since"] = moment(str(given["since"]))
        except BadInput as exc:
            raise BadQuestion([("since", str(exc))]) from exc
    return parse(tool.takes, given)


def _size(document: Document) -> int:
    return len(msgspec.json.encode(document)) + 100  # what `answer` adds


def _shortened(value: Any, characters: int) -> Any:
    """The same with shorter texts; those that go on or name something stay whole."""
    if isinstance(value, dict):
        return {
            key: each if key in _WHOLE else _shortened(each, characters)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_shortened(each, characters) for each in value]
    return cut(value, characters) if isinstance(value, str) else value


def _without_long_ids(document: Document) -> Document:
    """The same without ids that are texts by themselves; `id` and `trace_id` never are."""
    more = f"ids of more than {_SHORTER[-1]} characters are left out"
    told = f"{more}; {document['more']}" if document.get("more") else more
    return {**_unnamed(document), "more": told}


def _unnamed(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _unnamed(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_unnamed(each, key) for each in value]
    is_long = isinstance(value, str) and len(value) > _SHORTER[-1]
    return None if is_long and key in _IDS else value


def _thinned(value: Any) -> Any:
    """The same with no more than a few items in any list."""
    if isinstance(value, dict):
        return {key: _thinned(each) for key, each in list(value.items())[:40]}
    if isinstance(value, list):
        return [_thinned(each) for each in value[:_FEWER]]
    return value


_SMALLER: Final[Sequence[Callable[[Document], Document]]] = (
    *(partial(_shortened, characters=characters) for characters in _SHORTER),
    _without_long_ids,
    _thinned,
)
