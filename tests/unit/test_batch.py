"""Batches: ids before scrubbing, blocks by request, a digest of the exact content."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from events import codec
from events.identity import Identity
from events.log.port import Batch
from service.otlp.batch import BatchBuilder
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.json_body import decode_traces_json
from service.otlp.decode.limits import Limits
from service.otlp.decode.protobuf import decode_logs, decode_traces
from service.otlp.scrub.scrubber import Scrubber
from tests import otlp
from tests.thorough import examples

IDENTITY = Identity(bytes(range(64)))
LIMITS = Limits()


def _decode(*spans: Span) -> Decoded:
    return decode_traces(otlp.traces(*spans).SerializeToString(), LIMITS)


def _build(*requests: tuple[str, int, Decoded], scrub: bool = True) -> Batch:
    batch = BatchBuilder(IDENTITY, Scrubber() if scrub else None).build(requests)
    assert batch is not None
    return batch


def _ids(batch: Batch) -> list[bytes]:
    return [batch.ids[at : at + 16] for at in range(0, len(batch.ids), 16)]


def _content(batch: Batch) -> bytes:
    return codec.unpack(batch.codec, batch.payload)


def test_a_batch_describes_its_content() -> None:
    """Count, sizes, times and digest are those of the blocks that come out again."""
    spans = [otlp.make_span(), otlp.make_span(span_id=b"12345678", start_time_unix_nano=7)]
    batch = _build(("acme", 5, _decode(*spans)), ("other", 6, _decode(spans[0])))
    content = _content(batch)
    assert batch.digest == hashlib.sha256(content).digest()
    assert batch.content_bytes == len(content)
    assert batch.count == len(_ids(batch)) == 3
    assert (batch.time_min_ns, batch.time_max_ns) == (7, otlp.START_NS + 5)
    blocks = codec.decode_blocks(content)
    assert [(b.tenant, b.received_ns, len(b.events)) for b in blocks] == [
        ("acme", 5, 2), ("other", 6, 1),
    ]  # fmt: skip
    assert blocks[0].context.resource_attributes == {"service.name": "shop"}


def test_nothing_decoded_builds_nothing() -> None:
    """A request without events makes no batch."""
    builder = BatchBuilder(IDENTITY, None)
    assert builder.build([]) is None
    assert builder.build([("t", 1, _decode())]) is None


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(otlp.spans, min_size=1, max_size=4))
def test_ids_do_not_depend_on_scrubbing_or_encoding(spans: list[Span]) -> None:
    """A resend is known whatever the rules, the batch or the encoding it came in."""
    request = otlp.traces(*spans)
    plain = _ids(_build(("t", 1, _decode(*spans)), scrub=False))
    strict = Scrubber(uuids=True)
    scrubbed = BatchBuilder(IDENTITY, strict).build([("t", 2, _decode(*spans))])
    assert scrubbed is not None
    assert _ids(scrubbed) == plain
    in_json = decode_traces_json(otlp.to_json(request), LIMITS)
    assert _ids(_build(("t", 3, in_json))) == plain


def test_rows_of_every_group_are_scrubbed() -> None:
    """The one scan over all groups puts each scrubbed row where it belongs."""
    spans = [otlp.make_span(name=f"{n} a@b.org" if n % 2 else f"{n}") for n in range(6)]
    batch = _build(
        ("a", 1, _decode(*spans[:2])), ("b", 1, _decode(*spans[2:3])), ("c", 1, _decode(*spans[3:]))
    )
    events = [event for block in codec.decode_blocks(_content(batch)) for event in block.events]
    assert [event.name for event in events] == [
        "0",
        "1 [email]",
        "2",
        "3 [email]",
        "4",
        "5 [email]",
    ]
    assert [event.scrubbed for event in events] == [(), ("email",)] * 3


def test_tenants_with_equal_spans_never_meet() -> None:
    """The tenant is part of the id."""
    batch = _build(("a", 1, _decode(otlp.make_span())), ("b", 1, _decode(otlp.make_span())))
    assert len(set(_ids(batch))) == 2


def test_identical_spans_are_duplicates() -> None:
    """Two equal spans of a request have one id; another time makes another."""
    same = otlp.make_span()
    later = otlp.make_span(end_time_unix_nano=otlp.START_NS + 6)
    first, second, third = _ids(_build(("t", 1, _decode(same, same, later))))
    assert first == second != third


def test_identical_log_records_are_distinct() -> None:
    """They are numbered within a request, and a resend gives the same ids."""
    body = otlp.logs(otlp.make_log(), otlp.make_log()).SerializeToString()
    first = _ids(_build(("t", 1, decode_logs(body, LIMITS))))
    again = _ids(_build(("t", 2, decode_logs(body, LIMITS))))
    assert len(set(first)) == 2
    assert first == again


KEYED = {"task.idempotency_key": "k-1", "task.id": "t", "task.run.id": "r", "task.attempt": 1}


def test_a_senders_key_stands_for_the_content() -> None:
    """Two spans with one key have one id, and the batch says which ids are keyed."""
    batch = _build(
        ("t", 1, _decode(
            otlp.make_span(),
            otlp.make_span(attributes=KEYED),
            otlp.make_span(attributes=KEYED, name="resent", span_id=b"87654321"),
        ))
    )  # fmt: skip
    plain, first, second = _ids(batch)
    assert first == second != plain
    assert batch.keyed == (1, 2)


@pytest.mark.parametrize(
    "change",
    [{"task.id": "u"}, {"task.run.id": "s"}, {"task.attempt": 2}, {"task.idempotency_key": "k-2"}],
)
def test_a_key_is_scoped(change: dict[str, Any]) -> None:
    """The same key of another task, run or attempt is another event."""
    first, second = (otlp.make_span(attributes=KEYED | more) for more in ({}, change))
    assert len(set(_ids(_build(("t", 1, _decode(first, second)))))) == 2


def test_a_key_without_a_run_is_scoped_by_its_trace() -> None:
    """The run is the trace then, as everywhere."""
    attributes = {"task.idempotency_key": "k", "task.id": "t"}
    spans = [otlp.make_span(attributes=attributes, trace_id=bytes([n]) * 16) for n in (1, 1, 2)]
    first, second, third = _ids(_build(("t", 1, _decode(*spans))))
    assert first == second != third


def test_a_key_that_is_no_string_is_ignored() -> None:
    """An empty or numeric key, and one in a log record, leave the content's id."""
    odd = _decode(*(otlp.make_span(attributes={"task.idempotency_key": key}) for key in ("", 5)))
    record = otlp.make_log(attributes={"task.idempotency_key": "k"})
    logged = decode_logs(otlp.logs(record).SerializeToString(), LIMITS)
    assert _build(("t", 1, odd), ("t", 1, logged)).keyed == ()


@pytest.mark.parametrize("decode", [decode_traces])
def test_refused_spans_are_not_in_the_batch(decode: Callable[[bytes, Limits], Decoded]) -> None:
    """What was accepted is what is stored."""
    body = otlp.traces(otlp.make_span(), otlp.make_span(trace_id=b"x")).SerializeToString()
    decoded = decode(body, LIMITS)
    assert _build(("t", 1, decoded)).count == decoded.accepted == 1
