"""One target's loop: read a window, send it, move the cursor; at least once.

The cursor moves only after a target took or finally refused everything before it, so a restart
sends at most one window again. Memory holds one window and one page of segments, however long
an outage lasts. Pausing, rewinding and stopping take effect between two requests and during
every wait.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import islice
from typing import Any, Final

from events import metrics
from events.errors import CommitFailed, LogDamaged, SpanledgerError, Unavailable
from events.log.port import LogReader
from service.forward.backoff import Backoff
from service.forward.by_run import ByRun
from service.forward.client import Answer, Client, Verdict, connect
from service.forward.condition import Condition, State
from service.forward.cursor import CursorStore, Parked, ParkedRow, Place, check_place
from service.forward.encode import Item, Signal, frame_request
from service.forward.outcome import Outcome, join_runs
from service.forward.target import Target
from service.forward.window import LIMIT_BYTES, Window, WindowReader

log = logging.getLogger(__name__)

POLL_S: Final = 0.2
CHECK_S: Final = 5.0
"""How often an idle sender compares its cursor with the log again."""

TURN_WINDOWS: Final = 16
"""Windows of one partition before the others and what was requeued get their turn."""

FAILED_TRIES: Final = 5
"""How often a request is sent on which the target failed before its events are suspected."""

FAILED_IN_A_ROW: Final = 64
"""Requests in a row on which the target failed, before it is suspected and not the events."""


class TargetFails(Unavailable):
    """The target fails on whatever is sent: it is at fault, and waited for."""


class _Interrupted(Exception):
    """The sender was stopped, or the store says other than what it is working on."""


class Sender:
    """Sends one target everything after its cursor until it is stopped."""

    def __init__(
        self,
        target: Target,
        store: CursorStore,
        open_log: Callable[[], LogReader],
        *,
        backoff: Backoff | None = None,
        limit_bytes: int = LIMIT_BYTES,
        by_run: ByRun | None = None,
    ) -> None:
        self.target = target
        self.condition = Condition("starting")
        self._store = store
        self._open_log = open_log
        self._limit_bytes = limit_bytes
        self._by_run = by_run
        self._backoff = backoff or Backoff()
        self._client: Client = connect(target)
        self._places: dict[int, Place] = {}
        self._stopping = threading.Event()
        self._awake = threading.Event()

    def run(self) -> None:
        """Forward until `stop`; whatever goes wrong is told and tried again."""
        while not self._stopping.is_set():
            try:
                if self._store.paused(self.target.name):
                    self._become("paused")
                    self._rest(None)
                else:
                    with closing(self._open_log()) as reader:
                        self._follow(reader)
            except _Interrupted:
                continue
            except LogDamaged as exc:
                log.error("forwarding stopped", extra=self._log_fields(exc, "forward_stopped"))
                self._become("stopped", str(exc))
                self._rest(None)
            except SpanledgerError as exc:
                self._rest_for(str(exc))
            except Exception as exc:  # the outermost loop: nothing may end a target silently
                log.exception("forwarding failed", extra=self._log_fields(exc, "forward_failed"))
                self._rest_for(f"{type(exc).__name__}: {exc}")

    def wake(self) -> None:
        """Look at the store again: something was paused, resumed, moved or requeued."""
        self._awake.set()

    def stop(self) -> None:
        """Send nothing more; a request under way may still end."""
        self._stopping.set()
        self._awake.set()

    def close(self) -> None:
        """Break off a request under way; its events are sent again after the next start."""
        self._client.close()
        if self._by_run:
            self._by_run.close()

    def _follow(self, reader: LogReader) -> None:
        """Send what the log holds and will hold."""
        place_target(self._store, self.target, reader)
        self._places = self._store.places(self.target.name)
        windows = WindowReader(reader, self.target.signals, self._limit_bytes, self._by_run)
        checked_s = -CHECK_S
        while True:
            if time.monotonic() - checked_s >= CHECK_S:
                for place in self._places.values():
                    check_place(reader, place)
                checked_s = time.monotonic()
            if row := self._store.requeued(self.target.name):
                self._send_again(row, reader, windows)
            moved = [self._send_new(windows, place) for place in self._places.values()]
            if not row and not any(moved):
                self._become("idle")
                self._awake.wait(POLL_S)
            self._check()

    def _send_new(self, windows: WindowReader, place: Place) -> bool:
        """Send what comes after `place`, up to a turn's length; whether there was anything."""
        after = place
        for window in islice(windows.new_windows(after), TURN_WINDOWS):
            self._record(self._advance, window, self._send_window(window))
            place = self._places[place.partition] = window.through
            self._check()
        return place is not after

    def _advance(self, window: Window, done: Outcome) -> None:
        if not self._store.advance(
            self.target.name, window.place, window.through, done.sent, done.parked
        ):
            raise _Interrupted

    def _send_again(self, row: ParkedRow, reader: LogReader, windows: WindowReader) -> None:
        """Send a requeued run; what is refused again is parked anew."""
        digest = reader.hash_at(row.partition, row.first - 1)
        again = Outcome()
        if row.log_id != reader.log_id or digest is None:
            error = "these positions are no longer in this log"
            again.parked.append(Parked(row.partition, row.first, row.last, row.count, False, error))
        else:
            before = Place(row.partition, row.first - 1, digest, row.log_id, 0)
            for window in windows.windows(before, through=row.last):
                done = self._send_again_window(window)
                again.sent += done.sent
                again.parked += done.parked
                self._check()
        self._record(self._store.unpark, row, again.sent, again.parked)

    def _send_again_window(self, window: Window) -> Outcome:
        """Send a window that was parked; a target that fails must not keep new events waiting."""
        try:
            return self._send_window(window)
        except TargetFails as exc:
            first, last = window.place.position + 1, window.through.position
            count = sum(map(len, window.requests.values())) + len(window.unsendable)
            run = Parked(window.place.partition, first, last, count, False, str(exc))
            return Outcome(parked=[run])

    def _record(self, store: Callable[..., None], *what: Any) -> None:
        """Keep what became of events; nothing more is sent while the disk refuses that."""
        while True:
            try:
                return store(*what)
            except CommitFailed as exc:
                self._wait("waiting", str(exc), self._backoff.next_s())

    def _send_window(self, window: Window) -> Outcome:
        """Send every request of a window.

        Raises:
            TargetFails: it fails on whatever is sent; nothing is parked for that.
        """
        done = Outcome(parked=list(window.unsendable))
        for (tenant, signal), items in window.requests.items():
            before = done.sent
            self._send_items(window.place.partition, tenant, signal, items, done)
            metrics.FORWARDED.labels(self.target.name, signal).inc(done.sent - before)
        if done.suspected:
            self._prove(done, done.parked[-1].error)
        if done.parked:
            count = sum(run.count for run in done.parked)
            metrics.FORWARD_PARKED.labels(self.target.name).inc(count)
            facts = self._log_fields(done.parked[-1].error, "forward_parked")
            log.warning("events were refused and parked", extra=facts | {"count": count})
            done.parked = join_runs(done.parked)
        return done

    def _send_items(
        self, partition: int, tenant: str, signal: Signal, items: list[Item], done: Outcome
    ) -> None:
        """Send one request; halve what is refused until the bad events stand alone."""
        parts, tries = [items], FAILED_TRIES
        while parts:
            part = parts.pop()
            answer = self._send_part(tenant, signal, part, tries)
            failed = answer.verdict is Verdict.FAILED
            done.failed = done.failed + 1 if failed else 0
            span = (partition, part[0].position, part[-1].position)
            if answer.verdict is Verdict.TAKEN:
                lost = min(answer.rejected, len(part))
                done.sent += len(part) - lost
                if lost:
                    done.parked.append(Parked(*span, lost, lost < len(part), answer.message))
                else:
                    done.proof = tenant, signal, part[0]
            elif len(part) == 1:
                done.parked.append(Parked(*span, 1, False, answer.message))
                done.suspected |= failed
            else:
                parts += [part[len(part) // 2 :], part[: len(part) // 2]]
                tries = 1
            if done.failed >= FAILED_IN_A_ROW:
                self._prove(done, answer.message)

    def _prove(self, done: Outcome, message: str) -> None:
        """See that events are at fault, and not the target: it takes again what it took.

        Raises:
            TargetFails: it does not, or has taken nothing of the window.
        """
        if done.proof:
            tenant, signal, item = done.proof
            if self._send_part(tenant, signal, [item], 1).verdict is Verdict.TAKEN:
                done.failed = 0
                return
        raise TargetFails(f"it fails on whatever is sent: {message}")

    def _send_part(self, tenant: str, signal: Signal, part: list[Item], tries: int) -> Answer:
        """Send until the target takes it or refuses it for good, waiting as it asks."""
        request = frame_request(part)
        while True:
            if self.condition.state not in ("waiting", "barred"):
                self._become("sending")
            answer = self._client.send(signal, tenant, request)
            tries -= answer.verdict is Verdict.FAILED
            if answer.verdict is Verdict.FAILED and tries <= 0:
                return answer
            if answer.verdict in (Verdict.TAKEN, Verdict.REFUSED):
                self._backoff.reset()
                self._become("sending")
                return answer
            barred = answer.verdict is Verdict.BARRED
            wait_s = self._backoff.next_s(answer.retry_after_s)
            self._wait("barred" if barred else "waiting", answer.message, wait_s)

    def _wait(self, state: State, error: str, wait_s: float) -> None:
        """Wait as `state`, because of `error`; left off as in `_check`."""
        self._become(state, error, wait_s)
        self._awake.wait(wait_s)
        self._check()

    def _check(self) -> None:
        """Leave off if the sender was stopped or paused, or its cursor put elsewhere."""
        if self._stopping.is_set():
            raise _Interrupted
        if self._awake.is_set():
            self._awake.clear()
            known = {p: place.epoch for p, place in self._places.items()}
            now = {p: place.epoch for p, place in self._store.places(self.target.name).items()}
            if known != now or self._store.paused(self.target.name):
                raise _Interrupted

    def _rest(self, seconds: float | None) -> None:
        """Wait, for good if need be, until `wake` or `stop`."""
        self._awake.wait(seconds)
        self._awake.clear()

    def _rest_for(self, error: str) -> None:
        """Wait before everything is tried again, because of `error`."""
        wait_s = self._backoff.next_s()
        self._become("waiting", error, wait_s)
        self._rest(wait_s)

    def _become(self, state: State, error: str = "", wait_s: float = 0.0) -> None:
        """Tell what the sender does; a change of its error is kept for later, too."""
        retry_ns = time.time_ns() + int(wait_s * 1e9) if wait_s else 0
        if error != self.condition.error:
            if error:
                log.warning("forwarding waits", extra=self._log_fields(error, "forward_waits"))
            with suppress(SpanledgerError):  # on a full disk the log line has to do
                self._store.set_error(self.target.name, error)
        self.condition = Condition(state, error, retry_ns)

    def _log_fields(self, error: object, action: str) -> dict[str, object]:
        return {"action": action, "target": self.target.name, "error": str(error)}


def place_target(store: CursorStore, target: Target, reader: LogReader) -> None:
    """Make a target known, with a cursor in every partition where it has none.

    One that was known began before the log or its partition did, so the head then was 0.
    """
    is_known = target.name in {row.name for row in store.targets()}
    places = store.places(target.name)
    for partition in reader.partitions:
        if partition in places:
            continue
        position = 0
        if target.start.isdecimal():
            position = min(int(target.start), reader.head(partition).position)
        elif target.start == "head" and not is_known:
            position = reader.head(partition).position
        digest = reader.hash_at(partition, position)
        assert digest is not None  # the head only ever moves on
        store.place(target.name, partition, position, digest, reader.log_id)
    store.add_target(target.name, target.url)
