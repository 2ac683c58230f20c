"""A real log of any size in little time: the segments of a load, stamped and appended.

Contents are exactly what a receiver stores of the load. Ids are random instead of digests, as
no reader computes them.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.load import LOADS, REQUEST_SPANS
from benchmarks.stamp import ROUND_NS, SEED, Stamp
from events import codec, identity
from events.identity import ID_BYTES, Identity
from events.log.port import Batch
from events.log.writer import LogWriter
from events.schema import Span
from service.otlp.batch import BatchBuilder
from service.otlp.decode.decoder import decode_traces
from service.otlp.decode.limits import Limits
from service.otlp.scrub.scrubber import Scrubber

_POOL: Final = 100
_RECEIVED_NS: Final = time.time_ns()


def batches(load: str, events: int, pool_size: int = _POOL) -> Iterator[Batch]:
    """The batches of a load, one a request, until there are `events` in them."""
    builder = BatchBuilder(Identity(identity.new_key()), Scrubber())
    pool: list[tuple[Batch, Stamp]] = []
    for body in LOADS[load](min(pool_size, events // REQUEST_SPANS + 1), seed=SEED):
        batch = builder.build([("default", _RECEIVED_NS, decode_traces(body, Limits()))])
        assert batch is not None
        content = codec.unpack(batch.codec, batch.payload)
        pool.append((batch, Stamp(content, parts_of(content), ">")))
    for number in range(events // REQUEST_SPANS):
        round_number, place = divmod(number, len(pool))
        batch, stamp = pool[place]
        content = stamp.copy(round_number)
        yield replace(
            batch,
            ids=os.urandom(ID_BYTES * batch.count),
            payload=codec.pack(content),
            digest=hashlib.sha256(content).digest(),
            time_min_ns=batch.time_min_ns + round_number * ROUND_NS,
            time_max_ns=batch.time_max_ns + round_number * ROUND_NS,
        )


def parts_of(content: bytes) -> Iterator[bytes | int]:
    """The ids and times of a segment's events, in the order in which they stand there."""
    for block in codec.decode_blocks(content):
        for event in block.events:
            assert isinstance(event, Span)
            yield event.trace_id
            yield event.span_id
            if event.parent_span_id:
                yield event.parent_span_id
            yield event.start_ns
            yield event.end_ns
            for inner in event.events:
                yield inner.time_ns


def grow(data: Path, load: str, events: int) -> None:
    """Make the log of a data folder, or go on with it, up to about `events` events."""
    writer = LogWriter(data)
    try:
        for batch in batches(load, events - writer.head.position):
            writer.append_group([batch])
            writer.checkpoint()
    finally:
        writer.close()
