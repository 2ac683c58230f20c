"""Attempts of many tasks, sent to a service over OTLP."""

import os
import time

import httpx
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from events import names
from events.times import SECOND_NS, rfc3339
from tests import otlp
from tests.serving import Service


def send_attempts(service: Service, count: int) -> None:
    """Runs of two attempts that ended just now, after a wait: one failed, one completed."""
    end_ns = time.time_ns()
    spans = [
        otlp.make_span(
            trace_id=os.urandom(16), span_id=os.urandom(8), name="work",
            attributes={
                names.TASK_ID: f"task-{number % 5}", names.TASK_RUN_ID: f"{end_ns}-{number}",
                names.TASK_ATTEMPT: attempt, names.TASK_MAX_ATTEMPTS: 2,
                names.TASK_QUEUED_AT: rfc3339(end_ns - 5 * SECOND_NS),
            },
            start_time_unix_nano=end_ns - (3 - attempt) * SECOND_NS,
            end_time_unix_nano=end_ns - (2 - attempt) * SECOND_NS,
            status=Status(
                code=Status.STATUS_CODE_ERROR if attempt == 1 else Status.STATUS_CODE_OK
            ),
        )
        for number in range(count) for attempt in (1, 2)
    ]  # fmt: skip
    httpx.post(
        f"http://{service.http}/v1/traces", content=otlp.traces(*spans).SerializeToString(),
        headers={"content-type": "application/x-protobuf"}, trust_env=False,
    ).raise_for_status()  # fmt: skip
