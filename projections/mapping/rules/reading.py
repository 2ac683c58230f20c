"""One `[[rule]]` table to a `Rule`, with every problem that it has."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from projections.mapping.rules.patterns import condition, glob
from projections.mapping.rules.problems import Invalid, Problem, near
from projections.mapping.rules.rule import (
    FIELDS,
    LOG,
    ROLES,
    SPAN,
    Role,
    Rule,
    Split,
    Value,
    is_open,
    sources_of,
)
from projections.mapping.rules.sources import Slots
from projections.mapping.rules.values import (
    known_word,
    read_conditions,
    read_statuses,
    read_value,
)

SPLIT_KEYS: Final = frozenset({"start", "end", "status_from", "status_map", "last_status"})
KEYS: Final = FIELDS | {
    "id", "version", "like", "signal", "role", "system", "match", "only", "key", "attempt",
    "status", "split", "identity", "new_run_on_attempt_1", "related", "shows_running",
    "only_ends",
}  # fmt: skip
_T = TypeVar("_T")


class Reading(NamedTuple):
    """What is known while a rule is read, and where its problems go."""

    file: str
    rule: str
    table: Mapping[str, Any]
    slots: Slots
    problems: list[Problem]

    def problem(self, key: str, message: str) -> None:
        """Remember one."""
        self.problems.append(Problem(self.file, self.rule, key, message))

    def get(self, key: str, read: Callable[[Any], _T], default: _T) -> _T:
        """The value of a key, read; the default where it is absent or wrong."""
        if key not in self.table:
            return default
        try:
            return read(self.table[key])
        except Invalid as exc:
            self.problem(key, str(exc))
            return default


def read_rule(file: str, table: Mapping[str, Any], slots: Slots, problems: list[Problem]) -> Rule:
    """The rule of a table; what is wrong goes to `problems`, and the rule is of no use then."""
    name = table.get("id")
    it = Reading(file, name if isinstance(name, str) else "", table, slots, problems)
    for key in table.keys() - KEYS:
        it.problem(key, f"this key is unknown{near(key, KEYS)}")
    no_value: Value = ()
    fields = {key: it.get(key, lambda given: read_value(given, slots), no_value)
              for key in sorted(FIELDS & table.keys())}  # fmt: skip
    rule = Rule(
        id=it.get("id", _text, ""),
        version=it.get("version", _version, 1),
        file=file,
        signal=it.get("signal", _one_of(SPAN, LOG), SPAN),
        role=ROLES[it.get("role", _one_of(*ROLES), "attempt")],
        system=it.get("system", _text, "task"),
        match=it.get("match", lambda given: read_conditions(given, slots), ()),
        only=it.get("only", lambda given: read_conditions(given, slots), ()),
        key=it.get("key", lambda given: _key(given, slots), ()),
        fields=fields,
        attempt=it.get("attempt", lambda given: _attempt(given, slots), None),
        status=it.get("status", lambda given: read_statuses(given, slots), ()),
        split=it.get("split", lambda given: _split(given, slots), None),
        identity=_identity(it),
        new_run_on_attempt_1=it.get("new_run_on_attempt_1", _flag, False),
        related=it.get("related", _globs, ()),
        shows_running=it.get("shows_running", _flag, False),
        only_ends=it.get("only_ends", _flag, False),
    )
    _check(rule, it)
    return rule


def _check(rule: Rule, it: Reading) -> None:
    """What holds between keys."""
    if not rule.id and "id" not in it.table:
        it.problem("id", "every rule needs one, by which it is told of")
    if not rule.match and "match" not in it.table:
        it.problem("match", "say which spans the rule takes; without, it would take all")
    for when in rule.match:
        if when.source.is_open or when.source.own.startswith(("run.", "const ")):
            it.problem("match", f"{when.source.text!r}: a rule is chosen by one event's own values")
    if any(s.descendant or s.parents > 1 for s in sources_of(rule)) and not (
        rule.related or any(when.source.own == "scope" for when in rule.match)
    ):
        it.problem(
            "related",
            "say in which scopes the spans on the way are; otherwise every span would be kept",
        )
    placed = rule.role in (Role.ATTEMPT, Role.ENQUEUE, Role.DETAIL)
    if placed and not rule.key and "key" not in it.table:
        it.problem("key", "say what tells one run from another")
    if rule.signal == LOG and rule.role not in (Role.DETAIL, Role.IGNORE):
        it.problem("role", 'a log record can be `"detail"` or `"ignore"`')
    filed = rule.role is Role.DETAIL or rule.identity or rule.new_run_on_attempt_1
    for value in (*rule.key, *rule.identity, rule.attempt or ()) if filed else ():
        if is_open(value):
            it.problem("key", "key and attempt must be the span's own, as it is found by them")
            break
    if rule.role is Role.DETAIL and rule.attempt is None:
        it.problem("attempt", "must be said, because key and number together find the attempt")
    if rule.shows_running:
        _check_showing(rule, it)
    if rule.only_ends and rule.role is not Role.ATTEMPT:
        it.problem("only_ends", "only an `attempt` can: it is one where none runs")


def _check_showing(rule: Rule, it: Reading) -> None:
    if rule.role is not Role.DETAIL:
        it.problem("shows_running", "only what tells more of an attempt can, a `detail`")
    elif not rule.fields.keys() & {"task_id", "task_name"}:
        it.problem("shows_running", "say which task runs: `task_id` or `task_name`")


def _identity(it: Reading) -> tuple[Value, ...]:
    given = it.table.get("identity", "span")
    if given == "span":
        return ()
    if given != "key+attempt":
        return it.get("identity", lambda given: _identities(given, it.slots), ())
    attempt = it.get("attempt", lambda given: _attempt(given, it.slots), None)
    if attempt is None:
        it.problem("identity", "needs an `attempt` that is said; or write a list of sources")
        return ()
    return (attempt,)


def _identities(given: Any, slots: Slots) -> tuple[Value, ...]:
    if not isinstance(given, list):
        raise Invalid('write "span", "key+attempt", or a list of sources')
    return _key(given, slots)


def _key(given: Any, slots: Slots) -> tuple[Value, ...]:
    if not isinstance(given, list) or not given:
        raise Invalid("a key is a list of sources, which together tell one run from another")
    return tuple(read_value(part, slots) for part in given)


def _attempt(given: Any, slots: Slots) -> Value | None:
    return None if given == "ordinal" else read_value(given, slots)


def _split(given: Any, slots: Slots) -> Split:
    if not isinstance(given, dict) or "start" not in given:
        raise Invalid("a split is a table with at least `start`")
    if extra := given.keys() - SPLIT_KEYS:
        raise Invalid(f"{min(extra)!r} is unknown here{near(min(extra), SPLIT_KEYS)}")
    status_from, status_map = given.get("status_from", ""), given.get("status_map", {})
    if not isinstance(status_from, str) or (status_from and not status_from.startswith("attr.")):
        raise Invalid("`status_from` is an attribute of the closing event, `attr.NAME`")
    if not isinstance(status_map, dict):
        raise Invalid("`status_map` is a table from values to words for results")
    return Split(
        start=_event_conditions(given["start"]),
        end=_event_conditions(given.get("end", {})),
        status_from=status_from.removeprefix("attr."),
        status_map={value: known_word(word) for value, word in status_map.items()},
        last_status=read_statuses(given.get("last_status", []), slots),
    )


def _event_conditions(given: Any) -> tuple[tuple[str, Any], ...]:
    if not isinstance(given, dict):
        raise Invalid('write conditions of an event, such as { name = "retry" }')
    for key in given:
        if key != "name" and not key.startswith("attr."):
            raise Invalid(f"{key!r}: an event has `name` and `attr.NAME`")
    return tuple((key, condition(wanted)) for key, wanted in given.items())


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(given: Any) -> str:
        if given not in words:
            raise Invalid(f"{given!r} is unknown{near(str(given), words)}")
        return str(given)

    return read


def _text(given: Any) -> str:
    if not isinstance(given, str) or not given.strip() or len(given) > 200:
        raise Invalid("write a text of 1 to 200 characters")
    return given


def _version(given: Any) -> int:
    if type(given) is not int or not 0 < given < 1 << 31:
        raise Invalid("a version is a whole number from 1")
    return given


def _flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise Invalid("write true or false")
    return given


def _globs(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise Invalid("`related` is a list of scopes, in which `*` may stand")
    for one in given:
        glob(one)
    return tuple(given)
