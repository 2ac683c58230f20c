"""Delivering the outbox: for each receiver a task of its own, so that a slow one holds up nobody.

In order: a notice that an alert is over must not overtake that it fires. One that is not there or
asks to wait is waited for, `give_up` at most; what a receiver refuses is tried again some times,
for its mistake may be ours to mend, and is then parked so that others come through; what another
release wrote and this one cannot read is parked at once. A row goes only when it was taken: a kill
between the answer and that sends it again, under the same id. A fault that nobody foresaw is said,
and what it met is tried again like what is refused: it ends no delivery.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgspec

from events import metrics
from service.alerts.sending.sender import Answer
from service.alerts.store import Due, Store
from service.forward.backoff import Backoff

REFUSALS_LIMIT: Final = 10
CEILING_S: Final = 60.0
_log = logging.getLogger(__name__)

Send = Callable[[bytes], Awaitable[Answer]]
"""Tries once to tell a receiver of a body."""
Sending = Callable[[], AbstractAsyncContextManager[Send]]
"""Opens the way to a receiver; its connections end with the block."""


class Delivery:
    """Delivers what one receiver is to be told, until it is cancelled.

    Args:
        give_up_ns: how long one notice is tried.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        sending: Sending,
        *,
        give_up_ns: int,
        clock: Callable[[], int] = time.time_ns,
        first_s: float = 0.5,
    ) -> None:
        self._name = name
        self._store = store
        self._sending = sending
        self._give_up_ns = give_up_ns
        self._clock = clock
        self._backoff = Backoff(first_s, CEILING_S)
        self._news = asyncio.Event()

    def wake(self) -> None:
        """There may be something to deliver."""
        self._news.set()

    async def run(self) -> None:
        """Deliver whatever is there, and whatever comes."""
        async with self._sending() as send:
            while True:
                self._news.clear()
                try:
                    await self._next(send)
                except Exception as exc:  # such as a full disk: the next try may come through
                    extra = {"action": "alerts", "receiver": self._name}
                    _log.error("delivering failed; it goes on", exc_info=exc, extra=extra)
                    await asyncio.sleep(self._backoff.next_s())

    async def _next(self, send: Send) -> None:
        """Deliver what is due, or wait for it."""
        due = await self._store.due(self._name)
        if due is None:
            await self._news.wait()
            return
        try:
            answer = await send(due.body)
        except msgspec.MsgspecError as exc:
            answer = Answer("unreadable", f"of another release: {exc}")
        except Exception as exc:
            extra = {"action": "alerts", "receiver": self._name}
            _log.error("a notice could not be sent", exc_info=exc, extra=extra)
            answer = Answer("refused", f"a fault of Spanledger: {type(exc).__name__}: {exc}")
        await asyncio.sleep(await self._settle(due, answer))

    async def _settle(self, due: Due, answer: Answer) -> float:
        """Put on record what came of a try; how long to wait before the next one."""
        now_ns = self._clock()
        metrics.ALERT_NOTICES.labels(self._name, answer.verdict).inc()
        if answer.verdict == "taken":
            await self._store.delivered(self._name, due, now_ns)
            self._backoff.reset()
            return 0.0
        refused = answer.verdict == "refused" and due.tries + 1 >= REFUSALS_LIMIT
        too_old = now_ns - due.created_ns >= self._give_up_ns
        parked = refused or too_old or answer.verdict == "unreadable"
        await self._store.failed(self._name, due, answer.message, now_ns, parked=parked)
        extra = {"action": "alerts", "receiver": self._name, "error": answer.message}
        if parked:
            _log.error("a notice was given up", extra=extra)
            return 0.0
        _log.warning("a notice was not taken; it is tried again", extra=extra)
        return self._backoff.next_s(answer.retry_after_s)
