"""What says which attempt it was, and how it ended, outlives every cut, in every encoding."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from events import codec, names
from projections.runs.rows import TaskAttributes
from service.otlp.decode import decoder, protobuf
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.json_body import decode_logs_json, decode_traces_json
from service.otlp.decode.kept import Kept
from service.otlp.decode.limits import Limits
from tests import otlp

LIMITS = Limits(max_attributes=20, max_span_events=3, max_links=2)
MANY = {f"k{number}": "x" for number in range(300)}
SAID = {
    names.TASK_ID: "t", names.TASK_RUN_ID: "r", names.TASK_ATTEMPT: 2, names.TASK_RETRY_OF: "e",
    "task.future": "f", names.ERROR_TYPE: "E",
}  # fmt: skip
PLACE = {names.SERVICE_NAME: "agent", names.HOST_NAME: "gpu-1", names.SERVICE_INSTANCE_ID: "i"}
TRACES: dict[str, Callable[[Any], Decoded]] = {
    "native": lambda request: decoder.decode_traces(request.SerializeToString(), LIMITS),
    "protobuf": lambda request: protobuf.decode_traces(request.SerializeToString(), LIMITS),
    "split": lambda request: protobuf.decode_traces(_with_a_bad_span(request), LIMITS),
    "json": lambda request: decode_traces_json(otlp.to_json(request), LIMITS),
}
LOGS: dict[str, Callable[[Any], Decoded]] = {
    "protobuf": lambda request: decoder.decode_logs(request.SerializeToString(), LIMITS),
    "json": lambda request: decode_logs_json(otlp.to_json(request), LIMITS),
}
traces_ways = pytest.mark.parametrize("way", sorted(TRACES))


def _with_a_bad_span(request: Any) -> bytes:
    bad = otlp.traces(otlp.make_span(name="~~~~")).SerializeToString()
    return bytes(request.SerializeToString() + bad.replace(b"~~~~", b"\xff\xfe\xfd\xfc"))


def _resource() -> Resource:
    return Resource(attributes=[otlp.pair(k, v) for k, v in (MANY | PLACE).items()])


@traces_ways
def test_identity_outlives_the_cut(way: str) -> None:
    """Wherever they stand; what was cut is counted and told, on the span and on its resource."""
    span = otlp.make_span(attributes=MANY | SAID, dropped_attributes_count=5)
    decoded = TRACES[way](otlp.traces(span, resource=_resource()))
    event = codec.decode_event(decoded.groups[0].rows[0])
    assert {key: event.attributes.get(key) for key in SAID} == SAID
    assert list(event.attributes)[:14] == list(MANY)[:14]
    assert len(event.attributes) == 20
    assert (event.dropped_attributes_count, event.cut) == (5 + 286, ("attribute",))
    context = codec.decode_context(decoded.groups[0].context)
    assert {key: context.resource_attributes.get(key) for key in PLACE} == PLACE
    assert len(context.resource_attributes) == 20
    assert context.resource_dropped_attributes_count == 283
    assert decoded.cut == {"attribute": 286 + 283}


@traces_ways
def test_a_key_that_comes_again_is_cut_once(way: str) -> None:
    """The last value stays, at the first place; the dropped count has every one that is gone."""
    pairs = [otlp.pair(f"k{number % 30}", number) for number in range(90)]
    pairs += [otlp.pair(names.TASK_ATTEMPT, 1), otlp.pair(names.TASK_ATTEMPT, 2)]
    decoded = TRACES[way](otlp.traces(otlp.make_span(attributes=pairs)))
    event = codec.decode_event(decoded.groups[0].rows[0])
    assert event.attributes == {f"k{n}": n + 60 for n in range(19)} | {names.TASK_ATTEMPT: 2}
    assert event.dropped_attributes_count == 92 - 20


@traces_ways
@pytest.mark.parametrize("exceptions", [[299], [0, 299], [5], [1, 2, 3, 4, 298]])
def test_exceptions_outlive_the_cut(way: str, exceptions: list[int]) -> None:
    """The last ones do: the last one decides."""
    events = [
        SpanMessage.Event(
            name=names.EXCEPTION_EVENT if n in exceptions else "message", time_unix_nano=n + 1
        )
        for n in range(300)
    ]
    events[exceptions[-1]].attributes.extend(
        otlp.pair(k, v) for k, v in (MANY | {names.EXCEPTION_TYPE: "Declined"}).items()
    )
    decoded = TRACES[way](otlp.traces(otlp.make_span(events=events, dropped_events_count=1)))
    event = codec.decode_event(decoded.groups[0].rows[0])
    last = [found for found in event.events if found.name == names.EXCEPTION_EVENT][-1]
    assert last.time_ns == exceptions[-1] + 1
    assert last.attributes[names.EXCEPTION_TYPE] == "Declined"
    assert [e.time_ns for e in event.events] == sorted(e.time_ns for e in event.events)
    assert (len(event.events), event.dropped_events_count) == (3, 1 + 297)
    assert event.cut == ("attribute", "event")


@pytest.mark.parametrize("way", sorted(LOGS))
def test_log_records_keep_theirs(way: str) -> None:
    """A log record's attributes are cut alike."""
    record = otlp.make_log(attributes=MANY | SAID | {names.EXCEPTION_TYPE: "Declined"})
    decoded = LOGS[way](otlp.logs(record))
    event = codec.decode_event(decoded.groups[0].rows[0])
    assert {key: event.attributes.get(key) for key in SAID} == SAID
    assert event.attributes[names.EXCEPTION_TYPE] == "Declined"
    assert (len(event.attributes), event.dropped_attributes_count) == (20, 287)


def test_everything_that_the_product_reads_is_kept() -> None:
    """A new attribute of the product outlives a cut without being named again."""
    read = list(TaskAttributes.__struct_encode_fields__)
    assert names.TASK_ID in read
    chosen = Kept().attributes([*MANY, *read], len(read))
    assert chosen == list(range(len(MANY), len(MANY) + len(read)))


@given(st.lists(st.sampled_from(["a", "b", "task.id", "task.x", "c"]), unique=True), st.integers(1))
def test_what_is_kept_is_a_value(keys: list[str], most: int) -> None:
    """As many stay as may, in their order, the named ones first."""
    kept = Kept(keys=frozenset({"c"}), prefixes=("task.",))
    places = kept.attributes(keys, most)
    assert places == sorted(set(places))
    assert len(places) == min(most, len(keys))
    assert "c" not in keys or keys.index("c") in places
