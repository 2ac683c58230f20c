"""Which policy holds for a case: every setting from the most specific rule that makes it.

Order, the later winning: what the condition asks for (error pattern, task, component, environment,
category: each outweighs all behind it together), names before those with `*`, own rules before
shipped ones, later ones of a file before earlier ones.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from events.bounded import BoundedDict, text_bytes
from projections.policies.rule import Case, Record, Rule, is_met, specificity

_NO_SETTINGS: Final = frozenset({"id", "when"})


class Placed(NamedTuple):
    """A rule, and where it stands."""

    rule: Rule
    file: str
    line: int


class Origin(msgspec.Struct, frozen=True):
    """A rule that made settings of a policy."""

    rule: str
    file: str
    line: int
    settings: tuple[str, ...]


class Policy(NamedTuple):
    """What holds for a case: values by names of settings (`backoff.base_s`), and their rules."""

    values: Mapping[str, Any]
    origins: tuple[Origin, ...]


class PolicySet:
    """The rules of a file and those behind them; immutable, safe for any number of threads."""

    def __init__(self, rules: tuple[Placed, ...], text: str, digest: str) -> None:
        self.rules = rules
        self.text = text
        self.digest = digest
        order = sorted(
            range(len(rules)), key=lambda at: (*specificity(rules[at].rule.when), at)
        )  # shipped rules stand before own ones
        self._ordered = [(rules[at], dict(said(rules[at].rule))) for at in order]
        self._kept: BoundedDict[Case, Policy] = BoundedDict(_KEPT_BYTES)

    def strongest_first(self) -> list[Placed]:
        """The rules in the order in which their settings win."""
        return [placed for placed, _ in reversed(self._ordered)]

    def policy(self, case: Case) -> Policy:
        """What holds for a case."""
        found = self._kept.get(case)
        if found is None:
            found = self._resolve(case)
            size_bytes = text_bytes(*msgspec.structs.astuple(case)) + _POLICY_BYTES
            self._kept.keep(case, found, size_bytes)
        return found

    def _resolve(self, case: Case) -> Policy:
        values: dict[str, Any] = {}
        makers: dict[str, Placed] = {}
        for placed, settings in self._ordered:
            if is_met(placed.rule.when, case):
                values |= settings
                makers |= dict.fromkeys(settings, placed)
        made: dict[Placed, list[str]] = {}
        for name in sorted(makers):
            made.setdefault(makers[name], []).append(name)
        origins = tuple(
            Origin(placed.rule.id, placed.file, placed.line, tuple(made[placed]))
            for placed, _ in reversed(self._ordered)
            if placed in made
        )
        return Policy({**_DEFAULTS, **values}, origins)


def said(rule: Record, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings that a rule makes, by their names."""
    for name in rule.__struct_fields__:
        value = getattr(rule, name)
        if value is None or (not prefix and name in _NO_SETTINGS):
            continue
        if isinstance(value, Record):
            yield from said(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


_KEPT_BYTES: Final = 16 << 20
_POLICY_BYTES: Final = 4096
_DEFAULTS: Final[Mapping[str, Any]] = {
    "retry": "never", "max_attempts": 1, "max_elapsed_s": 0.0, "max_wait_s": 900.0, "repairs": 0,
    "actions": (), "backoff.kind": "none", "backoff.base_s": 0.0, "backoff.factor": 2.0,
    "backoff.cap_s": 60.0, "backoff.jitter": "none", "timeout.attempt_s": 0.0,
    "timeout.factor": 1.0, "timeout.cap_s": 0.0, "escalate.after_attempts": 0,
    "escalate.exhausted": False, "escalate.permanent": False, "escalate.to": "",
    "circuit.failures": 0, "circuit.window_s": 60.0, "circuit.open_s": 30.0,
    "evidence.min_success": 0.0, "evidence.min_samples": 30,
}  # fmt: skip
"""What holds where no rule at all says it: nothing is tried again."""
