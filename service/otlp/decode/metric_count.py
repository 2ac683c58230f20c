"""Counting the metrics of a request that is accepted and dropped.

Whatever the body holds, the answer is success: metrics are not ours, and an error would only
fill the sender's log.
"""

from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from service.otlp.decode.weight import is_heavy_metrics
from service.otlp.request import Encoding


class _Scope(msgspec.Struct, rename="camel"):
    metrics: list[msgspec.Raw] = []


class _Resource(msgspec.Struct, rename="camel"):
    scope_metrics: list[_Scope] = []


class _Body(msgspec.Struct, rename="camel"):
    resource_metrics: list[_Resource] = []


_json: Final = msgspec.json.Decoder(_Body)


def count_metrics(encoding: Encoding, body: bytes) -> int:
    """How many metrics `body` has; one if it cannot be read, or holds too much to be."""
    if is_heavy_metrics(body):
        return 1
    try:
        message: Any = (
            _json.decode(body)
            if encoding is Encoding.JSON
            else ExportMetricsServiceRequest.FromString(body)
        )
    except (DecodeError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 1
    return sum(
        len(scope.metrics)
        for resource in message.resource_metrics
        for scope in resource.scope_metrics
    )
