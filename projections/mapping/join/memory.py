"""Observations in memory: for tests, for trying a rule on a capture, and for explaining a trace."""

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Sequence

from projections.mapping.join.port import TIME_MAX
from projections.mapping.observe.observation import Observation

_Key = tuple[str, bytes, bytes]


def place_of(observation: Observation) -> tuple[int, bytes]:
    """The order of observations: start, then event id."""
    return observation.start_ns, observation.event_id


class MemoryObservations:
    """See `port.Observations`; not bounded."""

    def __init__(self) -> None:
        self._known: set[tuple[str, bytes]] = set()
        self._spans: dict[_Key, list[Observation]] = defaultdict(list)
        self._children: dict[_Key, list[Observation]] = defaultdict(list)
        self._records: dict[_Key, list[Observation]] = defaultdict(list)
        self._filed: dict[tuple[str, bytes], list[Observation]] = defaultdict(list)

    def put(self, observation: Observation, filed: Sequence[bytes]) -> bool:
        """See `Observations.put`."""
        it = observation
        if (it.tenant, it.event_id) in self._known:
            return False
        self._known.add((it.tenant, it.event_id))
        if it.is_log:
            self._add(self._records, (it.tenant, it.trace_id, it.span_id), it)
        else:
            self._add(self._spans, (it.tenant, it.trace_id, it.span_id), it)
            if it.parent_span_id:
                self._add(self._children, (it.tenant, it.trace_id, it.parent_span_id), it)
        for key in filed:
            insort(self._filed[it.tenant, key], it, key=place_of)
        return True

    @staticmethod
    def _add(table: dict[_Key, list[Observation]], key: _Key, it: Observation) -> None:
        order: Callable[[Observation], tuple[int, bytes]] = place_of
        insort(table[key], it, key=order)

    def of_span(self, tenant: str, trace_id: bytes, span_id: bytes) -> list[Observation]:
        """See `Observations.of_span`."""
        return list(self._spans.get((tenant, trace_id, span_id), ()))

    def children(self, tenant: str, trace_id: bytes, span_id: bytes) -> list[Observation]:
        """See `Observations.children`."""
        return list(self._children.get((tenant, trace_id, span_id), ()))

    def records(self, tenant: str, trace_id: bytes, span_id: bytes) -> list[Observation]:
        """See `Observations.records`."""
        return list(self._records.get((tenant, trace_id, span_id), ()))

    def filed(
        self,
        tenant: str,
        key: bytes,
        low_ns: int = 0,
        high_ns: int = TIME_MAX,
        *,
        newest: bool = False,
        limit: int | None = None,
    ) -> list[Observation]:
        """See `Observations.filed`."""
        held = self._filed.get((tenant, key), ())
        found = [one for one in held if low_ns <= one.start_ns <= high_ns]
        if limit is None:
            return found
        return found[max(len(found) - limit, 0) :] if newest else found[:limit]
