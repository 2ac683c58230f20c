"""What is kept before anything else is cut: what the product itself reads.

A span with more attributes or events than allowed loses some. Without those that say which
attempt it was, or how it ended, it would tell nothing at all; instrumentations write them last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from events import names

_EXACT: Final = frozenset({
    names.TASK_ID, names.TASK_RUN_ID, names.TASK_ATTEMPT, names.TASK_RETRY_OF, names.TASK_RESULT,
    names.TASK_NAME, names.TASK_GROUP_ID, names.TASK_IDEMPOTENCY_KEY, names.TASK_MAX_ATTEMPTS,
    names.TASK_WILL_RETRY, names.TASK_EXECUTOR_ID, names.ERROR_TYPE, names.EXCEPTION_TYPE,
    names.EXCEPTION_MESSAGE, names.EXCEPTION_STACKTRACE, names.LOGFIRE_SPAN_TYPE,
    names.SERVICE_NAME, names.SERVICE_INSTANCE_ID, names.HOST_NAME, names.EVENT_NAME,
})  # fmt: skip
_PREFIXES: Final = ("task.", "exception.", "error.", "service.", "host.")


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives a cut: first what is named whole, then what begins so, then the rest.

    Attributes:
        keys: attributes of spans, events, links, log records, resources and scopes.
        prefixes: how the keys of further such attributes begin.
        events: names of span events; of these the last ones outlive, as the last one decides.
    """

    keys: frozenset[str] = _EXACT
    prefixes: tuple[str, ...] = _PREFIXES
    events: frozenset[str] = frozenset({names.EXCEPTION_EVENT})

    def attributes(self, keys: Sequence[str], most: int) -> list[int]:
        """The places of at most `most` of `keys` that are kept, ascending."""
        ranks: tuple[list[int], list[int], list[int]] = ([], [], [])
        for place, key in enumerate(keys):
            rank = 0 if key in self.keys else 1 if key.startswith(self.prefixes) else 2
            if len(ranks[rank]) < most:
                ranks[rank].append(place)
        return sorted([place for rank in ranks for place in rank][:most])

    def span_events(self, names: Sequence[str], most: int) -> list[int]:
        """The places of at most `most` events of these `names` that are kept, ascending."""
        wanted = [place for place, name in enumerate(names) if name in self.events]
        if len(wanted) >= most:
            return wanted[len(wanted) - most :]
        room = most - len(wanted)
        others = [place for place, name in enumerate(names) if name not in self.events]
        return sorted(wanted + others[:room])
