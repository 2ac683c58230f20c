"""Which rules a type's name calls for: by its whole name, by its last parts, by a pattern.

`FileNotFoundError` in a rule stands for that name however it is qualified, `psycopg.Error` for
`psycopg.Error` and `x.psycopg.Error`; a `*` for any letters. What is closer to the name wins.
"""

from collections import defaultdict
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from projections.errors.classify.rule import Rule

_DEPTH_LIMIT: Final = 8
EXACT_BONUS: Final = 3
PATTERN_MALUS: Final = 8
PARENT_MALUS: Final = 4
KEPT_TYPES: Final = 20_000


class TypeMatch(NamedTuple):
    """A rule, how close the name is, and the name that matched."""

    rule: Rule
    bonus: int
    name: str


class TypeIndex:
    """Looks up rules by types; what was looked up is kept."""

    def __init__(self, rules: tuple[Rule, ...], parents: Mapping[str, str]) -> None:
        self._names: dict[str, list[Rule]] = defaultdict(list)
        self._patterns: list[tuple[str, Rule]] = []
        self._parents = {_dotted(child): _dotted(parent) for child, parent in parents.items()}
        self._kept: dict[str, tuple[TypeMatch, ...]] = {}
        for rule in rules:
            for name in rule.types:
                if "*" in name:
                    self._patterns.append((_dotted(name), rule))
                else:
                    self._names[_dotted(name)].append(rule)

    def find(self, name: str) -> tuple[TypeMatch, ...]:
        """Every rule that knows the type or one of its parents."""
        found = self._kept.get(name)
        if found is None:
            if len(self._kept) > KEPT_TYPES:
                self._kept.clear()
            found = self._kept[name] = tuple(self._find(_dotted(name)))
        return found

    def _find(self, name: str) -> list[TypeMatch]:
        found: dict[str, TypeMatch] = {}
        for depth in range(_DEPTH_LIMIT):
            for match in self._of_one(name):
                bonus = match.bonus - depth * PARENT_MALUS
                if match.rule.id not in found:
                    found[match.rule.id] = match._replace(bonus=bonus)
            parent = self._parent(name)
            if parent is None:
                break
            name = parent
        return list(found.values())

    def _of_one(self, name: str) -> list[TypeMatch]:
        parts = name.split(".")
        found = [
            TypeMatch(rule, min(len(parts) - at - 1, 1) * EXACT_BONUS, name)
            for at in range(len(parts))
            for rule in self._names.get(".".join(parts[at:]), ())
        ]
        for pattern, rule in self._patterns:
            if fnmatchcase(name, pattern) or fnmatchcase(parts[-1], pattern):
                found.append(TypeMatch(rule, -PATTERN_MALUS, name))
        return found

    def _parent(self, name: str) -> str | None:
        parts = name.split(".")
        for at in range(len(parts)):
            if parent := self._parents.get(".".join(parts[at:])):
                return parent
        return None


def _dotted(name: str) -> str:
    """A name of any language with dots between its parts, without its package's path."""
    name = (
        name.lstrip("*&")
        if name.startswith(("*", "&")) and "." in name[1:] and not name.startswith("*.")
        else name
    )
    return (
        name.replace("::", ".").replace("\\", ".").replace("$", ".").rpartition("/")[2].strip(".")
    )
