"""What rules ask of spans and records that they do not take: values of a parent, a descendant or a
record, and which of these have to be kept for it."""

from typing import NamedTuple

from events.schema import Context
from projections.mapping.rules.patterns import glob
from projections.mapping.rules.rule import LOG, Rule, sources_of
from projections.mapping.rules.ruleset import RuleSet


class Question(NamedTuple):
    """A value that a rule asks of another span or record.

    `scopes` are patterns of the scopes in which it is looked for; none: in any. `chain`: spans
    are kept even where they have no such value, because the way leads through them. `record`: of
    a log record of this event name.
    """

    slot: int
    own: str
    scopes: tuple[str, ...]
    chain: bool
    record: str

    def heard_in(self, context: Context) -> bool:
        """Whether a block of this context may have the answer."""
        return not self.scopes or any(glob(scope)(context.scope_name) for scope in self.scopes)


def questions_of(rules: RuleSet) -> list[Question]:
    """Every question, once."""
    found: dict[Question, None] = {}
    for rule in rules.rules:
        for source in sources_of(rule):
            if source.is_open:
                chain = bool(source.descendant) or source.parents > 1
                scopes = () if source.record else _scopes(rule)
                found[Question(source.slot, source.own, scopes, chain, source.record)] = None
    return list(found)


def _scopes(rule: Rule) -> tuple[str, ...]:
    """Where a rule looks for relatives of its spans: where it says, else in its own scopes."""
    if rule.related or rule.signal == LOG:
        return rule.related
    for when in rule.match:
        if when.source.own == "scope":
            wanted = when.wanted if isinstance(when.wanted, list) else [when.wanted]
            if all(isinstance(one, str) and one not in ("*", "!") for one in wanted):
                return tuple(wanted)
    return ()
