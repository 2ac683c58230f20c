"""From raw requests to durable events: one thread decodes and builds, for all connections.

Several decoding threads of one process were measured to be slower than one. Requests wait in a
queue bounded in bytes, in which tenants take turns; the thread takes what waits, decompresses and
decodes each on its own, builds one batch a signal and hands it to the door without waiting for
its commit. A request's answer resolves after the commit, in the door's thread. Where several
tenants send, groups are smaller, so that none waits long for another's. Where many small requests
come at once, the thread lingers for a moment, so that they share a segment and a commit; a lone
one never waits. At most `_HANDED_OVER` batches are at the door while the next group is decoded.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from events import metrics
from events.errors import Closing, SpanledgerError
from events.identity import Identity
from events.log.port import Appended, Door
from events.turns import Turns
from service.otlp.batch import BatchBuilder
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.decoder import decode_logs, decode_traces
from service.otlp.decode.json_body import decode_logs_json, decode_traces_json
from service.otlp.decode.limits import Limits
from service.otlp.decode.metric_count import count_metrics
from service.otlp.decompression import decompress
from service.otlp.request import Answer, Encoding, Outcome, Request, Signal
from service.otlp.scrub.scrubber import Scrubber

GROUP_BYTES: Final = 1_500_000
_SHARED_GROUP_BYTES: Final = 256 << 10
"""Where several tenants send."""
_GATHER_BYTES: Final = 64 << 10
_CROWD: Final = 4
"""Requests in one group from which on senders are taken to be many, and worth waiting for."""
_LINGER_S: Final = 0.002
_HANDED_OVER: Final = 2
_DECODERS: Final[dict[tuple[Signal, Encoding], Callable[[bytes, Limits], Decoded]]] = {
    (Signal.TRACES, Encoding.PROTOBUF): decode_traces,
    (Signal.TRACES, Encoding.JSON): decode_traces_json,
    (Signal.LOGS, Encoding.PROTOBUF): decode_logs,
    (Signal.LOGS, Encoding.JSON): decode_logs_json,
}
_log = logging.getLogger(__name__)
_Part = tuple[Request, Decoded]


class Pipeline:
    """Takes requests until drained. Safe for any number of threads.

    Args:
        queue_bytes: bodies that may wait to be decoded; a single request may be larger.
        inflated_bytes: the largest body once it is decompressed.
    """

    def __init__(
        self,
        door: Door,
        limits: Limits,
        scrubber: Scrubber | None,
        queue_bytes: int,
        inflated_bytes: int = 64 << 20,
    ) -> None:
        self._door = door
        self._limits = limits
        self._builder = BatchBuilder(Identity(door.identity_key), scrubber)
        self._inflated_bytes = inflated_bytes
        self._turns: Turns[Request] = Turns(queue_bytes)
        self._published = 0
        self._closing = False
        self._crowded = False
        self._changed = threading.Condition(threading.Lock())
        self._handed = 0  # batches at the door
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._thread.start()

    def scrub_with(self, scrubber: Scrubber | None, within_s: float = 2.0) -> None:
        """Scrub with another one from the next batch on; returns once those before are stored,
        or after `within_s`."""
        self._builder = BatchBuilder(Identity(self._door.identity_key), scrubber)
        with self._changed:
            self._changed.wait_for(lambda: not self._handed, within_s)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the bodies that wait to be decoded."""
        return self._turns.waiting_bytes

    def submit(self, request: Request) -> Answer:
        """Queue `request`; its answer.

        Raises:
            QueueFull: the bound in bytes is reached, or the tenant's share of it.
            Closing: nothing new is taken any more.
        """
        with self._changed:
            if self._closing:
                raise Closing("the service is stopping; send it again")
            self._turns.add(request)
            self._changed.notify()
        return request.answer

    def _run(self) -> None:
        while group := self._take():
            try:
                self._pass(group)
            except Exception as exc:
                # The thread must outlive any one group; its senders are told.
                _log.exception("group failed", extra={"action": "receive"})
                for request in group:
                    _fail(request, exc)

    def _take(self) -> list[Request]:
        """The next group, at least one request; empty at the end."""
        with self._changed:
            while not (self._turns or self._closing):
                self._changed.wait()
            waiting = self._turns.waiting_bytes
            lingering = self._crowded and waiting < _GATHER_BYTES and not self._closing
        if lingering:
            time.sleep(_LINGER_S)
        with self._changed:
            group = self._turns.take(self._group_bytes())
            self._crowded = len(group) >= _CROWD
            self._publish()
        return group

    def _group_bytes(self) -> int:
        return _SHARED_GROUP_BYTES if self._turns.are_several() else GROUP_BYTES

    def _publish(self) -> None:
        """Tell the gauge, once a group: it is shared, so only by what has changed."""
        waiting = self._turns.waiting_bytes
        metrics.QUEUE_BYTES.inc(waiting - self._published)
        self._published = waiting

    def _pass(self, group: list[Request]) -> None:
        decoded: list[_Part] = []
        size, most = 0, self._group_bytes()
        for number, request in enumerate(group):
            if request.answer.cancelled:  # whoever gave up waiting is left out
                continue
            if size >= 2 * most:  # bodies turned out to be larger than they seemed
                self._put_back(group[number:])
                break
            found, inflated = self._decode(request)
            size += inflated
            if found is not None:
                decoded.append((request, found))
        for signal in (Signal.TRACES, Signal.LOGS):
            parts = [part for part in decoded if part[0].signal is signal]
            stored = [part for part in parts if part[1].groups]
            for request, found in parts:
                if not found.groups:
                    _settle(request, found, None)
            if stored:
                self._hand_over(signal, stored)

    def _put_back(self, requests: list[Request]) -> None:
        with self._changed:
            self._turns.put_back(requests)
            self._publish()

    def _decode(self, request: Request) -> tuple[Decoded | None, int]:
        """What is in `request`, None if nothing is to be stored; and its size in bytes."""
        size = len(request.body)
        try:
            body = decompress(request.coding, request.body, self._inflated_bytes)
            size = len(body)
            if request.coding:
                with self._changed:
                    self._turns.charge(request.tenant, size - request.cost_bytes)
            if request.signal is Signal.METRICS:
                _drop_metrics(request, body)
                return None, size
            decoder = _DECODERS[request.signal, request.encoding]
            return decoder(body, self._limits), size
        except SpanledgerError as exc:
            _fail(request, exc)
        except Exception as exc:
            _log.exception("decoding failed", extra={"action": "receive"})
            _fail(request, exc)
        return None, size

    def _hand_over(self, signal: Signal, parts: list[_Part], *, alone: bool = False) -> None:
        """Build the batch of `parts` and give it to the door; without waiting for its commit."""
        try:
            batch = self._builder.build([(r.tenant, r.received_ns, found) for r, found in parts])
        except Exception as exc:
            if alone:
                _log.exception("building failed", extra={"action": "receive"})
                _fail(parts[0][0], exc)
            else:
                self._hand_over_each(signal, parts)
            return
        assert batch is not None
        with self._changed:
            self._changed.wait_for(lambda: self._handed < _HANDED_OVER)
            self._handed += 1
        try:
            appending = self._door.append_async(batch)
        except Exception as exc:
            appending = Future()
            appending.set_exception(exc)
        appending.add_done_callback(lambda done: self._committed(signal, parts, done))

    def _hand_over_each(self, signal: Signal, parts: list[_Part]) -> None:
        """One request cannot be built: pass each alone, decoded anew, as building changes rows."""
        for request, _ in parts:
            found, _ = self._decode(request)
            if found is not None:
                self._hand_over(signal, [(request, found)], alone=True)

    def _committed(self, signal: Signal, parts: list[_Part], appending: "Future[Appended]") -> None:
        with self._changed:
            self._handed -= 1
            self._changed.notify_all()
        error = appending.exception()
        if error is not None:
            for request, _ in parts:
                _fail(request, error)
            return
        appended = appending.result()
        metrics.EVENTS.labels(signal).inc(appended.stored)
        for request, decoded in parts:
            _settle(request, decoded, appended.through)

    def drain(self, deadline_s: float) -> bool:
        """Take nothing new and finish what waits; says whether it was done in time.

        What is left then is told to try again.
        """
        ends_s = time.monotonic() + deadline_s
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(deadline_s)
        done = not self._thread.is_alive()
        with self._changed:
            left_s = max(ends_s - time.monotonic(), 0)
            done = self._changed.wait_for(lambda: not self._handed, left_s) and done
        self._give_back(Closing("the service stopped before this was stored; send it again"))
        return done

    def _give_back(self, error: SpanledgerError) -> None:
        with self._changed:
            left = self._turns.take(1 << 62)
            self._publish()
        for request in left:
            _fail(request, error)


def _drop_metrics(request: Request, body: bytes) -> None:
    """Metrics are accepted, counted and dropped."""
    count = count_metrics(request.encoding, body)
    metrics.DROPPED.labels(Signal.METRICS).inc(count)
    request.answer.give(Outcome(accepted=count))


def _fail(request: Request, error: BaseException) -> None:
    request.answer.give(error)


def _settle(request: Request, decoded: Decoded, position: int | None) -> None:
    if decoded.refused:
        metrics.REFUSED.labels(request.signal, "bad_event").inc(decoded.refused)
    if decoded.unread_bytes:
        metrics.UNREAD.labels(request.signal).inc(decoded.unread_bytes)
    for what, count in decoded.cut.items():
        metrics.CUT.labels(what).inc(count)
    request.answer.give(
        Outcome(decoded.accepted, decoded.refused, tuple(decoded.reasons), position)
    )
