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
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Literal

from events import metrics
from events.errors import LogDamaged, SpanledgerError
from events.log.port import LogReader
from service.forward.backoff import Backoff
from service.forward.client import Answer, Client, Verdict, connect
from service.forward.cursor import CursorStore, Parked, ParkedRow, Place, check_place
from service.forward.encode import Item, Signal, frame_request
from service.forward.target import Target
from service.forward.window import LIMIT_BYTES, Window, WindowReader

log = logging.getLogger(__name__)

State = Literal["starting", "sending", "idle", "waiting", "barred", "paused", "stopped"]

POLL_S: Final = 0.2
CHECK_S: Final = 5.0
"""How often an idle sender compares its cursor with the log again."""

TURN_WINDOWS: Final = 16
"""Windows of one partition before the others and what was requeued get their turn."""

FAILED_TRIES: Final = 5
"""How often a request is sent on which the target failed before its events are suspected."""


class _Interrupted(Exception):
    """The sender was stopped, or the store says other than what it is working on."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a sender is doing, and until when it waits (0: it does not)."""

    state: State
    error: str = ""
    retry_ns: int = 0


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
    ) -> None:
        self.target = target
        self.condition = Condition("starting")
        self._store = store
        self._open_log = open_log
        self._limit_bytes = limit_bytes
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
                log.error("forwarding stopped", extra=self._told(exc, "forward_stopped"))
                self._become("stopped", str(exc))
                self._rest(None)
            except SpanledgerError as exc:
                self._become("waiting", str(exc))
                self._rest(self._backoff.next_s())
            except Exception as exc:  # the outermost loop: nothing may end a target silently
                log.exception("forwarding failed", extra=self._told(exc, "forward_failed"))
                self._become("waiting", f"{type(exc).__name__}: {exc}")
                self._rest(self._backoff.next_s())

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

    def _follow(self, reader: LogReader) -> None:
        """Send what the log holds and will hold."""
        place_target(self._store, self.target, reader, from_start=True)
        self._places = self._store.places(self.target.name)
        windows = WindowReader(reader, self.target.signals, self._limit_bytes)
        checked_s = -CHECK_S
        while True:
            if time.monotonic() - checked_s >= CHECK_S:
                for place in self._places.values():
                    check_place(reader, place)
                checked_s = time.monotonic()
            while row := self._store.requeued(self.target.name):
                self._send_again(row, reader, windows)
            moved = [self._send_new(windows, place) for place in self._places.values()]
            if not any(moved):
                self._become("idle")
                self._awake.wait(POLL_S)
            self._check()

    def _send_new(self, windows: WindowReader, place: Place) -> bool:
        """Send what comes after `place`, up to a turn's length; whether there was anything."""
        after = place
        for window in islice(windows.windows(after), TURN_WINDOWS):
            sent, parked = self._send_window(window)
            if not self._store.advance(
                self.target.name, window.place, window.through, sent, parked
            ):
                raise _Interrupted
            place = self._places[place.partition] = window.through
            self._check()
        return place is not after

    def _send_again(self, row: ParkedRow, reader: LogReader, windows: WindowReader) -> None:
        """Send a requeued run; what is refused again is parked anew."""
        digest = reader.hash_at(row.partition, row.first - 1)
        sent, parked = 0, list[Parked]()
        if row.log_id != reader.log_id or digest is None:
            error = "these positions are no longer in this log"
            parked.append(Parked(row.partition, row.first, row.last, row.count, False, error))
        else:
            before = Place(row.partition, row.first - 1, digest, row.log_id, 0)
            for window in windows.windows(before, through=row.last):
                taken, refused = self._send_window(window)
                sent, parked = sent + taken, parked + refused
        self._store.unpark(row, sent, parked)

    def _send_window(self, window: Window) -> tuple[int, list[Parked]]:
        """Send every request of a window; how many events were taken, and what was not."""
        sent, parked = 0, list(window.unsendable)
        for (tenant, signal), items in window.requests.items():
            taken, refused = self._send_items(window.place.partition, signal, tenant, items)
            metrics.FORWARDED.labels(self.target.name, signal).inc(taken)
            sent, parked = sent + taken, parked + refused
        if parked:
            count = sum(run.count for run in parked)
            metrics.FORWARD_PARKED.labels(self.target.name).inc(count)
            facts = self._told(parked[-1].error, "forward_parked")
            log.warning("events were refused and parked", extra=facts | {"count": count})
        return sent, join_runs(parked)

    def _send_items(
        self, partition: int, signal: Signal, tenant: str, items: list[Item]
    ) -> tuple[int, list[Parked]]:
        """Send one request; halve what is refused until the bad events stand alone."""
        sent, refused = 0, list[Parked]()
        parts, tries = [items], FAILED_TRIES
        while parts:
            part = parts.pop()
            answer = self._send_part(signal, tenant, frame_request(part), tries)
            span = (partition, part[0].position, part[-1].position)
            if answer.verdict is Verdict.TAKEN:
                lost = min(answer.rejected, len(part))
                sent += len(part) - lost
                if lost:
                    refused.append(Parked(*span, lost, lost < len(part), answer.message))
            elif len(part) == 1:
                refused.append(Parked(*span, 1, False, answer.message))
            else:
                parts += [part[len(part) // 2 :], part[: len(part) // 2]]
                tries = 1
        return sent, refused

    def _send_part(self, signal: Signal, tenant: str, request: bytes, tries: int) -> Answer:
        """Send until the target takes it or refuses it for good, waiting as it asks."""
        while True:
            if self.condition.state not in ("waiting", "barred"):
                self._become("sending")
            answer = self._client.send(signal, tenant, request)
            tries -= answer.verdict is Verdict.FAILED
            over = answer.verdict is Verdict.FAILED and tries <= 0
            if answer.verdict in (Verdict.TAKEN, Verdict.REFUSED) or over:
                self._backoff.reset()
                self._become("sending")
                return answer
            barred = answer.verdict is Verdict.BARRED
            wait_s = self._backoff.next_s(answer.retry_after_s)
            self._become("barred" if barred else "waiting", answer.message, wait_s)
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

    def _become(self, state: State, error: str = "", wait_s: float = 0.0) -> None:
        """Tell what the sender does; a change of its error is kept for later, too."""
        retry_ns = time.time_ns() + int(wait_s * 1e9) if wait_s else 0
        if error != self.condition.error:
            if error:
                log.warning("forwarding waits", extra=self._told(error, "forward_waits"))
            with suppress(SpanledgerError):  # on a full disk the log line has to do
                self._store.set_error(self.target.name, error)
        self.condition = Condition(state, error, retry_ns)

    def _told(self, error: object, action: str) -> dict[str, object]:
        return {"action": action, "target": self.target.name, "error": str(error)}


def place_target(
    store: CursorStore, target: Target, reader: LogReader, *, from_start: bool
) -> None:
    """Give a target a cursor in every partition where it has none.

    Args:
        from_start: the target began before the log or its partition did, so the head then was 0.
    """
    known = store.places(target.name)
    for partition in reader.partitions:
        if partition in known:
            continue
        position = 0
        if target.start.isdecimal():
            position = min(int(target.start), reader.head(partition).position)
        elif target.start == "head" and not from_start:
            position = reader.head(partition).position
        digest = reader.hash_at(partition, position)
        assert digest is not None  # the head only ever moves on
        store.place(target.name, partition, position, digest, reader.log_id)


def join_runs(parked: list[Parked]) -> list[Parked]:
    """Neighbours that were refused for the same reason, as one run."""
    joined: list[Parked] = []
    for run in sorted(parked):
        last = joined[-1] if joined else None
        if (
            last
            and not (last.partial or run.partial)
            and last.error == run.error
            and ((last.partition, last.last + 1) == (run.partition, run.first))
        ):
            joined[-1] = replace(last, last=run.last, count=last.count + run.count)
        else:
            joined.append(run)
    return joined
