"""The hash chain: every segment vouches for its content and for all that came before.

    hash = SHA-256(previous hash ‖ header ‖ SHA-256 of the content)
    header = version ‖ first position ‖ count ‖ commit time ‖ SHA-256 of the packed ids

The first segment's previous hash is made from the log's id, so that two logs never share a
chain. The chain covers the uncompressed content: a segment packed again keeps its hash.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from events.errors import LogDamaged
from events.log.port import LogReader, Segment

VERSION: Final = 1
_header = struct.Struct(">BQIQ32s")


def genesis(log_id: str) -> bytes:
    """The previous hash of a log's first segment."""
    return hashlib.sha256(b"spanledger.log\x00" + log_id.encode()).digest()


def segment_hash(
    previous: bytes, first: int, count: int, committed_ns: int, ids: bytes, digest: bytes
) -> bytes:
    """The hash of one segment; 32 bytes."""
    header = _header.pack(VERSION, first, count, committed_ns, hashlib.sha256(ids).digest())
    return hashlib.sha256(previous + header + digest).digest()


@dataclass(frozen=True, slots=True)
class Verified:
    """How far a walk of the chain has come: everything up to `position` is as appended."""

    position: int
    hash: bytes
    segments: int
    content_bytes: int


def verify(
    reader: LogReader, partition: int = 0, *, after: int = 0, anchor_hash: bytes | None = None
) -> Iterator[Verified]:
    """Walk the chain from `after` to the head, yielding progress page by page.

    Args:
        after: a position that ends a segment; 0 starts at the beginning.
        anchor_hash: the hash recorded for `after` earlier; checked first.

    Raises:
        LogDamaged: says at which position the chain breaks, and how.
    """
    expected = _start(reader, partition, after, anchor_hash)
    segments = content_bytes = 0
    while True:
        page = reader.read(partition, after)
        for segment in page.segments:
            expected = check_segment(segment, expected, after + 1)
            after = segment.last
            segments += 1
            content_bytes += len(segment.content)
        yield Verified(after, expected, segments, content_bytes)
        if not page.segments:
            return


def _start(reader: LogReader, partition: int, after: int, anchor: bytes | None) -> bytes:
    if after == 0:
        return genesis(reader.log_id)
    found = reader.hash_at(partition, after)
    if found is None:
        raise LogDamaged(
            f"the log ends at position {reader.head(partition).position}, before the anchor's "
            f"position {after}: it was shortened or put back from an older copy",
            position=after,
        )
    if anchor is not None and found != anchor:
        raise LogDamaged(
            f"at position {after} the log's hash is {found.hex()}, the anchor's {anchor.hex()}: "
            "this is another log, or its history was changed",
            position=after,
        )
    return found


def check_segment(segment: Segment, previous: bytes, first: int) -> bytes:
    """Check one segment against the hash and position that must precede it; returns its hash."""
    if segment.first != first:
        raise LogDamaged(
            f"a segment is missing: position {first} expected, {segment.first} found",
            position=first,
        )
    if segment.previous_hash != previous:
        raise LogDamaged(
            f"segment at position {first}: it does not follow the segment before it",
            position=first,
        )
    if len(segment.ids) != 16 * segment.count:
        raise LogDamaged(f"segment at position {first}: its ids were cut", position=first)
    actual = segment_hash(
        previous, first, segment.count, segment.committed_ns, segment.ids, segment.digest
    )
    if actual != segment.hash:
        raise LogDamaged(
            f"segment at position {first}: its header or ids were altered", position=first
        )
    if sum(len(block.events) for block in segment.raw_blocks()) != segment.count:
        raise LogDamaged(f"segment at position {first}: its count is wrong", position=first)
    return actual
