"""The alerts of a data folder at work: evaluate, put on record, deliver, again and again.

One asyncio loop: it waits on timers and on many slow peers, which is what asyncio is for. Questions
to the views go to one worker thread, appending to the log to another.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from events import metrics
from events.times import SECOND_NS
from service.alerts import facts
from service.alerts.alert import Alert, Change, Step, Told, advance, resolve
from service.alerts.evaluation import Evaluation, Outcome
from service.alerts.file import load
from service.alerts.maintenance import is_muted
from service.alerts.notice import LOG, Outgoing, notices
from service.alerts.percepts import Feeding
from service.alerts.rule import AlertsFile, Rule
from service.alerts.sending.deliveries import Deliveries, try_receiver
from service.alerts.sending.guard import Network
from service.alerts.store import Store, open_store
from service.append.appender import Appender

RESOLVED_KEPT_NS: Final = 86400 * SECOND_NS
_PRUNE_EVERY: Final = 1_000
_log = logging.getLogger(__name__)


class Engine:
    """Runs until it is stopped; see `open_engine`. Used in one event loop."""

    def __init__(
        self,
        path: Path,
        file: AlertsFile,
        store: Store,
        deliveries: Deliveries,
        evaluation: Evaluation,
        feeding: Feeding,
        *,
        allowed: Sequence[Network],
        clock: Callable[[], int],
    ) -> None:
        self._path = path
        self._file = file
        self._store = store
        self._deliveries = deliveries
        self._evaluation = evaluation
        self._feeding = feeding
        self._allowed = allowed
        self._clock = clock
        self._kept: dict[str, Alert] = {}
        self._problems: dict[str, str] = {}
        self._evaluated_ns: int | None = None
        self._changed = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what is being delivered then is delivered again later."""
        self._kept = await self._store.alerts()
        await self._follow()
        feeding = asyncio.create_task(self._feeding.run(lambda: self._file, stop))
        try:
            await self._evaluate_all(stop)
        finally:
            stop.set()
            await feeding

    async def _evaluate_all(self, stop: asyncio.Event) -> None:
        with ThreadPoolExecutor(1, "alerts-views") as thread:
            for count in _counting(stop):
                try:
                    await self._evaluate(thread)
                    if count % _PRUNE_EVERY == 0:
                        await self._store.prune(self._clock())
                except Exception as exc:  # such as a full disk: the next one may come through
                    metrics.ALERT_EVALUATIONS.labels("failed").inc()
                    _log.error("an evaluation failed; it goes on", exc_info=exc,
                               extra={"action": "alerts"})  # fmt: skip
                await _first_of(self._file.every / SECOND_NS, stop, self._changed)
                self._changed.clear()
                self._deliveries.check()

    async def _follow(self) -> None:
        """Deliver to the receivers that the file has now, and give up what others were to get."""
        names = [LOG, *(receiver.name for receiver in self._file.receiver)]
        count = await self._store.follow(names, self._file.percepts, self._clock())
        if count:
            extra = {"action": "alerts", "notices": count}
            _log.warning("notices were given up: their receivers are no more", extra=extra)
        await self._deliveries.follow(self._file)

    async def _evaluate(self, thread: Executor) -> None:
        """One evaluation of all rules, and what follows from it."""
        rules = self._file.rule
        loop = asyncio.get_running_loop()
        outcomes = await loop.run_in_executor(thread, self._evaluation.evaluate, rules)
        if rules is self._file.rule:  # else others came into force meanwhile
            await self._take(outcomes)

    async def _take(self, outcomes: Sequence[Outcome]) -> None:
        """Put on record what the rules found, and what follows from it."""
        now_ns = self._clock()
        self._problems = {one.rule.name: one.problem for one in outcomes if one.problem}
        for one in outcomes:
            metrics.ALERT_EVALUATIONS.labels("failed" if one.problem else "done").inc()
        differing: dict[str, Alert | None] = {}
        changes: list[tuple[Change, Alert]] = []
        told: list[tuple[Rule | None, Told, Alert]] = []
        for rule, one_id, step in self._steps(outcomes, now_ns):
            alert = None if _is_old(step.alert, rule, now_ns) else step.alert
            if alert != self._kept.get(one_id):
                differing[one_id] = alert
            if alert is not None and step.change is not None:
                changes.append((step.change, alert))
            if alert is not None and step.tell is not None:
                told.append((rule, step.tell, alert))
        outgoing = [facts.outgoing(*change, now_ns) for change in changes]
        outgoing += notices(told, self._file, now_ns)
        await self._keep(differing, changes, outgoing, now_ns)

    async def _keep(
        self,
        differing: dict[str, Alert | None],
        changes: list[tuple[Change, Alert]],
        outgoing: list[Outgoing],
        now_ns: int,
    ) -> None:
        if differing:
            await self._store.advance(differing, changes, outgoing, now_ns)
        kept = self._kept | differing
        self._kept = {one: alert for one, alert in kept.items() if alert is not None}
        self._evaluated_ns = now_ns
        self._deliveries.wake({row.receiver for row in outgoing})
        await self._publish()

    def _steps(
        self, outcomes: Sequence[Outcome], now_ns: int
    ) -> Iterator[tuple[Rule | None, str, Step]]:
        """What becomes of each alert; those of rules that were not evaluated stay as they are."""
        of_rule: dict[tuple[str, str], dict[str, Alert]] = {}
        for one_id, alert in self._kept.items():
            of_rule.setdefault((alert.tenant, alert.rule), {})[one_id] = alert
        for outcome in outcomes:
            rule = outcome.rule
            kept = of_rule.pop((rule.tenant, rule.name), {})
            if outcome.problem:
                continue
            muted = is_muted(self._file.maintenance, rule.name, now_ns)
            for one_id, step in advance(kept, outcome.found, rule, now_ns, muted=muted).items():
                yield rule, one_id, step
        for left in of_rule.values():  # their rules are no more
            for one_id, alert in left.items():
                yield None, one_id, _without_rule(alert, now_ns)

    async def _publish(self) -> None:
        metrics.ALERTS.clear()
        states = Counter((alert.state, alert.severity) for alert in self._kept.values())
        for (state, severity), count in states.items():
            if state != "resolved":
                metrics.ALERTS.labels(state, severity).set(count)
        waiting = await self._store.waiting()
        metrics.ALERT_OUTBOX.clear()
        for name in self._deliveries.names:
            for what, count in zip(("waiting", "parked"), waiting.get(name, (0, 0)), strict=True):
                metrics.ALERT_OUTBOX.labels(name, what).set(count)

    # What can be asked of it.

    async def reload(self) -> dict[str, Any]:
        """Go by the file as it is now.

        Raises:
            BadRules: it cannot be used; what was in force stays so.
        """
        self._file = load(self._path)
        await self._follow()
        self._changed.set()
        return {"rules": len(self._file.rule), "receivers": len(self._file.receiver)}

    async def test(self, receiver: str) -> dict[str, Any]:
        """Tell a receiver of a trial alert, once; what it answered."""
        answer = await try_receiver(self._file, receiver, self._allowed, self._clock())
        return answer._asdict()

    async def retry(self, receiver: str) -> dict[str, Any]:
        """Deliver again what was given up."""
        count = await self._store.retry(receiver, self._clock())
        self._deliveries.wake([receiver])
        return {"receiver": receiver, "count": count}

    async def status(self) -> dict[str, Any]:
        """The rules that could not be evaluated, and when they were last."""
        return {
            "file": str(self._path),
            "rules": len(self._file.rule),
            "receivers": [receiver.name for receiver in self._file.receiver],
            "evaluated_ns": self._evaluated_ns,
            "problems": self._problems,
        }


