"""Rule files: those of the package, and a directory of the user's."""

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from projections.mapping.rules.problems import BadRules, Problem
from projections.mapping.rules.ruleset import RuleSet, content_of

FILE_BYTES: Final = 8 << 20
"""A larger file is refused unread."""
BUILTIN: Final = "built-in"
_FIRST: Final = "spanledger.toml"
_LAST: Final = ("genai.toml", "openinference.toml", "cicd.toml")
"""Conventions that many systems use stand behind the rules for one of them."""

Parsed = list[tuple[str, dict[str, Any]]]


def load_rules(mappings: Path | None = None, extra: Iterable[Path] = ()) -> RuleSet:
    """The rules of some files, a directory, and the package, in this order of precedence.

    Args:
        mappings: the user's directory; its `*.toml` count in the order of their names.
        extra: single files before all others.

    Raises:
        BadRules: with every problem of every file.
    """
    if mappings is not None and not mappings.is_dir():
        raise BadRules([Problem(str(mappings), "", "", "there is no such directory")])
    paths = [*extra, *(sorted(mappings.glob("*.toml")) if mappings is not None else [])]
    if not paths:
        return builtin_rules()
    parsed, problems = _parsed([(str(path), path) for path in paths])
    if problems:
        raise BadRules(problems)
    return RuleSet(content_of([*parsed, *_builtin_files()]))


@cache
def builtin_rules() -> RuleSet:
    """The rules of the package alone."""
    return RuleSet(content_of(_builtin_files()))


@cache
def _builtin_files() -> tuple[tuple[str, dict[str, Any]], ...]:
    folder = files("projections.mapping.builtin")
    names = sorted(one.name for one in folder.iterdir() if one.name.endswith(".toml"))
    names.sort(key=lambda name: (name != _FIRST, name in _LAST and _LAST.index(name) + 1))
    return tuple(
        (f"{BUILTIN} {name}", tomllib.loads((folder / name).read_text("utf-8"))) for name in names
    )


def _parsed(paths: Iterable[tuple[str, Path]]) -> tuple[Parsed, list[Problem]]:
    parsed: Parsed = []
    problems: list[Problem] = []
    for name, path in paths:
        try:
            parsed.append((name, _toml(path)))
        except (OSError, UnicodeDecodeError, ValueError) as exc:
            problems.append(Problem(name, "", "", f"cannot be read as TOML: {exc}"))
    return parsed, problems


def _toml(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        text = file.read(FILE_BYTES + 1)
    if len(text) > FILE_BYTES:
        raise ValueError(f"it is larger than {FILE_BYTES >> 20} MiB")
    return tomllib.loads(text.decode("utf-8-sig"))
