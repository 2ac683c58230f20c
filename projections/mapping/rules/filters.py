"""Filters: what is made of a source's value before it is used, `source | filter | filter`.

`default JSON` where there is none; `add N`; `regex 'RE'` its first group; `map {…}` by a table;
`lower`; `nth N` and `since_start` choose among the events of an `event[…]` source, of which the
last one is taken otherwise; `github_attempt` is the run attempt behind a GitHub trace id.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from projections.mapping.rules.patterns import TEXT_CHARS, regular
from projections.mapping.rules.problems import Invalid, near
from projections.runs.values import text_of, whole_of

Filter = Callable[[Any, bytes], Any]
"""From a value (None: absent) and the trace id to a value."""

CHOICES: Final = frozenset({"nth", "since_start"})
ATTEMPTS_TRIED: Final = 1_000
_PIECE = re.compile(r"\s*\|\s+(?=(?:[^']*'[^']*')*[^']*$)")


def pieces_of(text: str) -> list[str]:
    """Source and filters of an expression; a bar between quotes divides nothing."""
    return [piece.strip() for piece in _PIECE.split(text)]


def parse_filter(text: str) -> Filter:
    """The filter that a text means.

    Raises:
        Invalid: there is no such filter, or its argument is wrong.
    """
    name, _, argument = text.partition(" ")
    make = _MAKERS.get(name)
    if make is None:
        raise Invalid(f"{name!r} is no filter{near(name, {*_MAKERS, *CHOICES})}")
    return make(argument.strip())


def _default(argument: str) -> Filter:
    value = _json(argument)
    return lambda got, _: value if got is None else got


def _add(argument: str) -> Filter:
    if whole_of(argument) is None:
        raise Invalid(f"`add` takes a whole number, not {argument!r}")
    number = int(argument)

    def add(got: Any, _: bytes) -> Any:
        whole = whole_of(got)
        return None if whole is None else whole + number

    return add


def _regex(argument: str) -> Filter:
    if len(argument) < 2 or argument[0] != "'" or argument[-1] != "'":
        raise Invalid("`regex` takes an expression between single quotes")
    compiled = regular(argument[1:-1])
    if compiled.groups < 1:
        raise Invalid(f"{argument} has no group; what stands between ( and ) is taken")

    def first_group(got: Any, _: bytes) -> Any:
        text = text_of(got)
        found = None if text is None else compiled.search(text[:TEXT_CHARS])
        return None if found is None else found[1]

    return first_group


def _map(argument: str) -> Filter:
    table = _json(argument)
    if not isinstance(table, dict):
        raise Invalid('`map` takes a table as JSON, such as {"a": "b"}')
    return lambda got, _: None if got is None else table.get(text_of(got), table.get("*", got))


def _lower(argument: str) -> Filter:
    _nothing("lower", argument)
    return lambda got, _: got.lower() if isinstance(got, str) else got


def _github_attempt(argument: str) -> Filter:
    _nothing("github_attempt", argument)
    return lambda got, trace_id: github_attempt(text_of(got), trace_id)


def github_attempt(run_id: str | None, trace_id: bytes) -> int | None:
    """The attempt of a workflow run: the receiver makes the trace id of both.

    SHA-256 of `<run id><attempt>t`, cut to 16 bytes (collector-contrib githubreceiver); attempts
    up to `ATTEMPTS_TRIED` are found.
    """
    if not run_id:
        return None
    begun = hashlib.sha256(run_id.encode())
    for number in range(1, ATTEMPTS_TRIED + 1):
        digest = begun.copy()
        digest.update(f"{number}t".encode())
        if digest.digest()[:16] == trace_id:
            return number
    return None


def _nothing(name: str, argument: str) -> None:
    if argument:
        raise Invalid(f"`{name}` takes nothing, not {argument!r}")


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as exc:
        raise Invalid(f"{text!r} is no JSON value: {exc}") from exc


_MAKERS: Final[dict[str, Callable[[str], Filter]]] = {
    "default": _default,
    "add": _add,
    "regex": _regex,
    "map": _map,
    "lower": _lower,
    "github_attempt": _github_attempt,
}
