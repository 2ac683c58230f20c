"""What real orchestrators sent, posted to a running service, gives their attempts by the API."""

import json
import os
import random
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from events.log.reader import open_reader
from events.schema import Span
from projections.assembly import make_folds
from projections.engine.projector import Projector
from projections.runs.words import FAILURES, STATUS_WORDS
from projections.storage.generation import connect_reader
from tests.captures import FOLDER, capture_files, read_capture, signal_of
from tests.invariants import wait_views
from tests.mapped import TENANT
from tests.otlp import to_json
from tests.serving import Service, serving, until
from tests.view_rows import rows_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Body = tuple[str, bytes]
"""A signal and a request body."""
_FAILED = {STATUS_WORDS[status] for status in FAILURES}


def bodies() -> list[Body]:
    """The captured requests, as they are."""
    files = [f for f in capture_files() if signal_of(f) in ("traces", "logs")]
    return [(signal_of(file), read_capture(file)) for file in files]


def one_by_one() -> Iterator[Body]:
    """A request for each span and log record."""
    for kind, body in bodies():
        if kind == "traces":
            traces = ExportTraceServiceRequest.FromString(body)
            for resource in traces.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        alone = ExportTraceServiceRequest()
                        group = alone.resource_spans.add(resource=resource.resource)
                        group.scope_spans.add(scope=scope.scope, spans=[span])
                        yield kind, alone.SerializeToString()
        else:
            logs = ExportLogsServiceRequest.FromString(body)
            for resource_logs in logs.resource_logs:
                for scope_logs in resource_logs.scope_logs:
                    for record in scope_logs.log_records:
                        one = ExportLogsServiceRequest()
                        part = one.resource_logs.add(resource=resource_logs.resource)
                        part.scope_logs.add(scope=scope_logs.scope, log_records=[record])
                        yield kind, one.SerializeToString()


def post(
    service: Service, body: Body, media_type: str = "application/x-protobuf", tenant: str = TENANT
) -> None:
    """Send a request; it has to be stored."""
    headers = {"Content-Type": media_type, "X-Scope-OrgID": tenant}
    request = urllib.request.Request(f"http://{service.http}/v1/{body[0]}", body[1], headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert (answer.status, answer.read()) in ((200, b""), (200, b"{}"))


def post_as_json(service: Service, body: Body, tenant: str) -> None:
    """The same in OTLP/JSON."""
    kind = ExportTraceServiceRequest if body[0] == "traces" else ExportLogsServiceRequest
    text = to_json(kind.FromString(body[1]))
    post(service, (body[0], text), "application/json", tenant)


def send_by_grpc(service: Service, body: Body, tenant: str) -> None:
    """The same over gRPC."""
    with grpc.insecure_channel(service.grpc) as channel:
        metadata = [("x-scope-orgid", tenant)]
        if body[0] == "traces":
            traces = ExportTraceServiceRequest.FromString(body[1])
            TraceServiceStub(channel).Export(traces, metadata=metadata, timeout=30)
        else:
            logs = ExportLogsServiceRequest.FromString(body[1])
            LogsServiceStub(channel).Export(logs, metadata=metadata, timeout=30)


def expected() -> list[dict[str, Any]]:
    rows = [row for f in sorted(FOLDER.rglob("attempts.json")) for row in json.loads(f.read_text())]
    names = {f"{row['span']}#{row['n']}": (row["run"], row["n"]) for row in rows}
    for row in rows:
        row.pop("running_ns", None)
        row["retry_of"] = names.get(row["retry_of"])
    return in_order(rows)


def answered(service: Service, tenant: str = TENANT) -> list[dict[str, Any]]:
    wait_views(service)
    page = service.ask("/api/v1/attempts?limit=1000", **{"X-Scope-OrgID": tenant})
    assert page["next"] is None
    ids = {row["attempt_id"]: (row["run_id"], row["attempt"]) for row in page["items"]}
    return in_order([as_expected(row, ids) for row in page["items"]])


def seen(service: Service) -> bool:
    """Have the views seen all? A projector that was killed takes a while to come back."""
    try:
        return bool(wait_views(service))
    except HTTPError:
        return False


def as_expected(row: dict[str, Any], ids: dict[str, Any]) -> dict[str, Any]:
    failed = row["status"] in _FAILED and row["error"] is not None
    return {
        "system": row["system"], "run": row["run_id"], "task": row["task_id"],
        "n": row["attempt"], "status": row["status"], "start_ns": int(row["started_ns"]),
        "end_ns": int(row["ended_ns"]), "queue": row["queue"], "executor": row["executor"],
        "error_type": row["error"]["type"] if failed else None,
        "error": row["error"]["message"] if failed else None,
        "trace": row["trace_id"], "span": row["span_id"], "retry_of": ids.get(row["retry_of"]),
    }  # fmt: skip


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["run"], row["n"]))


def test_captures_as_they_are(tmp_path: Path) -> None:
    """Each attempt of every capture is answered, field by field, and nothing else."""
    with serving(tmp_path) as service:
        for body in bodies():
            post(service, body)
        assert answered(service) == expected()


def test_captures_span_by_span(tmp_path: Path) -> None:
    """Shuffled, some resent, with the projector killed in between: the same; and so a rebuild."""
    chance = random.Random(9)
    sent = list(one_by_one())
    sent += chance.sample(sent, len(sent) // 3)
    chance.shuffle(sent)
    with serving(tmp_path) as service:
        for number, body in enumerate(sent):
            if number in (len(sent) // 3, len(sent) // 2):
                until(lambda: "projector" in service.children())
                os.kill(service.children()["projector"], signal.SIGKILL)
            post(service, body)
        until(lambda: seen(service), within_s=60)
        assert answered(service) == expected()
    clean = tmp_path / "clean"
    clean.mkdir()
    fresh = Projector(clean, lambda: open_reader(service.data), make_folds)
    while fresh.step():
        pass
    fresh.close()
    with (
        closing(connect_reader(service.data / "views.db")) as live,
        closing(connect_reader(clean / "views.db")) as rebuilt,
    ):
        assert rows_of(live) == rows_of(rebuilt)


def test_captures_with_uuids_scrubbed(tmp_path: Path) -> None:
    """Ids that are UUIDs (runs of Celery, Prefect and Temporal, sessions) are left whole, whatever
    they come over and whichever receiver takes them; no other UUID is stored."""
    with serving(tmp_path, "--scrub-uuids", "--workers", "2") as service:
        for body in bodies():
            post(service, body, tenant="http")
            post_as_json(service, body, "json")
            send_by_grpc(service, body, "grpc")
        for tenant in ("http", "json", "grpc"):
            assert answered(service, tenant) == expected()
        assert flows_stored(service.data) == {"[uuid]"}


def flows_stored(data: Path) -> set[Any]:
    """What the log holds of Prefect's ids of flows, by which nothing is found."""
    with closing(open_reader(data)) as reader:
        events = (one.event for one in reader.fetch(0, range(1, reader.head().position + 1)))
        return {
            event.attributes["prefect.flow.id"]
            for event in events
            if isinstance(event, Span) and "prefect.flow.id" in event.attributes
        }
