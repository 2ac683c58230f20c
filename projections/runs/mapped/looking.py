"""What mapping rules look for in one block, and what they found there."""

import msgspec

from events.codec import is_tagged
from projections.mapping.observe.observation import Observation, Origin
from projections.mapping.observe.observer import NATIVE_RULES, Sight
from projections.mapping.observe.rows import SPAN_MARK
from projections.mapping.rules.rule import Role


class Looking:
    """Chooses and observes the rows of a block.

    Spans that name their task themselves are read by a shorter way, as long as no other rule might
    take them: tests hold it to the built-in rule for them. `found` are the observations so far.
    """

    __slots__ = ("_native_first", "_sight", "found")

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._native_first = not sight.before_native and not sight.asks_spans
        self.found: list[Observation] = []

    def wants(self, row: bytes, tells: bool) -> bool:
        """Whether some rule looks for a row; `tells`: it may say itself something of a task."""
        if tells and self._native_first and is_tagged(row, SPAN_MARK):
            return False
        return self._sight.wants(row)

    def takes(self, row: bytes, origin: Origin) -> bool:
        """Observe a row; True if a rule takes it for itself, so that it tells nothing else."""
        it = self._sight.observe(row, origin)
        if it is None:
            return False
        if it.rule in NATIVE_RULES:
            if not self._sight.asks_spans:
                return False
            it = msgspec.structs.replace(it, rule="", role=Role.CONTEXT, kept=True)
        self.found.append(it)
        return bool(it.rule)
