"""Unique copies of encoded spans, a hundred times cheaper than encoding new ones.

Where ids, tag and times stand in an encoded body is looked up once. A copy of round `n` has every
random id mixed with a mask of that round, the tag of that round, and later times: spans of a
trace stay together, a parent stays a parent, and no id of one round is in another.
"""

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.load import LOADS, tag_of

SEED: Final = 1
ROUND_NS: Final = 60 * 10**9
_POOL: Final = {"attempts": 100, "mixed": 100, "single": 4000}

Order = Literal["<", ">"]


class Stamp:
    """One encoded body, and where in it what makes it unique stands.

    Args:
        parts: its ids (bytes) and times (in ns), in the order in which they stand in the body.
        order: of the eight bytes of a time: `<` in protobuf, `>` in msgpack.
        round_ns: how much later a round is than the one before.
    """

    def __init__(
        self, body: bytes, parts: Iterable[bytes | int], order: Order, round_ns: int = ROUND_NS
    ) -> None:
        self.round_ns = round_ns
        self._body = np.frombuffer(body, np.uint8)
        self._order = order
        found: dict[str, list[int]] = {"trace": [], "span": [], "time": [], "tag": []}
        at = 0
        for part in parts:
            if isinstance(part, int):
                kind, wanted = "time", part.to_bytes(8, "little" if order == "<" else "big")
            else:
                kind, wanted = "trace" if len(part) == 16 else "span", part
            at = body.index(wanted, at)
            found[kind].append(at)
            at += len(wanted)
        tag, at = tag_of(SEED).encode(), -1
        while (at := body.find(tag, at + 1)) >= 0:
            found["tag"].append(at)
        self._traces, self._spans, self._times, self._tags = (
            np.array(found[kind], np.int64) for kind in ("trace", "span", "time", "tag")
        )

    def copy(self, number: int) -> bytes:
        """The body as it is in round `number`; round 0 is the body itself."""
        if not number:
            return self._body.tobytes()
        body = self._body.copy()
        mask = np.frombuffer(random.Random(number).randbytes(24), np.uint8)
        body[self._traces[:, None] + np.arange(16)] ^= mask[:16]
        body[self._spans[:, None] + np.arange(8)] ^= mask[16:]
        tag = np.frombuffer(tag_of(SEED + number).encode(), np.uint8)
        body[self._tags[:, None] + np.arange(8)] = tag
        times = self._times[:, None] + np.arange(8)
        later = body[times].view(f"{self._order}u8") + np.uint64(number * self.round_ns)
        body[times] = later.astype(f"{self._order}u8").view(np.uint8)
        return body.tobytes()


def requests(load: str, first_round: int = 0, pool: int | None = None) -> Iterator[bytes]:
    """Requests of a load without end, `pool` a round: those of `first_round`, then the next."""
    stamps = [_of_request(body) for body in LOADS[load](pool or _POOL[load], seed=SEED)]
    for number in itertools.count(first_round):
        for stamp in stamps:
            yield stamp.copy(number)


def _of_request(body: bytes) -> Stamp:
    parts: list[bytes | int] = []
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for span in resource.scope_spans[0].spans:
            parts += (span.trace_id, span.span_id)
            if span.parent_span_id:
                parts.append(span.parent_span_id)
            parts += (span.start_time_unix_nano, span.end_time_unix_nano)
            parts += (event.time_unix_nano for event in span.events)
    return Stamp(body, parts, "<")
