"""A month of attempts, as varied as real ones, in a log of any size and in its views.

Half of the attempts are of 5,000 tasks, each other one of a new task; a sixth are second attempts
of the run before. 50 executors, 400 error sites, a quarter failed, one in 10,000 timed out. Starts
are spread over 30 days in the order of arrival, but for a few minutes.
"""

import contextlib
import hashlib
import os
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks.ledger import parts_of
from benchmarks.load import REQUEST_SPANS, START_NS, attempts
from benchmarks.stamp import SEED, Stamp
from events import codec, identity
from events.identity import ID_BYTES, Identity
from events.log.port import Batch
from events.log.writer import LogWriter
from service.control.projector import build_projector
from service.otlp.batch import BatchBuilder
from service.otlp.decode.decoder import decode_traces
from service.otlp.decode.limits import Limits
from service.otlp.scrub.scrubber import Scrubber

TASKS: Final = 5_000
EXECUTORS: Final = 50
MONTH_NS: Final = 30 * 86400 * 10**9
POOL: Final = 100
_JITTER_NS: Final = 300 * 10**9


def grow(data: Path, events: int) -> list[float]:
    """Make the log of a data folder, unless it has one; how long each append took, in s."""
    if (data / "ledger.db").exists():
        return []
    rounds = rounds_of(events)
    bodies = (("default", body) for body in _bodies(MONTH_NS // rounds))
    return append(data, batches(events, bodies))


def append(data: Path, made: Iterable[Batch]) -> list[float]:
    """Append batches to the log of a data folder, each alone; how long each took, in s."""
    data.mkdir(parents=True, exist_ok=True)
    walls_s = []
    with contextlib.closing(LogWriter(data)) as writer:
        for batch in made:
            started_s = time.perf_counter()
            writer.append_group([batch])
            writer.checkpoint()
            walls_s.append(time.perf_counter() - started_s)
    return walls_s


def rounds_of(events: int) -> int:
    """How often the requests of the first round come in a month."""
    return max(events // (POOL * REQUEST_SPANS), 1)


def fold(data: Path) -> None:
    """Make the views of a data folder, unless it has some."""
    if (data / "views.db").exists():
        return
    projector = build_projector(data, 3600.0)
    projector.open()
    try:
        for _ in projector.rebuild():
            pass
    finally:
        projector.close()


def batches(events: int, bodies: Iterable[tuple[str, bytes]]) -> Iterator[Batch]:
    """The batches of the month, one a request, of the first round's: tenant and body of each."""
    builder = BatchBuilder(Identity(identity.new_key()), Scrubber())
    rounds = rounds_of(events)
    pool: list[tuple[Batch, Stamp]] = []
    for tenant, body in bodies:
        batch = builder.build([(tenant, time.time_ns(), decode_traces(body, Limits()))])
        assert batch is not None
        content = codec.unpack(batch.codec, batch.payload)
        pool.append((batch, Stamp(content, parts_of(content), ">", MONTH_NS // rounds)))
    for number in range(events // REQUEST_SPANS):
        round_number, place = divmod(number, len(pool))
        batch, stamp = pool[place]
        content = stamp.copy(round_number)
        yield replace(
            batch,
            ids=os.urandom(ID_BYTES * batch.count),
            payload=codec.pack(content),
            digest=hashlib.sha256(content).digest(),
            time_min_ns=batch.time_min_ns + round_number * stamp.round_ns,
            time_max_ns=batch.time_max_ns + round_number * stamp.round_ns,
        )


def _bodies(span_ns: int) -> Iterator[bytes]:
    """The requests of the first round, which lasts `span_ns`."""
    draw = random.Random(SEED)
    step_ns = span_ns // (POOL * REQUEST_SPANS)
    number = 0
    before: dict[str, str] = {}
    for body in attempts(POOL, seed=SEED):
        request = ExportTraceServiceRequest.FromString(body)
        for span in request.resource_spans[0].scope_spans[0].spans:
            number += 1
            start_ns = START_NS - MONTH_NS + number * step_ns + draw.randrange(_JITTER_NS)
            _move(span, start_ns)
            before = _vary(span, draw, before)
        yield request.SerializeToString()


def _move(span: Span, start_ns: int) -> None:
    by_ns = start_ns - span.start_time_unix_nano
    span.start_time_unix_nano += by_ns
    span.end_time_unix_nano += by_ns
    for event in span.events:
        event.time_unix_nano += by_ns


def _vary(span: Span, draw: random.Random, before: dict[str, str]) -> dict[str, str]:
    """Give a span its task, run and executor; what the next one may repeat."""
    values = {attribute.key: attribute.value for attribute in span.attributes}
    values["task.executor.id"].string_value = f"worker-{draw.randrange(EXECUTORS)}"
    if span.events and draw.random() < 0.0004:
        values["task.result"].string_value = "timed_out"
    if before and draw.random() < 1 / 6:
        values["task.attempt"].int_value = 2
        for key, text in before.items():
            values[key].string_value = text
        return {}
    if draw.random() < 0.5:
        values["task.id"].string_value = f"task-{draw.randrange(TASKS):06d}"
    return {key: values[key].string_value for key in ("task.id", "task.run.id")}
