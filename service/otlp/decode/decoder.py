"""The decoder that receivers use: the native one, and for what it leaves the reference.

`service.otlp.decode._native` is there where the package was built with a C compiler. It writes
what needs no merging, and cuts what is over a limit; refusing and merging are the reference's.
"""

import os
from functools import lru_cache
from typing import Final

from events.native import load
from service.otlp.decode import protobuf
from service.otlp.decode.another_signal import require_spans
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.kept import Kept
from service.otlp.decode.limits import Limits
from service.otlp.decode.native_groups import Merger, Raw
from service.otlp.decode.weight import too_heavy

_native: Final = load("service.otlp.decode._native")
_SEED: Final = os.urandom(16)
"""Of the native hashes: whoever knew it could choose keys that collide."""


def decode_traces(body: bytes, limits: Limits) -> Decoded:
    """The spans of an ExportTraceServiceRequest; see `protobuf.decode_traces`."""
    if _native is None:
        return protobuf.decode_traces(body, limits)
    found = _native.decode_traces(
        body, limits.max_string_bytes, limits.max_attributes,
        limits.max_span_events, limits.max_links, *kept_words(limits.kept), _SEED,
    )  # fmt: skip
    if found is None:
        return protobuf.decode_traces(body, limits)
    if isinstance(found, str):
        raise too_heavy(found)
    groups, resources, unread_bytes = found
    merger = Merger(limits, resources, len(body))
    decoded = merger.merged([Raw._make(group) for group in groups], unread_bytes)
    if decoded.refused and not decoded.accepted:
        require_spans(body, decoded.refused)
    return decoded


@lru_cache
def kept_words(kept: Kept) -> tuple[bytes, ...]:
    """What outlives a cut, as the native decoder takes it."""
    lists = sorted(kept.keys), kept.prefixes, sorted(kept.events)
    return tuple("".join(f"{word}\n" for word in words).encode() for words in lists)


decode_logs = protobuf.decode_logs
