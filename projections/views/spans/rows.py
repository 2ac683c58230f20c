"""What the index keeps of rows of the log: tokens, times and which name each span has."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from events import codec, native
from events.bounded import BoundedDict, text_bytes
from events.errors import LogDamaged
from events.schema import RawBlock, Span
from projections.views.spans.tokens import (
    NAME,
    context_tokens,
    seed_of,
    service_of,
    span_tokens,
    token,
)

Tokens = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]
_native: Any = native.load("projections.views.spans._native")
_LIMIT_NS: Final = (1 << 62) - 1
SHARED_BYTES: Final = 16 << 20
"""Of the contexts that are known: one may be as large as a request."""


class Rows(NamedTuple):
    """Rows in a column each. `counts` are each row's tokens, -1 where it is no span."""

    tokens: Tokens
    counts: Ints
    starts: Ints
    ends: Ints
    names: Ints
    """Token of the name and the kind's number: `token * 256 + kind`."""


class Shared(NamedTuple):
    """What spans of one resource and scope share."""

    tenant: str
    service: str
    seed: int
    tokens: Tokens


_known: BoundedDict[tuple[str, bytes], Shared] = BoundedDict(SHARED_BYTES)


def shared_of(tenant: str, context: bytes) -> Shared:
    """Of a block of the log; contexts that come again are known."""
    held = _known.get((tenant, context))
    if held is None:
        held = _read_shared(tenant, context)
        _known.keep((tenant, context), held, text_bytes(tenant, context) + held.tokens.nbytes)
    return held


def _read_shared(tenant: str, context: bytes) -> Shared:
    decoded, seed = codec.decode_context(context), seed_of(tenant)
    found = np.array(sorted(set(context_tokens(seed, decoded))), np.uint32)
    return Shared(tenant, service_of(decoded), seed, found)


def shared_by(block: RawBlock) -> Shared:
    """Of a raw block."""
    return shared_of(block.tenant, bytes(block.context))


def read_rows(rows: Sequence[msgspec.Raw], seed: int) -> Rows:
    """What is kept of some rows; one that cannot be read is no span."""
    if _native is None:
        return read_slowly(rows, seed)
    packed = _native.read(rows, seed, span_row)
    tokens, *columns = packed  # as this machine orders bytes: stored arrays are written elsewhere
    return Rows(
        np.frombuffer(tokens, np.uint32), *(np.frombuffer(column, np.int64) for column in columns)
    )


def read_slowly(rows: Sequence[msgspec.Raw], seed: int) -> Rows:
    """The same in Python."""
    tokens: list[int] = []
    columns = np.zeros((4, len(rows)), np.int64)
    for place, row in enumerate(rows):
        found = span_row(row, seed)
        if found is None:
            columns[0, place] = -1
            continue
        own, start_ns, end_ns, name = found
        tokens += own
        columns[:, place] = len(own), start_ns, end_ns, name
    return Rows(np.array(tokens, np.uint32), *columns)


def span_row(row: msgspec.Raw | bytes, seed: int) -> tuple[list[int], int, int, int] | None:
    """Tokens, start, end and name of one row; None if it is no span."""
    span = read_span(row)
    if span is None:
        return None
    name = token(seed, NAME, span.name) * 256 + min(max(span.kind, 0), 255)
    start_ns, end_ns = (min(max(at_ns, 0), _LIMIT_NS) for at_ns in (span.start_ns, span.end_ns))
    return [*span_tokens(seed, span)], start_ns, end_ns, name


def read_span(row: msgspec.Raw | bytes) -> Span | None:
    """The span of a row; None if it is another event, or cannot be read: other projections park
    it, and Jaeger could not be shown it."""
    try:
        event = codec.decode_event(row)
    except (msgspec.DecodeError, LogDamaged):
        return None
    return event if isinstance(event, Span) else None
