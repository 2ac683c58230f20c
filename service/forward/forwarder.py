"""The forwarder: one thread a target, all of them fed from the log alone.

No rebuild of a projection sends anything again; the views only say which trace a run's tries go
to, where a target asks for that.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from events import metrics
from events.errors import LogDamaged, NoLog, SpanledgerError
from events.log.lag import behind
from events.log.port import LogReader
from projections.stable_traces import StableTraces
from service.forward.backoff import Backoff
from service.forward.by_run import PATIENCE_S, ByRun
from service.forward.condition import Condition
from service.forward.cursor import CursorStore
from service.forward.sender import Sender, place_target
from service.forward.target import Target
from service.forward.window import LIMIT_BYTES

log = logging.getLogger(__name__)

LAG_EVERY_S: Final = 1.0
GRACE_S: Final = 2.0
"""How long a request under way may take to end when forwarding stops."""


class Forwarder:
    """Forwards the log of a data folder to `targets`; the only writer of `forward.db`.

    Args:
        open_log: opens a reader of the log; each thread opens its own.
        limit_bytes: most bytes of one request before compression.
        backoff: makes the waits of one target.
        patience_s: the longest that events wait for the views, where a target asks for them.
    """

    def __init__(
        self,
        data: Path,
        targets: Sequence[Target],
        open_log: Callable[[], LogReader],
        *,
        limit_bytes: int = LIMIT_BYTES,
        backoff: Callable[[], Backoff] = Backoff,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.store = CursorStore(data)
        self._open_log = open_log
        self._place_all(targets)
        self._senders = {
            target.name: Sender(
                target, self.store, open_log, backoff=backoff(), limit_bytes=limit_bytes,
                by_run=ByRun(StableTraces(data), patience_s) if target.by_run else None,
            )
            for target in targets
        }  # fmt: skip

    def run(self, stop: threading.Event) -> None:
        """Forward until `stop` is set; returns when every thread has ended."""
        started_s = time.monotonic()
        threads = [
            threading.Thread(target=sender.run, name=f"forward-{name}", daemon=True)
            for name, sender in self._senders.items()
        ]
        for thread in threads:
            thread.start()
        log.info("forwarding", extra={"action": "forward_start", "targets": list(self._senders)})
        while not stop.wait(LAG_EVERY_S):
            self._measure()
        self._end(threads)
        self.store.close()
        log.info(
            "forwarding ended",
            extra={"action": "forward_end", "seconds": time.monotonic() - started_s},
        )

    def conditions(self) -> dict[str, Condition]:
        """What each target's sender is doing."""
        return {name: sender.condition for name, sender in self._senders.items()}

    def wake(self, target: str) -> None:
        """Let a target see what was changed in the store."""
        if sender := self._senders.get(target):
            sender.wake()

    def _place_all(self, targets: Sequence[Target]) -> None:
        """Give new targets their first cursor before anything more is stored.

        Without a log they are only made known: all of it comes after that moment, however often
        forwarding starts again until there is one.
        """
        try:
            with closing(self._open_log()) as reader:
                for target in targets:
                    place_target(self.store, target, reader)
        except NoLog:
            for target in targets:
                self.store.add_target(target.name, target.url)
        except LogDamaged as exc:  # each sender meets it too, and stands still
            log.error(
                "the log cannot be read", extra={"action": "forward_start", "error": str(exc)}
            )

    def _measure(self) -> None:
        try:
            with closing(self._open_log()) as reader:
                for name in self._senders:
                    if places := self.store.places(name):
                        cursor = {p: place.position for p, place in places.items()}
                        metrics.FORWARD_LAG_EVENTS.labels(name).set(behind(reader, cursor).events)
        except SpanledgerError as exc:
            log.debug("the lag cannot be told now", extra={"action": "lag", "error": str(exc)})

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        for sender in self._senders.values():
            sender.stop()
        deadline_s = time.monotonic() + GRACE_S
        for thread in threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        for sender in self._senders.values():
            sender.close()
        for thread in threads:
            thread.join(GRACE_S)
