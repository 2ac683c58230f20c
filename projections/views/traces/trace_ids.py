"""Digests of (tenant, trace id) for every event of a page, without decoding the events.

A span's trace id lies at a fixed offset of its row: array header, tag, bin header, 16 bytes. Any
row that does not begin exactly so is decoded as far as its trace id.
"""

import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from events import codec, names
from events.log.port import Page
from events.schema import RawBlock, Span

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]

ID_BYTES: Final = 16
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_ONE: Final = np.uint64(1)


class _SpanStart(msgspec.Struct, array_like=True, tag=names.SPAN, gc=False):
    trace_id: bytes


class _LogStart(msgspec.Struct, array_like=True, tag=names.LOG_RECORD, gc=False):
    time_ns: int
    observed_ns: int
    severity_number: int
    severity_text: str
    body: msgspec.Raw
    attributes: msgspec.Raw
    dropped_attributes_count: int
    flags: int
    trace_id: bytes


_start = msgspec.msgpack.Decoder(_SpanStart | _LogStart)
_TRACED: Final = (codec.tag_mark(names.SPAN), codec.tag_mark(names.LOG_RECORD))


def _span_prefix() -> bytes:
    fields: list[Any] = [b"\xff" * ID_BYTES, *[None] * (len(Span.__struct_fields__) - 1)]
    row = msgspec.msgpack.encode([names.SPAN, *fields])
    return row[: row.index(b"\xff" * ID_BYTES)]


_PREFIX: Final = _span_prefix()
_row = struct.Struct(f"{len(_PREFIX)}s{ID_BYTES}s")


def page_hashes(page: Page) -> tuple[Hashes, Positions]:
    """Digest and position of each event of the page that has a trace id, in log order."""
    ids: list[bytes] = []
    tenants: list[tuple[int, int]] = []  # (end in ids, salt)
    positions: list[Positions] = []
    for segment in page.segments:
        position = segment.first
        for block in segment.raw_blocks():
            rows = block.events
            start = max(page.after + 1 - position, 0)
            end = min(page.through + 1 - position, len(rows))
            if start < end:
                found = _trace_ids(block, start, end)
                kept = [i for i in found if len(i) == ID_BYTES]
                ids += kept
                tenants.append((len(ids), tenant_salt(block.tenant)))
                places = np.arange(position + start, position + end, dtype=np.int64)
                if len(kept) < len(found):
                    places = places[[len(i) == ID_BYTES for i in found]]
                positions.append(places)
            position += len(rows)
    if not ids:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    ends = np.array([end for end, _ in tenants])
    salts = np.array([salt for _, salt in tenants], np.uint64)
    salt = np.repeat(salts, np.diff(ends, prepend=0))
    return _mixed(b"".join(ids), salt), np.concatenate(positions)


def _trace_ids(block: RawBlock, start: int, end: int) -> Sequence[bytes]:
    rows = block.events if end - start == len(block.events) else block.events[start:end]
    try:
        pairs = [_row.unpack_from(row) for row in rows]
    except struct.error:  # a row shorter than any span
        return [_decoded(row) for row in rows]
    return [
        trace_id if prefix == _PREFIX else _decoded(row)
        for (prefix, trace_id), row in zip(pairs, rows, strict=True)
    ]


def _decoded(row: msgspec.Raw) -> bytes:
    """The trace id of a span or log record; none of an event of any other tag."""
    data = bytes(row)
    if not any(codec.is_tagged(data, mark) for mark in _TRACED):
        return b""
    try:
        return _start.decode(row).trace_id
    except msgspec.DecodeError:
        codec.decode_event(row)  # says what is wrong with it
        raise


def trace_hash(tenant: str, trace_id: bytes) -> int:
    """The digest under which a trace's positions are kept; 63 bits."""
    return int(_mixed(trace_id, np.array([tenant_salt(tenant)], np.uint64))[0])


def _mixed(ids: bytes, salt: Hashes) -> Hashes:
    """Both halves count: senders fill either with zeros. Not cryptographic; readers compare."""
    halves = np.frombuffer(ids, "<u8").reshape(-1, 2)
    mixed: Hashes = halves[:, 0] * _MIX[0] ^ halves[:, 1] * _MIX[1] ^ salt
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MIX[1]
    return mixed >> _ONE


@lru_cache(maxsize=1024)
def tenant_salt(tenant: str) -> int:
    """What sets a tenant's digests apart; 64 bits."""
    return int.from_bytes(hashlib.blake2b(tenant.encode(), digest_size=8).digest(), "little")
