"""The port to where observations are kept that a later arrival may need.

`tests/contract/test_observations.py` is what every implementation passes.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from projections.mapping.observe.observation import Observation

TIME_MAX: Final = (1 << 63) - 1


class Observations(Protocol):
    """Observations of all tenants. Answers are ordered by (start, event id), without repetition."""

    def put(self, observation: Observation, filed: Sequence[bytes]) -> bool:
        """Keep one, to be found by these keys as well; False if its event id is known already."""
        ...

    def of_span(self, tenant: str, trace_id: bytes, span_id: bytes) -> list[Observation]:
        """Spans with this id: several where a sender uses one id for every try."""
        ...

    def children(self, tenant: str, trace_id: bytes, span_id: bytes) -> list[Observation]:
        """Spans whose parent is that one."""
        ...

    def records(self, tenant: str, trace_id: bytes, span_id: bytes) -> list[Observation]:
        """Log records kept with that span."""
        ...

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
        """Those filed under a key that start from `low_ns` to `high_ns`, both included.

        Of more than `limit` the first ones, or with `newest` the last ones.
        """
        ...
