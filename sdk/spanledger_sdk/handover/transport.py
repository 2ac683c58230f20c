"""To a service: at once if it answers, else by way of the spool, and later.

Called by one thread at a time, except for `give_up`.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from opentelemetry.sdk.trace import ReadableSpan

from spanledger_sdk import settings as settings_
from spanledger_sdk.guard import complain, say_once
from spanledger_sdk.handover import spool as spool_
from spanledger_sdk.handover.encode import Body, bodies_of
from spanledger_sdk.handover.memory import MemorySpool
from spanledger_sdk.handover.post import Poster
from spanledger_sdk.handover.spool import Spool
from spanledger_sdk.lifecycle.record import Record
from spanledger_sdk.settings import Settings

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
CATCH_UP_S: Final = 1.0
"""How long what waited is sent in one go; then what is new has its turn."""
AWAY: Final = "the service does not take what is sent, it waits"
REFUSED: Final = "spans and records were refused by the service"


class Transport(Protocol):
    """Where an outbox delivers to."""

    def deliver(self, spans: Sequence[ReadableSpan], records: Sequence[Record]) -> None:
        """Send, or keep, or drop and count. May take a while, and raises nothing."""
        ...

    def catch_up(self) -> bool:
        """Send some of what was kept, if it is time; whether any was sent."""
        ...

    def give_up(self, spans: Sequence[ReadableSpan], records: Sequence[Record]) -> None:
        """Keep these and what is being sent: the program ends, and there is no time."""
        ...

    def waiting(self) -> bool:
        """Whether something was kept."""
        ...

    def after_fork(self) -> None:
        """In a child: nothing of what was open is its own."""
        ...

    def close(self) -> None:
        """Give connections and files up."""
        ...


def spool_of(settings: Settings) -> Spool | None:
    """The one on disk; None where it is switched off or cannot be."""
    spools = settings_.spool_folder(settings)
    if spools is None:
        return None
    if not spool_.supported():
        say_once("there is no spool on this platform: what cannot be sent waits in memory")
        return None
    folder = spool_.folder_of(spools, settings.endpoint, settings.tenant)
    return Spool(folder, settings.spool_bytes)


class Kept:
    """What waits: on disk, and in memory where there is no disk or it cannot be written."""

    def __init__(self, settings: Settings) -> None:
        self._disk = spool_of(settings)
        self._memory = MemorySpool()

    def append(self, body: Body) -> None:
        """Keep it; the oldest go first when there is no room."""
        if self._disk is None or not self._disk.append(body):
            self._memory.append(body)

    def send(self, take: Callable[[Body], bool]) -> bool:
        """Give some to `take`; whether there was any, and it is gone."""
        return self._memory.send(take) or (self._disk is not None and self._disk.send(take))

    def waiting(self) -> bool:
        """Whether anything waits."""
        return self._memory.waiting() or (self._disk is not None and self._disk.waiting())

    def after_fork(self) -> None:
        """In a child: what is in memory is the parent's, and so is the open file."""
        self._memory.after_fork()
        if self._disk is not None:
            self._disk.after_fork()

    def close(self) -> None:
        """What is on disk stays; what is in memory is lost, and counted."""
        self._memory.close()
        if self._disk is not None:
            self._disk.close()


class HttpTransport:
    """OTLP over HTTP, with a spool."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._poster = Poster(settings)
        self._kept = Kept(settings)
        self._pause_s = 0.0
        self._not_before_s = 0.0
        self._on_the_way: Body | None = None

    def deliver(self, spans: Sequence[ReadableSpan], records: Sequence[Record]) -> None:
        for body in bodies_of(spans, records):
            if time.monotonic() < self._not_before_s or not self._send(body):
                self._kept.append(body)

    def _send(self, body: Body) -> bool:
        """Whether it is dealt with: taken, or refused for good."""
        self._on_the_way = body
        answer = self._poster.post(body)
        self._on_the_way = None
        if answer.verdict == "again":
            complain(AWAY, answer.why)
            self._pause(answer.retry_after_s)
            return False
        if answer.verdict == "refused":
            complain(REFUSED, answer.why, body.items)
        elif answer.refused:
            complain(REFUSED, answer.why, answer.refused)
        self._pause_s = 0.0
        return True

    def _pause(self, wanted_s: float) -> None:
        """Do not try for a while: twice as long each time, or as long as the service asks."""
        longer_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        self._pause_s = longer_s
        wait_s = wanted_s or longer_s * random.uniform(0.5, 1.0)
        self._not_before_s = time.monotonic() + wait_s

    def catch_up(self) -> bool:
        until_s, sent = time.monotonic() + CATCH_UP_S, False
        while self._not_before_s <= time.monotonic() < until_s and self._kept.send(self._send):
            sent = True
        return sent

    def give_up(self, spans: Sequence[ReadableSpan], records: Sequence[Record]) -> None:
        on_the_way = self._on_the_way
        if on_the_way is not None:  # perhaps sent twice, which the service recognises
            self._kept.append(on_the_way)
        for body in bodies_of(spans, records):
            self._kept.append(body)

    def waiting(self) -> bool:
        return self._kept.waiting()

    def after_fork(self) -> None:
        self._poster = Poster(self._settings)
        self._kept.after_fork()
        self._on_the_way = None

    def close(self) -> None:
        self._poster.close()
        self._kept.close()
