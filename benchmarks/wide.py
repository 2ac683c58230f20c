"""Memory of all roles with spans of 128 KiB, as prompts of language models make them.

Such spans are sent, the projector follows, a client reads the live tail from the log's start, and
at last everything is rebuilt. The figure is the most that all roles together held at one moment
(PSS), looked at five times a second.
"""

import contextlib
import random
import threading
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from benchmarks.figures import Figure
from benchmarks.running import Running, running, scratch
from benchmarks.sender import EXPORT
from service.control.socket import call

_TEXT_BYTES: Final = 63 << 10  # longer strings are cut
_REQUEST_SPANS: Final = 24  # 3 MiB
_IN_FLIGHT: Final = 8
_START_NS: Final = 1_780_000_000 * 10**9
_LOOK_S: Final = 0.2
_REBUILD_S: Final = 600.0


def run(quick: bool) -> list[Figure]:
    """Send, follow, rebuild; once."""
    spans = 2_400 if quick else 12_000
    with scratch() as folder, running(folder) as service:
        sent = _most_pss(service, lambda: _send(service, spans))
        rebuilt = _most_pss(service, lambda: _rebuild(service))
    return [
        Figure(
            name=f"memory of all roles (PSS), {what}", value=sum(used.values()), unit="MiB",
            floor=1024, bound="at most", roles="all", cores="2",
            load=f"{spans:,} attempts of 128 KiB",
            details={f"{name}_mib": value for name, value in used.items()},
        )
        for what, used in (("received, folded and followed", sent), ("rebuilt", rebuilt))
    ]  # fmt: skip


def _most_pss(service: Running, work: Callable[[], None]) -> dict[str, float]:
    """MiB of each role at the moment when all together held most while `work` ran."""
    most: dict[str, int] = {}
    done = threading.Event()
    failures: list[Exception] = []

    def carry_out() -> None:
        try:
            work()
        except Exception as exc:
            failures.append(exc)
        finally:
            done.set()

    thread = threading.Thread(target=carry_out)
    thread.start()
    while not done.wait(_LOOK_S):
        used = service.pss_bytes()
        if sum(used.values()) > sum(most.values()):
            most = used
    thread.join()
    for failure in failures:
        raise failure
    return {name: size / (1 << 20) for name, size in most.items()}


def _send(service: Running, spans: int) -> None:
    """Send wide spans while a client reads them from the live tail; then wait for the views."""
    with _following(service), grpc.insecure_channel(service.service.grpc) as channel:
        export = channel.unary_unary(EXPORT)
        flying: deque[Any] = deque()
        for body in _requests(spans // _REQUEST_SPANS):
            flying.append(export.future(body, timeout=60, wait_for_ready=True))
            if len(flying) >= _IN_FLIGHT:
                flying.popleft().result()
        while flying:
            flying.popleft().result()
        service.wait_for_views(service.head())


def _rebuild(service: Running) -> None:
    call(
        service.data, "projector", "rebuild", timeout_s=_REBUILD_S, on_progress=lambda _: None
    )  # fmt: skip


@contextlib.contextmanager
def _following(service: Running) -> Iterator[None]:
    """A client that reads the live tail from its start, as fast as it comes."""
    url = f"http://{service.service.api}/api/v1/events?after=0&heartbeat_s=0.2"
    leaving: Future[None] = Future()

    def follow() -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=60) as answer:
            while not leaving.done():
                answer.read1(1 << 20)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set_result(None)
        thread.join()


def _requests(count: int) -> Iterator[bytes]:
    """Requests of attempts that carry a prompt and an answer, every fourth failed with a text."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(2_000)]
    text = " ".join(rng.choices(words, k=40_000))
    for number in range(count):
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = "agents"
        spans = resource.scope_spans.add().spans
        spans.extend(_span(rng, text, number * _REQUEST_SPANS + n) for n in range(_REQUEST_SPANS))
        yield request.SerializeToString()


def _span(rng: random.Random, text: str, number: int) -> Span:
    start_ns = _START_NS + number * 10**6
    span = Span(
        trace_id=rng.randbytes(16), span_id=rng.randbytes(8), name="call model", kind=1,
        start_time_unix_nano=start_ns, end_time_unix_nano=start_ns + 10**9,
    )  # fmt: skip
    values = {"task.id": f"task-{number // 4}", "task.run.id": f"run-{number // 2}"}
    for key in ("prompt", "answer"):
        values[key] = _part(rng, text)
    for key, value in values.items():
        span.attributes.add(key=key).value.string_value = value
    if number % 4 == 0:
        span.status.code = Status.STATUS_CODE_ERROR
        event = span.events.add(name="exception", time_unix_nano=start_ns)
        for key in ("exception.type", "exception.message"):
            said = _part(rng, text) if key.endswith("message") else "ModelError"
            event.attributes.add(key=key).value.string_value = said
    return span


def _part(rng: random.Random, text: str) -> str:
    at = rng.randrange(len(text) - _TEXT_BYTES)
    return text[at : at + _TEXT_BYTES]
