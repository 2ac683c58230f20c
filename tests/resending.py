"""Senders that lose nothing: each request is sent again until it is acknowledged.

That is what the OTLP specification asks of a sender on a retryable error and on a connection that
broke. Every span has a name of its own, by which it is found again wherever it went.
"""

import http.client
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from events import names
from tests.otlp import START_NS, make_span, pair, to_json, traces

SPANS: Final = 20
TRACES_METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_TIMEOUT_S: Final = 5.0
_SECOND_NS: Final = 1_000_000_000


class Refused(Exception):
    """An answer other than success; `permanent` ones must not be sent again."""

    def __init__(self, code: object, message: str, *, permanent: bool) -> None:
        super().__init__(f"{code}: {message}")
        self.permanent = permanent


def attempts_request(sender: str, number: int, chance: random.Random) -> ExportTraceServiceRequest:
    """A request of `SPANS` attempts of a few tasks; some fail, some repeat a run."""
    spans = []
    for place in range(SPANS):
        failed = chance.random() < 0.25
        start_ns = START_NS + chance.randrange(3600) * _SECOND_NS
        stack = f'File "{sender}.py", line {chance.randrange(5)}, in charge'
        event = Span.Event(
            time_unix_nano=start_ns + 5,
            name="exception",
            attributes=[
                pair(names.EXCEPTION_TYPE, "OSError"),
                pair(names.EXCEPTION_MESSAGE, f"order {chance.randrange(9)} is broken"),
                pair(names.EXCEPTION_STACKTRACE, stack),
            ],
        )
        spans.append(
            make_span(
                trace_id=chance.randbytes(16), span_id=chance.randbytes(8),
                name=f"{sender}/{number}/{place}",
                start_time_unix_nano=start_ns,
                end_time_unix_nano=start_ns + chance.randrange(9) * _SECOND_NS,
                status=Status(code=2 if failed else 1, message="broken" if failed else ""),
                events=[event] if failed else [],
                attributes={
                    names.TASK_ID: f"task-{chance.randrange(40)}",
                    names.TASK_RUN_ID: f"run-{chance.randrange(2000)}",
                },
            )
        )  # fmt: skip
    return traces(*spans)


def names_in(request: ExportTraceServiceRequest) -> list[str]:
    """The names of a request's spans."""
    return [
        span.name
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def post_grpc(address: str, body: bytes, method: str = TRACES_METHOD) -> str | None:
    """Send over a connection of its own; the position that the answer names.

    Raises:
        Refused: the answer is an error, or there is none.
    """
    with grpc.insecure_channel(address, options=[("grpc.enable_retries", 0)]) as channel:
        try:
            answer, call = channel.unary_unary(method).with_call(body, timeout=_TIMEOUT_S)
        except grpc.RpcError as exc:
            code: Any = exc.code()
            passing = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED"}
            raise Refused(code, exc.details(), permanent=code.name not in passing) from exc
    if answer:
        raise Refused("partial success", repr(answer), permanent=True)
    return dict(call.trailing_metadata()).get(names.POSITION_HEADER)


def post_http(
    address: str, body: bytes, content_type: str = "application/x-protobuf", **headers: str
) -> str | None:
    """Send over a connection of its own; the position that the answer names.

    Raises:
        Refused: the answer is an error, or there is none.
    """
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_S)
    try:
        headers = {"content-type": content_type} | headers
        connection.request("POST", "/v1/traces", body, headers)
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException) as exc:
        raise Refused("no answer", repr(exc), permanent=False) from exc
    finally:
        connection.close()
    if answer.status != 200 or said not in (b"", b"{}"):
        permanent = answer.status not in (429, 502, 503, 504)
        raise Refused(answer.status, repr(said[:200]), permanent=permanent)
    return answer.getheader(names.POSITION_HEADER)


class Resender(threading.Thread):
    """Sends requests of attempts, one after the other, each until it is acknowledged.

    Args:
        address: where to now, asked before each try; empty while there is nothing.
        transport: `grpc`, `http` or `json`.
        failing: how long one request may go without an answer before the sender gives up.
    """

    def __init__(
        self, name: str, transport: str, address: Callable[[], str], *, pause_s: float = 0.05,
        failing_s: float = 60.0,
    ) -> None:  # fmt: skip
        super().__init__(name=name, daemon=True)
        self._transport = transport
        self._address = address
        self._pause_s = pause_s
        self._failing_s = failing_s
        self._ended = threading.Event()
        self.acknowledged: set[str] = set()
        self.sent: set[str] = set()
        self.tries = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        chance = random.Random(self.name)
        number = 0
        try:
            while not self._ended.wait(self._pause_s):
                request = attempts_request(self.name, number, chance)
                number += 1
                self.sent.update(names_in(request))
                if self._until_acknowledged(request):
                    self.acknowledged.update(names_in(request))
        except BaseException as exc:
            self.failure = exc

    def _until_acknowledged(self, request: ExportTraceServiceRequest) -> bool:
        json = self._transport == "json"
        body = to_json(request) if json else request.SerializeToString()
        deadline_s = time.monotonic() + self._failing_s
        while True:
            self.tries += 1
            try:
                if self._transport == "grpc":
                    post_grpc(self._address(), body)
                else:
                    kind = "application/json" if json else "application/x-protobuf"
                    post_http(self._address(), body, kind)
                return True
            except Refused as exc:
                if exc.permanent or time.monotonic() > deadline_s:
                    raise
            if self._ended.wait(0.05):
                return False

    def finish(self) -> None:
        """Stop after the request under way.

        Raises:
            Refused: the service refused a request for good, or never took it.
        """
        self._ended.set()
        self.join(30)
        if self.failure is not None:
            raise self.failure
