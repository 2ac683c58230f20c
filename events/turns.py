"""What waits to be worked on: tenants take turns, measured in bytes.

Deficit round robin (Shreedhar, Varghese): each waiting tenant may spend a quantum of bytes a round,
and pays for what its items turned out to hold once they were decompressed. So a tenant that
floods waits behind its own items, and the queue's bound meets it first: beyond its share only it
is refused. Requests wait so to be decoded, and batches at the door of the log.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from events.errors import QueueFull

_QUANTUM_BYTES: Final = 64 << 10
_RESERVE: Final = 4
"""A fourth more than the bound is kept for tenants that are below their share."""
_SEVERAL_S: Final = 60.0


class Waiting(Protocol):
    """Something of a tenant. `size_bytes` is what it holds, `cost_bytes` what it will take."""

    @property
    def tenant(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def cost_bytes(self) -> int: ...


Item = TypeVar("Item", bound=Waiting)


@dataclass(slots=True)
class _Lane(Generic[Item]):
    """What one tenant has waiting; `credit` is what it may still spend in this round."""

    items: deque[Item] = field(default_factory=deque)
    waiting_bytes: int = 0
    credit: int = _QUANTUM_BYTES


class Turns(Generic[Item]):
    """Not safe for threads by itself: its owner holds a lock.

    Args:
        limit_bytes: what may wait in all; a single item may be larger.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lanes: dict[str, _Lane[Item]] = {}
        self._order: deque[str] = deque()
        self._latest: str | None = None
        self._several_until_s = 0.0
        self.waiting_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._order)

    def are_several(self) -> bool:
        """Whether more than one tenant sent something lately."""
        return len(self._order) > 1 or time.monotonic() < self._several_until_s

    def add(self, item: Item) -> None:
        """Put `item` behind the others of its tenant.

        Raises:
            QueueFull: the tenant has its share of the bound waiting, or all that there is.
        """
        size, tenant = item.size_bytes, item.tenant
        lane = self._lanes.get(tenant)
        if self.waiting_bytes + size > self._limit_bytes and self._order:
            self._demand_share(0 if lane is None else lane.waiting_bytes, size, lane is None)
        lane = self._lane_of(tenant)
        lane.items.append(item)
        lane.waiting_bytes += size
        self.waiting_bytes += size
        if tenant != self._latest:
            if self._latest is not None:
                self._several_until_s = time.monotonic() + _SEVERAL_S
            self._latest = tenant

    def _lane_of(self, tenant: str) -> _Lane[Item]:
        lane = self._lanes.get(tenant)
        if lane is None:
            lane = self._lanes[tenant] = _Lane()
            self._order.append(tenant)
        return lane

    def _demand_share(self, own_bytes: int, size: int, is_new: bool) -> None:
        share = self._limit_bytes // (len(self._order) + is_new)
        reserve = self._limit_bytes // _RESERVE
        alone = len(self._order) + is_new == 1
        if alone or own_bytes + size > share:
            raise QueueFull(f"{own_bytes} bytes of this tenant wait to be stored: its share")
        if self.waiting_bytes + size > self._limit_bytes + reserve:
            raise QueueFull(f"{self.waiting_bytes} bytes wait to be stored, which is the bound")

    def take(self, most_bytes: int, most_count: int = 1 << 62) -> list[Item]:
        """The next items, which cost about `most_bytes` in all; empty if none waits.

        Where several tenants send, only the first item may be larger: small ones are not to wait
        for the work on a large one, nor for its commit.
        """
        group: list[Item] = []
        spent = 0
        are_several = self.are_several()
        while self._order and spent < most_bytes and len(group) < most_count:
            tenant = self._order[0]
            lane = self._lanes[tenant]
            if lane.credit <= 0:
                self._order.rotate(-1)
                self._refill()
                continue
            cost = lane.items[0].cost_bytes
            if are_several and group and spent + cost > most_bytes:
                break
            item = lane.items.popleft()
            lane.waiting_bytes -= item.size_bytes
            self.waiting_bytes -= item.size_bytes
            lane.credit -= cost
            spent += cost
            group.append(item)
            if not lane.items:
                self._order.popleft()
                del self._lanes[tenant]
        return group

    def _refill(self) -> None:
        """Begin a new round once all have spent theirs, with what the least indebted lacks."""
        most = max(self._lanes[tenant].credit for tenant in self._order)
        if most <= 0:
            for tenant in self._order:
                self._lanes[tenant].credit += _QUANTUM_BYTES - most

    def put_back(self, items: list[Item]) -> None:
        """Return `items`, the last of those taken, to the front."""
        for item in reversed(items):
            lane = self._lane_of(item.tenant)
            lane.items.appendleft(item)
            lane.waiting_bytes += item.size_bytes
            lane.credit += item.cost_bytes
            self.waiting_bytes += item.size_bytes

    def charge(self, tenant: str, more_bytes: int) -> None:
        """Let a tenant pay for what an item cost more than was thought, or less."""
        lane = self._lanes.get(tenant)
        if lane is not None:
            lane.credit -= more_bytes
