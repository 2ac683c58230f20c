"""The requests that wait to be decoded: tenants take turns, measured in bytes.

Deficit round robin: each waiting tenant may spend a quantum of bytes a round, and pays for what
its requests turned out to hold once they were decompressed. So a tenant that floods waits behind
its own requests, and the queue's bound meets it first: beyond its share only it is refused.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from events.errors import QueueFull
from service.otlp.request import Request

_QUANTUM_BYTES: Final = 64 << 10
_REQUEST_BYTES: Final = 512
"""What a request costs besides its bytes."""
_INFLATES: Final = 8
"""How many times as large a compressed body is taken to be, until it is known."""
_RESERVE: Final = 4
"""A fourth more than the bound is kept for tenants that are below their share."""
_SEVERAL_S: Final = 60.0


@dataclass(slots=True)
class _Lane:
    """What one tenant has waiting; `credit` is what it may still spend in this round."""

    requests: deque[Request] = field(default_factory=deque)
    waiting_bytes: int = 0
    credit: int = _QUANTUM_BYTES


class Turns:
    """Not safe for threads by itself: `Pipeline` holds its lock.

    Args:
        limit_bytes: bodies that may wait in all; a single request may be larger.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lanes: dict[str, _Lane] = {}
        self._order: deque[str] = deque()
        self._latest: str | None = None
        self._several_until_s = 0.0
        self.waiting_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._order)

    def are_several(self) -> bool:
        """Whether more than one tenant sent something lately."""
        return len(self._order) > 1 or time.monotonic() < self._several_until_s

    def add(self, request: Request) -> None:
        """Put `request` behind the others of its tenant.

        Raises:
            QueueFull: the tenant has its share of the bound waiting, or all that there is.
        """
        size = len(request.body)
        lane = self._lanes.get(request.tenant)
        if self.waiting_bytes + size > self._limit_bytes and self._order:
            self._demand_share(0 if lane is None else lane.waiting_bytes, size, lane is None)
        if lane is None:
            lane = self._lanes[request.tenant] = _Lane()
            self._order.append(request.tenant)
        lane.requests.append(request)
        lane.waiting_bytes += size
        self.waiting_bytes += size
        if request.tenant != self._latest:
            if self._latest is not None:
                self._several_until_s = time.monotonic() + _SEVERAL_S
            self._latest = request.tenant

    def _demand_share(self, own_bytes: int, size: int, is_new: bool) -> None:
        share = self._limit_bytes // (len(self._order) + is_new)
        reserve = self._limit_bytes // _RESERVE
        alone = len(self._order) + is_new == 1
        if alone or own_bytes + size > share:
            raise QueueFull(f"{own_bytes} bytes of this tenant wait to be stored: its share")
        if self.waiting_bytes + size > self._limit_bytes + reserve:
            raise QueueFull(f"{self.waiting_bytes} bytes wait to be stored, which is the bound")

    def take(self, most_bytes: int) -> list[Request]:
        """The next requests, of about `most_bytes` in all; empty if none waits."""
        group: list[Request] = []
        size = 0
        while self._order and size < most_bytes:
            tenant = self._order[0]
            lane = self._lanes[tenant]
            if lane.credit <= 0:
                self._order.rotate(-1)
                self._refill()
                continue
            request = lane.requests.popleft()
            lane.waiting_bytes -= len(request.body)
            self.waiting_bytes -= len(request.body)
            cost = _cost(request)
            lane.credit -= cost
            size += cost
            group.append(request)
            if not lane.requests:
                self._order.popleft()
                del self._lanes[tenant]
        return group

    def _refill(self) -> None:
        """Begin a new round once all have spent theirs, with what the least indebted lacks."""
        most = max(self._lanes[tenant].credit for tenant in self._order)
        if most <= 0:
            for tenant in self._order:
                self._lanes[tenant].credit += _QUANTUM_BYTES - most

    def put_back(self, requests: list[Request]) -> None:
        """Return `requests`, the last of those taken, to the front."""
        for request in reversed(requests):
            lane = self._lanes.get(request.tenant)
            if lane is None:
                lane = self._lanes[request.tenant] = _Lane()
                self._order.append(request.tenant)
            lane.requests.appendleft(request)
            lane.waiting_bytes += len(request.body)
            lane.credit += _cost(request)
            self.waiting_bytes += len(request.body)

    def charge(self, request: Request, found_bytes: int) -> None:
        """Let the tenant pay for what a compressed request turned out to hold."""
        lane = self._lanes.get(request.tenant)
        if lane is not None and request.coding:
            lane.credit -= found_bytes - _cost(request)


def _cost(request: Request) -> int:
    return len(request.body) * (_INFLATES if request.coding else 1) + _REQUEST_BYTES
