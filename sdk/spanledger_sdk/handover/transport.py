"""To a service: at once if it answers, else by way of the spool, and later.

Called by one thread at a time, except for `give_up`.
"""

import random
import time
from collections.abc import Sequence
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


def spool_of(settings: Settings) -> Spool | MemorySpool:
    """On disk, or in memory where that is switched off or cannot be."""
    spools = settings_.spool_folder(settings)
    if spools is None:
        return MemorySpool()
    if not spool_.supported():
        say_once("there is no spool on this platform: what cannot be sent waits in memory")
        return MemorySpool()
    folder = spool_.folder_of(spools, settings.endpoint, settings.tenant)
    return Spool(folder, settings.spool_bytes)


class HttpTransport:
    """OTLP over HTTP, with a spool."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._poster = Poster(settings)
        self._spool = spool_of(settings)
        self._pause_s = 0.0
        self._not_before_s = 0.0
        self._on_the_way: Body | None = None

    def deliver(self, spans: Sequence[ReadableSpan], records: Sequence[Record]) -> None:
        for body in bodies_of(spans, records):
            if time.monotonic() < self._not_before_s or not self._send(body):
                self._spool.append(body)

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
        while self._not_before_s <= time.monotonic() < until_s and self._spool.send(self._send):
            sent = True
        return sent

    def give_up(self, spans: Sequence[ReadableSpan], records: Sequence[Record]) -> None:
        on_the_way = self._on_the_way
        if on_the_way is not None:  # perhaps sent twice, which the service recognises
            self._spool.append(on_the_way)
        for body in bodies_of(spans, records):
            self._spool.append(body)

    def waiting(self) -> bool:
        return self._spool.waiting()

    def after_fork(self) -> None:
        self._poster = Poster(self._settings)
        self._spool.after_fork()
        self._on_the_way = None

    def close(self) -> None:
        self._poster.close()
        self._spool.close()
