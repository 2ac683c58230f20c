"""The options of a question: one for each of its parameters, in the words of the question."""

import dataclasses
import time
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import typer
from msgspec import Meta

from events.times import rfc3339
from projections.query.parameters import Question
from projections.query.times import parse_moment
from service.cli.options import FILTERS, PAGES
from service.cli.source.completion import complete_status

Filters = dict[str, Any]

LIMIT: Final = 50
_MOMENTS: Final = {
    "since": "From here on: RFC 3339 or an age such as 15m, 1h, 2d.",
    "until": "Before: RFC 3339 or an age.",
}
_METAVARS: Final = {"q": "PREFIX", "since": "TIME", "until": "TIME"}
_PAGES: Final = frozenset({"limit", "cursor", "sort"})
_ELSEWHERE: Final = frozenset(get_type_hints(Question))
_LONGEST_METAVAR = 40


def options_of(question: type[Question], *left_out: str) -> type[Any]:
    """A record of options (see `service.cli.command`) for the parameters of a question.

    Args:
        left_out: parameters that the command takes in another way.
    """
    hints = get_type_hints(question, include_extras=True)
    names = [field.name for field in msgspec.structs.fields(question)]
    fields: list[Any] = [
        (name, *_option(name, hints[name]))
        for name in sorted(names, key=_PAGES.__contains__)  # filters first
        if name not in _ELSEWHERE and name not in left_out
    ]
    return dataclasses.make_dataclass(f"{question.__name__}Options", fields, frozen=True)


def filters_of(options: Any) -> Callable[[], Filters]:
    """The parameters that such a record names; ages are resolved each time it is asked."""

    def filters() -> Filters:
        given = {k: v for k, v in dataclasses.asdict(options).items() if v is not None}
        now_ns = time.time_ns()
        return {
            name: rfc3339(parse_moment(value, now_ns)) if name in _MOMENTS else value
            for name, value in given.items()
        }

    return filters


def _option(name: str, hint: Any) -> tuple[Any, Any]:
    """The annotation and default of one option."""
    kind, metas = _unwrapped(hint)
    words = [] if get_origin(kind) is not Literal else list(get_args(kind))
    option: dict[str, Any] = {
        "help": _MOMENTS.get(name) or _said(metas) or "Only this status: completed, failed, …",
        "rich_help_panel": PAGES if name in _PAGES else FILTERS,
        "metavar": _METAVARS.get(name, name.upper()),
    }
    flags = [f"--{name.replace('_', '-')}"]
    if name == "status":
        option["autocompletion"] = complete_status
    elif len("|".join(words)) in range(1, _LONGEST_METAVAR):
        option["metavar"] = "|".join(words)
    if kind is bool:
        negative = next((m.extra["negative"] for m in metas if m.extra), f"no-{name}")
        flags = [f"{flags[0]}/--{negative}"]
        del option["metavar"]
    if kind is int:
        option |= {"metavar": "NUMBER"} | _bounds(metas)
    plain = str if words else kind
    if name == "limit":
        option["show_default"] = True
        return Annotated[plain, typer.Option(*flags, "-n", **option)], LIMIT
    return Annotated[plain | None, typer.Option(*flags, **option)], None


def _unwrapped(hint: Any) -> tuple[Any, list[Meta]]:
    """The plain type of a parameter, and what its annotations say of it, the outermost last."""
    metas: list[Meta] = []
    while True:
        if get_origin(hint) is Annotated:
            hint, *inner = get_args(hint)
            metas = [*inner, *metas]
        elif get_origin(hint) in (Union, UnionType):
            (hint,) = (part for part in get_args(hint) if part is not NoneType)
        else:
            return hint, metas


def _said(metas: list[Meta]) -> str | None:
    return next((m.description for m in reversed(metas) if m.description), None)


def _bounds(metas: list[Meta]) -> dict[str, Any]:
    low = next((m.ge for m in metas if m.ge is not None), None)
    high = next((m.le for m in metas if m.le is not None), None)
    return {"min": low, "max": high}
