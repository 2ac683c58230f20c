"""What a sender sends again is stored once, and its answer says where to read it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from tests.otlp import START_NS, make_span, to_json, traces
from tests.resending import attempts_request, names_in, post_grpc, post_http
from tests.serving import Service, serving

pytestmark = pytest.mark.slow

RESENDS = 100


@pytest.fixture(scope="module", params=["1", "2"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """With the writer in the receiver's process, and with a writer of its own."""
    with serving(tmp_path_factory.mktemp("service"), "--workers", request.param) as it:
        yield it


def stored(service: Service) -> int:
    return int(service.ask("/api/v1/log/head")["position"])


def test_the_same_request_a_hundred_times(service: Service) -> None:
    """Over every transport and encoding, one after the other and at once: stored once."""
    before = stored(service)
    message = attempts_request("again", 1, Random(1))
    body, json = message.SerializeToString(), to_json(message)
    sends = [
        lambda: post_grpc(service.grpc, body),
        lambda: post_http(service.http, body),
        lambda: post_http(service.http, json, "application/json"),
    ]
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(sends[number % 3]) for number in range(RESENDS)]
        positions = {future.result() for future in futures}
    assert stored(service) == before + len(names_in(message))
    assert all(int(position or 0) >= stored(service) for position in positions)


def test_one_span_id_and_two_times(service: Service) -> None:
    """Orchestrators use a span's id for every try: spans that differ are both stored."""
    before = stored(service)
    first = make_span(trace_id=b"t" * 16, attributes={"task.id": "twice", "task.attempt": 1})
    second = make_span(
        trace_id=b"t" * 16, attributes={"task.id": "twice", "task.attempt": 1},
        start_time_unix_nano=START_NS + 50, end_time_unix_nano=START_NS + 90,
    )  # fmt: skip
    position = post_grpc(service.grpc, traces(first).SerializeToString())
    position = post_http(service.http, traces(second).SerializeToString())
    assert stored(service) == before + 2
    found = service.ask(f"/api/v1/traces/{(b't' * 16).hex()}?min_position={position}")
    assert len(found["spans"]) == 2
    assert len(found["attempts"]) == 2


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_reading_what_was_just_written(transport: str, service: Service) -> None:
    """The position of an answer covers every event of the request, duplicates included."""
    post = {"grpc": post_grpc, "http": post_http}[transport]
    address = getattr(service, transport)
    for number in range(10):
        task = f"own-{transport}-{number}"
        span = make_span(span_id=Random(task).randbytes(8), attributes={"task.id": task})
        old = traces(span).SerializeToString()
        position = post(address, old)
        (item,) = service.ask(f"/api/v1/tasks/{task}/runs?min_position={position}")["items"]
        assert item["task_id"] == task
        again = post(address, old)
        assert int(again or 0) >= int(position or 0)
        assert service.ask(f"/api/v1/tasks/{task}?min_position={again}")["task_id"] == task
