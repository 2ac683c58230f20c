"""Log buckets of durations: counts that can be added and subtracted.

Bucket i > 0 holds durations in (G^(i-2), G^(i-1)] ns with G = 1.04; bucket 0 holds zero. A value
read back is the bucket's middle, at most 1.97 % from every duration in it. Minimum and maximum
are read from the outermost buckets and carry the same bound.

Stored as msgpack of [bucket, count, bucket, count, ...] in ascending order; empty is b"".
"""

import math
from collections.abc import Mapping
from typing import Final

import msgspec

GROWTH: Final = 1.04
ERROR_BOUND: Final = 0.02

_PER_LOG: Final = 1 / math.log(GROWTH)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode

Counts = dict[int, int]


def bucket_of(duration_ns: int) -> int:
    """The bucket of a duration of 0 ns or more."""
    return math.ceil(math.log(duration_ns) * _PER_LOG) + 1 if duration_ns > 0 else 0


def middle_ns(bucket: int) -> float:
    """The value that stands for every duration in a bucket."""
    return 2 * GROWTH ** (bucket - 1) / (1 + GROWTH) if bucket else 0.0


def encode(counts: Mapping[int, int]) -> bytes:
    """The stored form; buckets with no count are left out."""
    flat: list[int] = []
    for bucket in sorted(counts):
        if counts[bucket]:
            flat += (bucket, counts[bucket])
    return _encode(flat) if flat else b""


def decode(blob: bytes) -> Counts:
    """The counts of a stored form."""
    if not blob:
        return {}
    flat = iter(_decode(blob))
    return dict(zip(flat, flat, strict=True))


def merged(*blobs: bytes) -> Counts:
    """The sum of several stored forms."""
    total: Counts = {}
    for blob in blobs:
        for bucket, count in decode(blob).items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def percentiles(counts: Mapping[int, int], *fractions: float) -> list[float | None]:
    """Durations in ns at these fractions (0 to 1) by nearest rank; None if nothing is counted."""
    total = sum(counts.values())
    if total == 0:
        return [None] * len(fractions)
    ordered = sorted(counts)
    return [_at_rank(counts, ordered, max(1, math.ceil(f * total))) for f in fractions]


def _at_rank(counts: Mapping[int, int], ordered: list[int], rank: int) -> float:
    seen = 0
    for bucket in ordered:
        seen += counts[bucket]
        if seen >= rank:
            return middle_ns(bucket)
    return middle_ns(ordered[-1])


def minimum_ns(counts: Mapping[int, int]) -> float | None:
    """The smallest duration, within the error bound."""
    return middle_ns(min(counts)) if counts else None


def maximum_ns(counts: Mapping[int, int]) -> float | None:
    """The largest duration, within the error bound."""
    return middle_ns(max(counts)) if counts else None
