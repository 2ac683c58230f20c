"""The rules in force: ordered, frozen, and made again from their own content.

The first rule that matches takes an event; a user's stand before those of the package. `content`
is plain data that JSON has; it goes into the configuration of the shared stage, and `RuleSet(…)`
of it is the same rule set, whatever the files say by then. `digest` tells two contents apart.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from projections.mapping.rules.problems import BadRules, Invalid, Problem, near
from projections.mapping.rules.reading import KEYS, read_rule
from projections.mapping.rules.rule import (
    Role,
    Rule,
    identifying_sources,
    is_open,
    sources_of,
)
from projections.mapping.rules.sources import Slots
from projections.storage.configuration import digest

FORMAT: Final = 1
"""The version of the format that this release reads."""
RULES_LIMIT: Final = 20_000
PROBLEMS_LIMIT: Final = 200
"""With so many problems reading ends: they are mended first."""
FILE_KEYS: Final = frozenset({"version", "system", "rule"})
_LOOKED_UP: Final = frozenset({"id", "match"})  # what a rule never has from the one it is like

Content = Mapping[str, Any]
"""`{"rules": [{"file": …, **the rule's table}, …]}`."""


class RuleSet:
    """Rules in order of precedence.

    Args:
        content: see `Content`; made by `content_of`, or kept from an earlier rule set.

    Raises:
        BadRules: with every problem of every rule.
    """

    def __init__(self, content: Content) -> None:
        self.content: Content = content
        self.digest = digest(content).hex()
        self.slots = Slots()
        problems: list[Problem] = []
        tables = _whole(content["rules"], problems)
        rules = []
        for file, table in tables:
            rules.append(read_rule(file, table, self.slots, problems))
            if len(problems) >= PROBLEMS_LIMIT:
                break
        if problems:
            raise BadRules(problems)
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.by_id: Mapping[str, Rule] = {rule.id: rule for rule in rules}
        details = {rule.system for rule in rules if rule.role is Role.DETAIL}
        self.detailed = frozenset(
            rule.id
            for rule in rules
            if rule.role is Role.ATTEMPT and rule.attempt and rule.system in details
            if not any(map(is_open, (*rule.key, rule.attempt)))
        )
        """Attempts of which other spans with their own key and number may tell more."""
        shown = {rule.system for rule in rules if rule.shows_running}
        self.shown = frozenset(n for n in self.detailed if self.by_id[n].system in shown)
        """Attempts that such spans show while they run."""
        self.identifying = frozenset(
            source.own.partition(".")[2]
            for rule in rules
            for source in identifying_sources(rule)
            if source.own.startswith(("attr.", "resource."))
        )
        """Attributes that tell runs and attempts apart, or rules from each other."""
        self.looks_up = max((s.parents for r in rules for s in sources_of(r)), default=0)
        """How far up rules look, in spans."""
        self.looks_down = any(s.descendant for r in rules for s in sources_of(r))


def content_of(files: Iterable[tuple[str, Mapping[str, Any]]]) -> Content:
    """The content that parsed files make, in the order of precedence.

    Args:
        files: names as problems tell them, and what TOML gave.

    Raises:
        BadRules: a file is not of this format; what its rules say is not looked at yet.
    """
    problems: list[Problem] = []
    rules: list[dict[str, Any]] = []
    for name, table in files:
        rules += _rules_of(name, table, problems)
    if len(rules) > RULES_LIMIT:
        problems.append(Problem(
            "all files", "", "", f"{len(rules)} rules; at most {RULES_LIMIT} can be in force"
        ))  # fmt: skip
    if problems:
        raise BadRules(problems)
    return {"rules": rules}


def _rules_of(file: str, table: Mapping[str, Any], problems: list[Problem]) -> list[dict[str, Any]]:
    def problem(key: str, message: str) -> None:
        problems.append(Problem(file, "", key, message))

    for key in table.keys() - FILE_KEYS:
        hint = " and belongs into a [[rule]]" if key in KEYS else near(key, FILE_KEYS)
        problem(key, f"this key is unknown at the top of a file{hint}")
    if table.get("version") != FORMAT:
        problem("version", f"write `version = {FORMAT}`, the format that this release reads")
    rules = table.get("rule")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        problem("rule", "a file holds its rules as [[rule]] tables")
        return []
    shared = {"system": table["system"]} if "system" in table else {}
    return [{"file": file, **shared, **rule} for rule in rules]


def _whole(
    given: Sequence[Mapping[str, Any]], problems: list[Problem]
) -> list[tuple[str, dict[str, Any]]]:
    """Each rule's table with what it takes over from the one that it is `like`."""
    by_id: dict[str, Mapping[str, Any]] = {}
    counts = Counter(t["id"] for t in given if isinstance(t.get("id"), str))
    for table in given:
        name = table.get("id")
        if not isinstance(name, str):
            continue
        if counts[name] > 1 and name in by_id:
            other = by_id[name]["file"]
            problems.append(Problem(
                table["file"], name, "id", f"this id is taken already, in {other}; choose another"
            ))  # fmt: skip
        by_id.setdefault(name, table)
    found = []
    for table in given:
        if len(problems) >= PROBLEMS_LIMIT:
            break
        try:
            whole = _taken_over(table, by_id)
        except Invalid as exc:
            problems.append(Problem(table["file"], str(table.get("id", "")), "like", str(exc)))
            whole = dict(table)
        found.append((whole.pop("file"), whole))
    return found


def _taken_over(table: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    line = [table]
    seen = {table.get("id")}
    while "like" in line[-1]:
        name = line[-1]["like"]
        if name in seen:
            raise Invalid(f"rules are like each other in a circle: {' → '.join(map(str, seen))}")
        if name not in by_id:
            raise Invalid(f"there is no rule {name!r}{near(str(name), by_id)}")
        seen.add(name)
        line.append(by_id[name])
    whole: dict[str, Any] = {}
    for one in reversed(line):
        own = one is table
        whole |= {key: value for key, value in one.items() if own or key not in _LOOKED_UP}
    return whole