@asynccontextmanager
async def open_engine(
    data: Path,
    path: Path,
    appender: Appender,
    allowed: Sequence[Network],
    clock: Callable[[], int] = time.time_ns,
) -> AsyncIterator[Engine]:
    """The alerts of a data folder; every file is closed and every task ended with the block.

    Args:
        path: the file of rules.
        allowed: networks that receivers may be in beside public addresses.

    Raises:
        BadRules: the file cannot be used.
    """
    file = load(path)
    evaluation = Evaluation(data, clock)
    try:
        async with open_store(data) as store:
            deliveries = Deliveries(store, appender, allowed, clock)
            feeding = Feeding(data, store, deliveries.wake, clock)
            try:
                yield Engine(
                    path, file, store, deliveries, evaluation, feeding, allowed=allowed,
                    clock=clock,
                )  # fmt: skip
            finally:
                await deliveries.end()
                feeding.close()
    finally:
        evaluation.close()
        appender.close()


def _counting(stop: asyncio.Event) -> Iterator[int]:
    count = 0
    while not stop.is_set():
        yield count
        count += 1


async def _first_of(seconds: float, *events: asyncio.Event) -> None:
    """Wait so long, or until one of the events is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _is_old(alert: Alert | None, rule: Rule | None, now_ns: int) -> bool:
    """Whether it was resolved so long ago that it is only history: no cool-down asks for it."""
    if alert is None or alert.resolved_ns is None or alert.state != "resolved":
        return False
    cool_down_ns = 0 if rule is None else rule.cool_down
    return now_ns - alert.resolved_ns >= max(RESOLVED_KEPT_NS, cool_down_ns)


def _without_rule(alert: Alert, now_ns: int) -> Step:
    if alert.state == "firing":
        return resolve(alert, now_ns)
    return Step(alert if alert.state == "resolved" else None)
