"""Values and conditions of a rule file, read and checked one by one."""

from collections.abc import Mapping
from typing import Any, Final

from projections.mapping.rules.filters import Filter, parse_filter, pieces_of
from projections.mapping.rules.patterns import condition
from projections.mapping.rules.problems import Invalid, near
from projections.mapping.rules.rule import Expression, Joined, StatusRule, Value, When
from projections.mapping.rules.sources import Slots, Source, parse_source
from projections.runs.values import status_of
from projections.runs.words import RESULT_STATUS

EXPRESSION_CHARS: Final = 4_000
ALTERNATIVES: Final = 32
STATUS_KEYS: Final = frozenset({"when", "is", "from", "will_retry", "inferred"})


def read_value(given: Any, slots: Slots) -> Value:
    """A value: a text, a list of alternatives, or a table `{ join = […], with = "." }`.

    Raises:
        Invalid: it is none of these.
    """
    if isinstance(given, list):
        if not 0 < len(given) <= ALTERNATIVES:
            raise Invalid(f"a list of alternatives has 1 to {ALTERNATIVES} items")
        return tuple(one for item in given for one in read_value(item, slots))
    if isinstance(given, str):
        return (_expression(given, slots),)
    if isinstance(given, dict):
        return (_joined(given, slots),)
    raise Invalid('write a source, a list of sources, or { join = […], with = "." }')


def _expression(text: str, slots: Slots) -> Expression:
    if len(text) > EXPRESSION_CHARS:
        raise Invalid(f"a source with its filters may have {EXPRESSION_CHARS} characters")
    head, *rest = pieces_of(text)
    source = parse_source(head, slots)
    filters: list[Filter] = []
    nth, since_start = 0, False
    for piece in rest:
        name, _, argument = piece.partition(" ")
        if name in ("nth", "since_start") and not source.own.startswith("event["):
            raise Invalid(f"`{name}` chooses among events; its source must be `event[…]`")
        if name == "nth":
            if not argument.isdecimal() or not int(argument):
                raise Invalid("`nth` takes a number from 1")
            nth = int(argument)
        elif piece == "since_start":
            since_start = True
        else:
            filters.append(parse_filter(piece))
    return Expression(text, source, tuple(filters), nth, since_start)


def _joined(given: Mapping[str, Any], slots: Slots) -> Joined:
    if extra := given.keys() - {"join", "with"}:
        raise Invalid(f"{min(extra)!r} is unknown here{near(min(extra), {'join', 'with'})}")
    parts, separator = given.get("join"), given.get("with", ".")
    if not isinstance(parts, list) or not 1 < len(parts) <= ALTERNATIVES:
        raise Invalid("`join` is a list of at least two sources")
    if not isinstance(separator, str) or len(separator) != 1 or separator == "%":
        raise Invalid("`with` is one character, and not %")
    return Joined(
        f" {separator} ".join(map(str, parts)),
        tuple(read_value(part, slots) for part in parts),
        separator,
    )


def read_conditions(given: Any, slots: Slots) -> tuple[When, ...]:
    """A table of conditions, all of which must hold.

    Raises:
        Invalid: it is none; the message names the condition.
    """
    if not isinstance(given, dict):
        raise Invalid('conditions are a table, such as { scope = "my.scope" }')
    found = []
    for text, wanted in given.items():
        try:
            found.append(When(_condition_source(text, slots), wanted, condition(wanted)))
        except Invalid as exc:
            raise Invalid(f"{text!r}: {exc}") from exc
    return tuple(found)


def _condition_source(text: str, slots: Slots) -> Source:
    if " | " in text:
        raise Invalid("a condition is about a source itself; filters are for values")
    return parse_source(text, slots)


def read_statuses(given: Any, slots: Slots) -> tuple[StatusRule, ...]:
    """Ordered status rules, of which the first that holds counts.

    Raises:
        Invalid: one of them is wrong; the message says which, from 1.
    """
    if not isinstance(given, list):
        raise Invalid('statuses are a list, such as [ { is = "completed" } ]')
    found = []
    for place, item in enumerate(given, 1):
        try:
            found.append(_status(item, slots))
        except Invalid as exc:
            raise Invalid(f"status {place}: {exc}") from exc
    return tuple(found)


def _status(item: Any, slots: Slots) -> StatusRule:
    if not isinstance(item, dict):
        raise Invalid("write a table with `is` or `from`")
    if extra := item.keys() - STATUS_KEYS:
        raise Invalid(f"{min(extra)!r} is unknown here{near(min(extra), STATUS_KEYS)}")
    if ("is" in item) == ("from" in item):
        raise Invalid("write either `is` or `from`")
    flags = {name: item.get(name) for name in ("will_retry", "inferred")}
    for name, value in flags.items():
        if not (value is None or isinstance(value, bool)):
            raise Invalid(f"`{name}` is true or false")
    when = read_conditions(item.get("when", {}), slots)
    return StatusRule(
        when=when,
        word=known_word(item["is"]) if "is" in item else "",
        source=read_value(item["from"], slots) if "from" in item else (),
        will_retry=flags["will_retry"],
        inferred=bool(flags["inferred"]) or any(w.source.own == "run.later" for w in when),
    )


def known_word(word: Any) -> str:
    """The same word, if it is one for a result.

    Raises:
        Invalid: it is not in the table of `projections.runs.words`.
    """
    if not isinstance(word, str) or status_of(word) is None:
        raise Invalid(f"{word!r} is no word for a result{near(str(word), RESULT_STATUS)}")
    return word
