"""The decoder that receivers use: the native one for ordinary requests, else the reference.

`service.otlp.decode._native` is there where the package was built with a C compiler. It declines
whatever is not ordinary, so refusing, cutting and counting are the reference's alone.
"""

from service.otlp.decode import protobuf
from service.otlp.decode.decoded import Decoded, Group
from service.otlp.decode.limits import Limits

try:
    from service.otlp.decode import _native  # type: ignore[attr-defined]
except ImportError:
    _native = None


def decode_traces(body: bytes, limits: Limits) -> Decoded:
    """The spans of an ExportTraceServiceRequest; see `protobuf.decode_traces`."""
    if _native is not None:
        found = _native.decode_traces(
            body, limits.max_string_bytes, limits.max_attributes,
            limits.max_span_events, limits.max_links,
        )  # fmt: skip
        if found is not None:
            groups = [Group(*group) for group in found]
            return Decoded(groups, sum(len(group.rows) for group in groups), 0, [], {})
    return protobuf.decode_traces(body, limits)


decode_logs = protobuf.decode_logs
