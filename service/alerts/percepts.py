"""Percepts by webhook: finished runs that are new enough, put into the outbox one by one.

A subscription's place in the log moves in the transaction that puts into the outbox what it came
by: a kill between loses no run. It stands still while its receivers have much waiting, for what
they were not told of yet is in the log; so the outbox is bounded however long one is away.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from events.times import SECOND_NS
from projections.endpoints import ENDPOINTS
from projections.queries import Queries
from projections.views.percepts.question import PerceptPage, PerceptsQuestion
from service.alerts.notice import Outgoing, PerceptNotice
from service.alerts.rule import AlertsFile, Percepts
from service.alerts.store import Place, Store

WAITING_LIMIT: Final = 1_000
"""Notices that wait for one receiver, from where on nothing is added."""
_PAGE: Final = 50
(_ENDPOINT,) = (endpoint for endpoint in ENDPOINTS if endpoint.path == "percepts/page")
_log = logging.getLogger(__name__)


class Feeding:
    """Feeds the outbox from the views of a data folder; used in one event loop.

    Args:
        wake: tells that there is something for these receivers.
    """

    def __init__(
        self,
        data: Path,
        store: Store,
        wake: Callable[[Iterable[str]], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._queries = Queries(data)
        self._store = store
        self._wake = wake
        self._clock = clock
        self._said: dict[str, str] = {}

    async def run(self, file_of: Callable[[], AlertsFile], stop: asyncio.Event) -> None:
        """Feed the subscriptions of the file in force until `stop` is set."""
        with ThreadPoolExecutor(1, "alerts-percepts") as thread:
            while not stop.is_set():
                file = file_of()
                steps = [await self._step(one, file, thread) for one in file.percepts]
                try:
                    wait_s = 0.0 if any(steps) else file.every / SECOND_NS
                    await asyncio.wait_for(stop.wait(), wait_s or 0.001)
                except TimeoutError:
                    continue

    async def _step(self, asked: Percepts, file: AlertsFile, thread: Executor) -> bool:
        """Take a page of one subscription; whether there is more already."""
        try:
            more = await self._fed(asked, file, thread)
        except Exception as exc:  # one that fails must not stop the others
            if self._said.get(asked.name) != str(exc):
                self._said[asked.name] = str(exc)
                extra = {"action": "alerts", "percepts": asked.name}
                _log.error("percepts cannot be told; it is tried again", exc_info=exc, extra=extra)
            return False
        self._said.pop(asked.name, None)
        return more

    async def _fed(self, asked: Percepts, file: AlertsFile, thread: Executor) -> bool:
        waiting = await self._store.waiting()
        if any(waiting.get(name, (0, 0))[0] >= WAITING_LIMIT for name in asked.notify):
            return False
        loop = asyncio.get_running_loop()
        place = await self._store.place(asked.tenant, asked.name)
        page = await loop.run_in_executor(thread, self._page, asked, place)
        now_ns = self._clock()
        outgoing = [
            _outgoing(asked, name, percept, file, now_ns)
            for percept in page.items for name in asked.notify
        ]  # fmt: skip
        found = Place(asked.tenant, asked.name, int(page.position))
        if found != place:
            await self._store.fed(found, outgoing, now_ns)
        self._wake(asked.notify if outgoing else ())
        return not page.complete

    def _page(self, asked: Percepts, place: Place | None) -> PerceptPage:
        """What follows a place; without one, or behind the log's end, it begins now."""
        if place is None or place.position > self._queries.log.head():
            return PerceptPage(items=[], position=str(self._queries.seen()), complete=True)
        question = PerceptsQuestion(
            after=str(place.position), limit=_PAGE, task=asked.task, min_novelty=asked.min_novelty
        )
        page = self._queries.ask(_ENDPOINT, question, (), tenant=asked.tenant)
        assert isinstance(page, PerceptPage)
        return page

    def close(self) -> None:
        """Close every file."""
        self._queries.close()


def _outgoing(
    asked: Percepts, receiver: str, percept: Any, file: AlertsFile, now_ns: int
) -> Outgoing:
    told = f"{percept.position}/{percept.run.task_id}/{percept.run.run_id}"
    notice = PerceptNotice.of(
        (receiver, asked.tenant, asked.name, told), subscription=asked.name, tenant=asked.tenant,
        at_ns=now_ns, link=file.link.rstrip("/"), percept=msgspec.to_builtins(percept),
    )  # fmt: skip
    return Outgoing(receiver=receiver, key=notice.id, body=msgspec.json.encode(notice))
