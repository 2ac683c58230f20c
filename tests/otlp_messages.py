"""Comparing OTLP messages: every span or log record with all that frames it."""

import base64
import json
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

Flat = tuple[bytes, bytes, bytes, bytes, bytes]

_IDS = ("traceId", "spanId", "parentSpanId")


def flat(request: Any) -> list[Flat]:
    """Each event as (resource, its schema URL, scope, its schema URL, event), sorted.

    Every part is in protobuf's canonical bytes; an empty status or body is no status or body.
    """
    found: list[Flat] = []
    for outer in either(request, "resource_spans", "resource_logs"):
        for inner in either(outer, "scope_spans", "scope_logs"):
            for event in either(inner, "spans", "log_records"):
                if isinstance(event, Span) and not event.status.ByteSize():
                    event.ClearField("status")
                if isinstance(event, LogRecord) and not event.body.ByteSize():
                    event.ClearField("body")
                found.append(
                    (
                        outer.resource.SerializeToString(deterministic=True),
                        outer.schema_url.encode(),
                        inner.scope.SerializeToString(deterministic=True),
                        inner.schema_url.encode(),
                        event.SerializeToString(deterministic=True),
                    )
                )
    return sorted(found)


def either(message: Any, spans: str, logs: str) -> Any:
    """The field of traces or the one of logs, whichever `message` has."""
    return getattr(message, spans if spans in message.DESCRIPTOR.fields_by_name else logs)


def traces_of_json(document: dict[str, Any]) -> TracesData:
    """OTLP/JSON traces as a message; ids are hex there and base64 in protobuf's own JSON."""

    def convert(found: dict[str, Any]) -> dict[str, Any]:
        for key in _IDS:
            if key in found:
                found[key] = base64.b64encode(bytes.fromhex(found[key])).decode()
        return found

    text = json.dumps(document)
    return json_format.ParseDict(json.loads(text, object_hook=convert), TracesData())
