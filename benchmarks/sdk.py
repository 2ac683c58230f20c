"""What the SDK costs the thread that runs an attempt, over OpenTelemetry's SDK alone.

Attempts with the SDK and spans without it take turns in one loop, so both meet the same machine.
Processor time of the calling thread, p50; and while the receiver hangs, what a slow one waits:
wall time, in the quietest of several windows: on a busy machine any thread waits now and then.
"""

import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median, quantiles
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.figures import Figure
from spanledger_sdk import LifecycleProcessor, attempt, attempts, settings, task, tracing
from spanledger_sdk.handover.outbox import Outbox
from spanledger_sdk.handover.processor import HandoverProcessor
from spanledger_sdk.handover.transport import HttpTransport
from spanledger_sdk.settings import Settings

_PLAIN_US: Final = 22.3
"""Of a span with `start_as_current_span` where nothing else runs; the floors are in µs over it."""
_OVER: Final = (_PLAIN_US + 5) / _PLAIN_US
_LIFECYCLE_OVER: Final = (_PLAIN_US + 30) / _PLAIN_US
_STALLED_FLOOR: Final = 200.0
_WINDOWS: Final = 8
_SAID: Final = {
    "task.id": "invoice.charge", "task.name": "Charge an invoice", "task.run.id": "order-1",
    "task.attempt": 2, "task.retry_of": "1", "task.max_attempts": 3, "task.queue": "billing",
    "task.group.id": "nightly", "customer.tier": "gold", "customer.region": "eu",
    "order.items": 3, "order.total": 12.5,
}  # fmt: skip
"""The twelve attributes of an attempt; what the SDK sets itself is left out of its own."""
_MORE: Final = {key: value for key, value in _SAID.items() if not key.startswith("task.")}

Piece = Callable[[], None]


class _Nowhere(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def run(quick: bool) -> list[Figure]:
    """Medians of a few loops."""
    rounds = 4_000 if quick else 20_000
    return [*_costs(rounds), *_stalled(1.0 if quick else 3.0)]


def _attempt() -> None:
    with attempt(
        "invoice.charge", "order-1", number=2, name="Charge an invoice", group_id="nightly",
        queue="billing", max_attempts=3, attributes=_MORE,
    ):  # fmt: skip
        pass


@task("invoice.charge", name="Charge an invoice", group_id="nightly", queue="billing",
      run_id=lambda: "order-1", attributes=_MORE)  # fmt: skip
def _task() -> None:
    pass


def _plain(provider: TracerProvider) -> Piece:
    tracer = provider.get_tracer("plain")

    def piece() -> None:
        with tracer.start_as_current_span("invoice.charge", attributes=_SAID):
            pass

    return piece


def _provider() -> TracerProvider:
    return TracerProvider(resource=Resource({}), shutdown_on_exit=False)


@contextlib.contextmanager
def _lifecycle(provider: TracerProvider, spans_too: bool) -> Iterator[None]:
    with _hanging() as url:
        force = Settings(endpoint=url, spool="off", queue_items=1 << 20)
        outbox = Outbox(HttpTransport(force), force.queue_items, 0.2, 0.1)
        provider.add_span_processor(LifecycleProcessor(outbox, spans_too=spans_too))
        yield
        outbox._queue.clear()  # nobody waits for what a benchmark said
        provider.shutdown()


def _costs(rounds: int) -> list[Figure]:
    settings.put_in_force(Settings())
    bare, ours = _provider(), _provider()
    for provider in (bare, ours):
        provider.add_span_processor(BatchSpanProcessor(_Nowhere()))
    tracing.choose(ours)
    plain, function, block = _take_turns([_plain(bare), _task, _attempt], rounds)
    with _cpu_of_all():
        plain_1, measured = _take_turns([_plain(bare), _task], rounds)
    with _lifecycle(ours, spans_too=False):
        plain_2, followed, followed_block = _take_turns([_plain(bare), _task, _attempt], rounds)
    bare.shutdown()

    def figure(
        name: str, us: float, unit: str, floor: float | None = None, **more: float
    ) -> Figure:
        return Figure(
            name=name, value=us, unit=unit, roles="the program's thread", cores="1",
            load="12 attributes", floor=floor, bound="at most", details=more,
        )  # fmt: skip

    ratio, followed_ratio = function / plain, followed / plain_2
    details = {"block": block / plain, "with_cpu_figure": measured / plain_1}
    of_block = followed_block / plain_2
    return [
        figure("OpenTelemetry's SDK alone, p50", plain, "µs/attempt"),
        figure("SDK, to it", ratio, "×", _OVER, **details),
        figure("SDK with lifecycle, to it", followed_ratio, "×", _LIFECYCLE_OVER, block=of_block),
    ]


@contextlib.contextmanager
def _cpu_of_all() -> Iterator[None]:
    """As if all attempts lasted long enough for a figure of their processor time."""
    kept = vars(attempts)["CPU_FROM_NS"]
    vars(attempts)["CPU_FROM_NS"] = 0
    yield
    vars(attempts)["CPU_FROM_NS"] = kept


def _take_turns(pieces: list[Piece], rounds: int) -> list[float]:
    """The p50 of each, in µs of processor time of this thread."""
    clock = time.thread_time_ns
    for piece in pieces:
        for _ in range(500):
            piece()
    taken: list[list[int]] = [[] for _ in pieces]
    for _ in range(rounds):
        for piece, found in zip(pieces, taken, strict=True):
            before = clock()
            piece()
            found.append(clock() - before)
    asking = median(-(clock() - clock()) for _ in range(1_000))
    return [(median(found) - asking) / 1e3 for found in taken]


def _stalled(seconds: float) -> list[Figure]:
    """Wall time of an attempt at 500 a second while the receiver hangs, against the plain SDK."""
    with _hanging() as url, tempfile.TemporaryDirectory() as spool:
        force = Settings(endpoint=url, spool=spool, timeout_s=1.0, exit_timeout_s=0.1)
        settings.put_in_force(force)
        bare, ours = _provider(), _provider()
        exporter = OTLPSpanExporter(f"{url}/v1/traces", timeout=1)
        bare.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200))
        outbox = Outbox(HttpTransport(force), force.queue_items, 0.2, 0.1)
        ours.add_span_processor(LifecycleProcessor(outbox, spans_too=True))
        ours.add_span_processor(HandoverProcessor(outbox))
        tracing.choose(ours)
        pairs = [_paced([_plain(bare), _attempt], seconds) for _ in range(_WINDOWS)]
        outbox.close()
    tracing.choose(None)
    plain, followed = (min(found) for found in zip(*pairs, strict=True))
    over = followed - plain
    return [
        Figure(
            name="receiver hangs: SDK with lifecycle and spool, over the plain SDK, p99.9",
            value=over, unit="µs/attempt", roles="the program's thread", cores="1",
            load="500/s", floor=_STALLED_FLOOR, bound="at most",
            details={"SDK": followed, "plain": plain},
        )
    ]  # fmt: skip


def _paced(pieces: list[Piece], seconds: float) -> list[float]:
    """The p99.9 of each, in µs of wall time, taking turns."""
    taken: list[list[int]] = [[] for _ in pieces]
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for piece, found in zip(pieces, taken, strict=True):
            time.sleep(0.001)
            before = time.perf_counter_ns()
            piece()
            found.append(time.perf_counter_ns() - before)
    return [quantiles(found, n=1_000)[-1] / 1e3 for found in taken]


@contextlib.contextmanager
def _hanging() -> Iterator[str]:
    """A receiver that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for connection in held:
            connection.close()
