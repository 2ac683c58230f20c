"""The append door in the writer's process: a bounded queue and the thread that commits.

Whatever waits while a commit is under way forms the next group, so that the cost of a sync is
shared by all who wait for it.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from events import metrics
from events.errors import Closing, CommitFailed, LogDamaged, QueueFull, SpanledgerError, Unavailable
from events.log.port import Appended, Batch
from events.log.writer import LogWriter

GROUP_BYTES: Final = 8 << 20
GROUP_BATCHES: Final = 256

_log = logging.getLogger(__name__)
_Waiting = tuple[Batch, "Future[Appended]"]


class GroupDoor:
    """`Door` on the log of a data folder. Safe for any number of threads.

    Opening it opens the log, builds the duplicate index and starts the thread.

    Raises:
        LogDamaged: the log is not what it was.
        CommitFailed: the log cannot be opened for writing.
    """

    def __init__(
        self, data: Path, queue_bytes: int = 64 << 20, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._writer = LogWriter(data, clock)
        self.log_id = self._writer.log_id
        self.identity_key = self._writer.identity_key
        self._queue_bytes = queue_bytes
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._closing = False
        self.damage: LogDamaged | None = None
        self.failing = ""
        """Why the last commit failed; empty once one succeeds again."""
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def head(self) -> int:
        """The last committed position."""
        return self._writer.head.position

    def append(self, batch: Batch, *, timeout_s: float = 30.0) -> Appended:
        """See `Door.append`."""
        try:
            return self.append_async(batch).result(timeout_s)
        except TimeoutError as exc:
            raise Unavailable(f"no commit within {timeout_s:g} s; send it again") from exc

    def append_async(self, batch: Batch) -> "Future[Appended]":
        """See `Door.append_async`."""
        future: Future[Appended] = Future()
        size = len(batch.payload) + len(batch.ids)
        with self._changed:
            if self.damage is not None:
                raise Unavailable(f"the log takes nothing: {self.damage}", retry_after_s=30)
            if self._closing:
                raise Closing("the log is closing")
            if self._bytes + size > self._queue_bytes and self._waiting:
                raise QueueFull(f"{self._bytes} bytes wait for a commit, the bound is reached")
            self._waiting.append((batch, future))
            self._bytes += size
            metrics.QUEUE_BYTES.inc(size)
            self._changed.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if not self._waiting:
                    return
                group = self._take()
            self._commit(group)
            self._writer.checkpoint()

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and size < GROUP_BYTES and len(group) < GROUP_BATCHES:
            group.append(self._waiting.popleft())
            size += len(group[-1][0].payload) + len(group[-1][0].ids)
        self._bytes -= size
        metrics.QUEUE_BYTES.dec(size)
        return group

    def _commit(self, group: list[_Waiting]) -> None:
        started = time.perf_counter()
        results: list[Appended | SpanledgerError]
        try:
            results = self._writer.append_group([batch for batch, _ in group])
        except LogDamaged as exc:
            _log.critical("log damaged", extra={"action": "append", "error": str(exc)})
            self.damage = exc
            results = [Unavailable(f"the log takes nothing: {exc}", retry_after_s=30)] * len(group)
        except Exception as exc:
            # The thread must outlive any one group; its callers learn that nothing was stored.
            _log.exception("append failed", extra={"action": "append"})
            results = [Unavailable(f"the append failed: {exc!r}")] * len(group)
        refusals = [r for r in results if isinstance(r, CommitFailed)]
        self.failing = str(refusals[0]) if refusals else ""
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - started)
        metrics.LOG_HEAD.set(self.head)
        for (batch, future), result in zip(group, results, strict=True):
            if isinstance(result, Appended):
                metrics.DUPLICATES.inc(result.duplicates)
                if result.conflicts:
                    metrics.CONFLICTS.inc(result.conflicts)
                    _log.warning(
                        "idempotency keys sent again with other content; the first events stay",
                        extra={"action": "append", "conflicts": result.conflicts},
                    )
                metrics.LOG_BYTES.inc(len(batch.payload))
                future.set_result(result)
            else:
                future.set_exception(result)

    def drain(self, deadline_s: float = 10.0) -> bool:
        """Take nothing new and commit what waits; says whether it was done in time."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Drain and close the log; may be called twice."""
        if self.drain():
            self._writer.close()
