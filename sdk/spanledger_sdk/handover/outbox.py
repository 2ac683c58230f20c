"""A bounded queue in memory, and the thread that delivers what is in it.

`put` never blocks and never raises. The thread is started when something is first put, in a
forked child anew; at the end of the program what is left is sent, and kept if that takes long.
"""

import atexit
import multiprocessing
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from multiprocessing import util as multiprocessing_util
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan

from spanledger_sdk.guard import complain, troubles
from spanledger_sdk.handover.bell import Bell
from spanledger_sdk.handover.transport import Transport
from spanledger_sdk.lifecycle.record import Record

BATCH: Final = 512
AWAKE_S: Final = 5.0
"""How long the thread goes on looking by itself. While it does, nobody has to wake it: on a busy
machine who wakes a thread may lose the processor, and have it back some milliseconds later."""
FULL: Final = "spans and records were dropped: too many wait to be sent"

Ticker = Callable[[], bool]
"""Called each interval; returns whether it wants to be called again, though nothing is put."""


class Outbox:
    """Delivers spans and records in batches.

    Args:
        transport: where to; only ever used by the outbox's thread.
        limit_items: in the queue; what comes beyond is dropped and counted.
        interval_s: how long the first of a batch waits for others.
        exit_timeout_s: how long the end of the program may be held up.
    """

    def __init__(
        self, transport: Transport, limit_items: int, interval_s: float, exit_timeout_s: float
    ) -> None:
        self._transport = transport
        self._limit_items = limit_items
        self._interval_s = interval_s
        self._exit_timeout_s = exit_timeout_s
        self.tickers: list[Ticker] = []
        self.forgetters: list[Callable[[], None]] = []
        """Called in a forked child."""
        self._clear()
        self._dropped = 0
        _outboxes.add(self)
        if multiprocessing.parent_process() is not None:  # imported there, so not forked with us
            _flush_multiprocessing_children(None)

    def _clear(self) -> None:
        self._queue: deque[ReadableSpan | Record] = deque()
        self._awake = Bell()
        self._full = Bell()
        self._delivering = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._late = False
        self._asleep = True  # there is no thread yet

    def put(self, item: ReadableSpan | Record) -> bool:
        """Have it delivered soon; False if there is no room for it. Never blocks."""
        queue = self._queue
        length = len(queue)
        if length >= self._limit_items or self._closed:
            self._dropped += 1
            return False
        queue.append(item)
        if length >= BATCH:
            self._full.ring()
        elif self._asleep:
            self.wake()
        return True

    def wake(self) -> None:
        """Have the tickers called from now on."""
        self._awake.ring()
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._work, name="spanledger-sdk", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter ends; the last flush sends it
                    return
                self._thread = thread

    def _work(self) -> None:
        busy = True  # what an earlier process left is to be looked for once
        idle_until_s = 0.0
        self._asleep = False
        while not self._closed:
            if busy or self._queue:
                idle_until_s = time.monotonic() + AWAKE_S
            elif time.monotonic() > idle_until_s:
                self._sleep()
            self._full.wait(self._interval_s)
            self._full.hush()
            try:
                busy = sum(ticker() for ticker in self.tickers) > 0  # each of them is called
                self.deliver()
                if not self._closed:
                    with self._delivering:
                        self._transport.catch_up()
                busy = self._transport.waiting() or busy
            except Exception as exc:
                complain("spans and records could not be delivered", exc)
                time.sleep(self._interval_s)

    def _sleep(self) -> None:
        """Until something is put, or `wake` is called."""
        self._asleep = True
        if not self._queue and not self._closed:  # else whoever put it may have seen us awake
            self._awake.wait(None)
        self._asleep = False
        self._awake.hush()

    def deliver(self) -> None:
        """Deliver what is in the queue now."""
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            complain(FULL, "", dropped)
        with self._delivering:
            while self._queue:
                self._transport.deliver(*self._take())
                self._late = False

    def _take(self) -> tuple[list[ReadableSpan], list[Record]]:
        spans: list[ReadableSpan] = []
        records: list[Record] = []
        for _ in range(BATCH):
            try:
                item = self._queue.popleft()
            except IndexError:
                break
            if type(item) is Record:
                if not (item.unless_ended and item.span.end_time is not None):
                    records.append(item)
            else:
                spans.append(item)  # type: ignore[arg-type]
        return spans, records

    def flush(self, timeout_s: float) -> bool:
        """Deliver what is in the queue; False if that takes longer than `timeout_s`."""
        if not self._queue and not self._delivering.locked():
            return True
        return self._within(timeout_s, self.deliver)

    def _within(self, timeout_s: float, work: Callable[[], None]) -> bool:
        """Do it in a thread that may be left behind; whether it was done, and all delivered."""

        def guarded() -> None:
            try:
                work()
            except Exception as exc:
                complain("spans and records could not be delivered", exc)

        helper = threading.Thread(target=guarded, daemon=True)
        try:
            helper.start()
        except RuntimeError:  # no thread can be started any more: the interpreter ends
            return False
        helper.join(timeout_s)
        return not helper.is_alive() and not self._queue

    def finish(self) -> None:
        """Deliver what is left, and what was kept; what takes longer than allowed is kept."""
        try:
            self._finish()
        except Exception as exc:
            complain("what was left could not be delivered", exc)

    def _finish(self) -> None:
        deadline_s = time.monotonic() + self._exit_timeout_s

        def work() -> None:
            self.deliver()
            with self._delivering:
                while time.monotonic() < deadline_s and self._transport.catch_up():
                    continue

        if not self._queue and not self._transport.waiting():
            done = not self._delivering.locked() or self.flush(self._exit_timeout_s)
        else:
            done = not self._late and self._within(self._exit_timeout_s, work)
        if not done:
            self._late = True  # whoever asks next need not wait again
            while self._queue:
                self._transport.give_up(*self._take())
            self._transport.give_up([], [])
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            complain(FULL, "", dropped)

    def close(self) -> None:
        """`finish`, and take nothing more. May be called twice."""
        if not self._closed:
            self.finish()
            self._closed = True
            self._awake.ring()
            self._full.ring()
            self._transport.close()

    def after_fork(self) -> None:
        """In a child: what waits is its parent's, and so is the thread."""
        self._clear()
        self._dropped = 0
        self._transport.after_fork()
        for forget in self.forgetters:
            forget()


_outboxes: "weakref.WeakSet[Outbox]" = weakref.WeakSet()


def close_all() -> None:
    """At the end of the process."""
    for outbox in list(_outboxes):
        outbox.close()


def _after_fork() -> None:
    troubles.forget()
    for outbox in list(_outboxes):
        outbox.after_fork()


def _flush_multiprocessing_children(_: object) -> None:
    """Children of `multiprocessing` end by `os._exit`, and run only its own finalizers."""
    multiprocessing_util.Finalize(None, close_all, exitpriority=1)


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
multiprocessing_util.register_after_fork(close_all, _flush_multiprocessing_children)
