"""The metrics of all processes of a service, asked for over their control sockets.

The last word of each process is kept, and what one that ended had counted stays in the sums: a
sum never falls for as long as the gatherer lives, whatever is killed and started again. A process
that ends by itself tells its figures with its last breath; of one that is killed, what it counted
since it was asked last, `EVERY_S` ago at most, is lost. One that hangs stands as it was heard
last, and `spanledger_process_up` says so. Nothing of this touches the disk.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from events.errors import SpanledgerError
from events.metrics import PROCESS_UP
from service.control.socket import NoAnswer, call
from service.telemetry.samples import Scrape, Totals, scrape, text_of

EVERY_S: Final = 2.0
ANSWER_S: Final = 1.0
"""The longest wait for a process that hangs; all are asked at once."""
_AT_ONCE: Final = 16
_log = logging.getLogger(__name__)


class Gatherer:
    """Gathers for one service; safe for several threads.

    Args:
        own: the instance that this process is; it is not asked.
        others: the instances that may be asked now.
    """

    def __init__(self, data: Path, own: str, others: Callable[[], Collection[str]]) -> None:
        self._data = data
        self._own = own
        self._others = others
        self._lock = threading.Lock()
        self._last: dict[str, Scrape] = {}
        self._gone: set[str] = set()
        self._ended = Totals()
        self._pool = ThreadPoolExecutor(_AT_ONCE, "metrics")

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """Gather again and again within the block, so that little is lost with a process."""
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(stop,), name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY_S):
            self.gather()

    def text(self) -> str:
        """The metrics of this moment in Prometheus's text format."""
        self.gather()
        with self._lock:
            total = Totals()
            total.add(self._ended.families(), alive=False)
            for instance, last in sorted(self._last.items(), key=lambda pair: pair[1].told_ns):
                total.add(last.families, alive=instance not in self._gone)
        return text_of(total.families())

    def gather(self) -> None:
        """Ask every process once, in `ANSWER_S` or little more."""
        with self._lock:
            asked = sorted(({*self._others()} | {*self._last}) - {self._own})
        for instance, heard in zip(asked, self._pool.map(self._ask, asked), strict=True):
            if isinstance(heard, Scrape):
                self.take(heard)
                PROCESS_UP.labels(heard.instance).set(1)
            elif instance in self._last:
                PROCESS_UP.labels(instance).set(0)
                if isinstance(heard, NoAnswer):
                    _log.debug("no metrics", extra={"action": "metrics", "error": str(heard)})
                else:
                    self._gone.add(instance)
        self.take(scrape(self._own))

    def take(self, heard: Scrape) -> None:
        """Keep what a process told; what was overtaken by later words is left out."""
        with self._lock:
            before = self._last.get(heard.instance)
            if before is not None and heard.told_ns < before.told_ns:
                return
            if before is not None and before.process != heard.process:
                self._ended.add(before.families, alive=False)
            self._last[heard.instance] = heard
            self._gone.discard(heard.instance)

    def _ask(self, instance: str) -> Scrape | SpanledgerError:
        """What `instance` tells; NoAnswer if it hangs, another error if it does not run."""
        try:
            answer = call(self._data, instance, "metrics", timeout_s=ANSWER_S)
        except SpanledgerError as exc:
            return exc
        return msgspec.convert(answer, Scrape)
