"""The append door in the writer's process: a bounded queue and the thread that commits.

What waits while a commit is under way forms the next group, so that the cost of a sync is shared
by all who wait for it. Tenants take turns; where several send, groups are smaller, so that none
waits long for what others brought through further receivers.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from events import metrics
from events.errors import Closing, CommitFailed, LogDamaged, SpanledgerError, Unavailable
from events.log.port import Appended, Batch
from events.log.writer import LogWriter
from events.turns import Turns

GROUP_BYTES: Final = 8 << 20
GROUP_BATCHES: Final = 256
_SHARED_GROUP_BYTES: Final = 512 << 10
"""Where several tenants send: a few thousand events, some milliseconds of work."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A batch at the door, and who waits for it."""

    batch: Batch
    future: "Future[Appended]"

    @property
    def tenant(self) -> str:
        return self.batch.tenant

    @property
    def size_bytes(self) -> int:
        return self.batch.size_bytes

    @property
    def cost_bytes(self) -> int:
        return self.batch.size_bytes


class GroupDoor:
    """`Door` on the log of a data folder. Safe for any number of threads.

    Opening it opens the log, builds the duplicate index and starts the thread.

    Raises:
        LogDamaged: the log is not what it was.
        CommitFailed: the log cannot be opened for writing.
    """

    def __init__(
        self,
        data: Path,
        queue_bytes: int = 64 << 20,
        clock: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._writer = LogWriter(data, clock, steady)
        self.heard_again = self._writer.repeats.heard_again
        self.log_id = self._writer.log_id
        self.identity_key = self._writer.identity_key
        self._waiting: Turns[_Waiting] = Turns(queue_bytes)
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
        with self._changed:
            if self.damage is not None:
                raise Unavailable(f"the log takes nothing: {self.damage}", retry_after_s=30)
            if self._closing:
                raise Closing("the log is closing")
            self._waiting.add(_Waiting(batch, future))
            metrics.QUEUE_BYTES.inc(batch.size_bytes)
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
        most = _SHARED_GROUP_BYTES if self._waiting.are_several() else GROUP_BYTES
        before = self._waiting.waiting_bytes
        group = self._waiting.take(most, GROUP_BATCHES)
        metrics.QUEUE_BYTES.dec(before - self._waiting.waiting_bytes)
        return group

    def _commit(self, group: list[_Waiting]) -> None:
        started = time.perf_counter()
        results: list[Appended | SpanledgerError]
        try:
            results = self._writer.append_group([waiting.batch for waiting in group])
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
        for waiting, result in zip(group, results, strict=True):
            batch, future = waiting.batch, waiting.future
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
