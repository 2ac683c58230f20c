"""All deliveries at work: one for each receiver of the file, and one for the log."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial

import msgspec

from events.errors import NotFound, Rejected, SpanledgerError
from events.times import SECOND_NS
from projections.mapping.rules.problems import near
from service.alerts.alert import Alert
from service.alerts.facts import Recorded
from service.alerts.notice import LOG, PerceptNotice, notice_in, notice_of
from service.alerts.rule import AlertsFile, Receiver
from service.alerts.sending.delivery import Delivery, Send, Sending
from service.alerts.sending.guard import Network
from service.alerts.sending.sender import Answer, Sender
from service.alerts.sending.shapes import request_of
from service.alerts.store import Store
from service.append.appender import Appender, Entry


class Deliveries:
    """The tasks that deliver; used in one event loop.

    Args:
        allowed: networks that receivers may be in beside public addresses.
    """

    def __init__(
        self,
        store: Store,
        appender: Appender,
        allowed: Sequence[Network],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._allowed = allowed
        self._clock = clock
        self._log_sending: Sending = partial(_appending, appender)
        self._deliveries: dict[str, Delivery] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._following = asyncio.Lock()  # a reload may come while another ends the tasks

    @property
    def names(self) -> list[str]:
        """Whom something is delivered to."""
        return list(self._tasks)

    def wake(self, names: Iterable[str]) -> None:
        """There may be something for these."""
        for name in names:
            if name in self._deliveries:
                self._deliveries[name].wake()

    async def follow(self, file: AlertsFile) -> None:
        """Deliver to the receivers of `file`, and to no others."""
        async with self._following:
            await self.end()
            self._begin(LOG, self._log_sending, file)
            for receiver in file.receiver:
                sending = partial(sending_to, receiver, self._allowed, self._clock)
                self._begin(receiver.name, sending, file)

    def _begin(self, name: str, sending: Sending, file: AlertsFile) -> None:
        delivery = Delivery(
            name, self._store, sending, give_up_ns=int(file.give_up), clock=self._clock
        )
        self._deliveries[name] = delivery
        self._tasks[name] = asyncio.create_task(delivery.run(), name=f"alerts to {name}")

    def check(self) -> None:
        """Raise what a delivery failed of that should never fail."""
        for task in self._tasks.values():
            if task.done():
                task.result()

    async def end(self) -> None:
        """Stop; what is under way is delivered again later."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        self._deliveries.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def sending_to(
    receiver: Receiver, allowed: Sequence[Network], clock: Callable[[], int] = time.time_ns
) -> AsyncIterator[Send]:
    """How a receiver is told of notices."""
    sender = Sender(allowed, receiver.timeout / SECOND_NS)

    async def send(body: bytes) -> Answer:
        notice = notice_in(body)
        if isinstance(notice, PerceptNotice) and receiver.type != "webhook":
            return Answer("unreadable", "percepts go to receivers of type webhook")
        return await sender.post(request_of(receiver, notice, clock()))

    try:
        yield send
    finally:
        await sender.close()


@asynccontextmanager
async def _appending(
    appender: Appender,
) -> AsyncIterator[Send]:
    """How the log is told of facts: the door blocks, so it has a thread of its own."""
    thread = ThreadPoolExecutor(1, "alerts-log")
    loop = asyncio.get_running_loop()
    try:
        yield lambda body: loop.run_in_executor(thread, _append, appender, body)
    finally:
        thread.shutdown(wait=False)  # the loop must not wait for a door that hangs


def _append(appender: Appender, body: bytes) -> Answer:
    recorded = msgspec.json.decode(body, type=Recorded)
    try:
        appender.append_all([Entry(recorded.tenant, [recorded.fact])])
    except Rejected as exc:
        return Answer("refused", str(exc))
    except (SpanledgerError, OSError) as exc:
        return Answer("later", str(exc))
    return Answer("taken")


async def try_receiver(
    file: AlertsFile, name: str, allowed: Sequence[Network], now_ns: int
) -> Answer:
    """Tell a receiver of a trial alert, once, beside the outbox.

    Raises:
        NotFound: there is none of that name.
    """
    receivers = {receiver.name: receiver for receiver in file.receiver}
    if name not in receivers:
        raise NotFound(f"no receiver {name!r}{near(name, receivers)}")
    notice = notice_of("test", [_trial(now_ns)], receivers[name], file, None, now_ns)
    async with sending_to(receivers[name], allowed) as send:
        return await send(msgspec.json.encode(notice))


def _trial(now_ns: int) -> Alert:
    return Alert(
        id="0" * 32, rule="test", kind="test", tenant="default", severity="info",
        labels={"task": "test"}, state="firing", value=1.0,
        summary="A trial: Spanledger can reach this receiver.", details={}, since_ns=now_ns,
        held_ns=now_ns, fired_ns=now_ns, resolved_ns=now_ns,
    )  # fmt: skip
