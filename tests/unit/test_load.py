"""The loads of the benchmarks have the sizes and shares that their figures are stated with."""

from collections import Counter
from itertools import islice

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from benchmarks import ledger, load, stamp
from events import codec
from events.identity import Identity, new_key
from service.otlp.batch import BatchBuilder
from service.otlp.decode.decoder import decode_traces
from service.otlp.decode.limits import Limits
from service.otlp.scrub.scrubber import Scrubber

REQUESTS = 24
SPAN_BYTES = 759


def _spans(*bodies: bytes) -> list[Span]:
    return [
        span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _text(span: Span, key: str) -> str:
    return next((a.value.string_value for a in span.attributes if a.key == key), "")


@pytest.fixture(scope="module", params=["attempts", "mixed"])
def bodies(request: pytest.FixtureRequest) -> list[bytes]:
    return list(load.LOADS[request.param](REQUESTS))


def test_spans_have_the_stated_size_and_shape(bodies: list[bytes]) -> None:
    """759 B and 12 attributes a span, 512 spans a request, a quarter failed with 15 frames."""
    spans = _spans(*bodies)
    assert len(spans) == REQUESTS * load.REQUEST_SPANS
    assert sum(map(len, bodies)) / len(spans) == pytest.approx(SPAN_BYTES, rel=0.02)
    assert {len(span.attributes) for span in spans} == {12}
    failed = [span for span in spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert len(failed) / len(spans) == pytest.approx(0.25, abs=0.02)
    for span in failed:
        (event,) = span.events
        stack = next(a for a in event.attributes if a.key == "exception.stacktrace")
        assert stack.value.string_value.count("  File ") == 15


def test_every_span_is_unique(bodies: list[bytes]) -> None:
    """No two spans of a load have an id in common."""
    spans = _spans(*bodies)
    assert len({span.span_id for span in spans}) == len(spans)


def test_segments_compress_like_real_ones(bodies: list[bytes]) -> None:
    """A segment of 512 spans takes 140 to 170 B a span, as in the groundwork's measurements."""
    builder = BatchBuilder(Identity(new_key()), Scrubber())
    decoded = decode_traces(bodies[0], Limits())
    batch = builder.build([("default", 1, decoded)])
    assert batch is not None
    assert 140 < len(batch.payload) / batch.count < 170


def test_attempts_are_all_of_new_tasks() -> None:
    """Every span of the load `attempts` names a task and a run of its own."""
    spans = _spans(*load.attempts(4))
    assert len({_text(span, "task.id") for span in spans}) == len(spans)
    assert len({_text(span, "task.run.id") for span in spans}) == len(spans)
    assert len({span.trace_id for span in spans}) == len(spans)


def test_celery_tells_the_same_attempts() -> None:
    """Spans of the load `celery` are those of `attempts` in all but their attributes' names."""
    native, told = _spans(*load.attempts(1)), _spans(*load.celery(1))
    for one, other in zip(native, told, strict=True):
        assert (one.span_id, one.start_time_unix_nano) == (
            other.span_id, other.start_time_unix_nano)  # fmt: skip
        assert _text(one, "task.run.id") == _text(other, "messaging.message.id")
        assert len(one.attributes) == len(other.attributes)
    assert not any(pair.key.startswith("task.") for span in told for pair in span.attributes)
    assert {_text(span, "celery.state") for span in told} == {"SUCCESS", "FAILURE"}


def test_mixed_has_an_attempt_in_eight_and_a_fifth_of_runs_retried() -> None:
    """The load `mixed` has 8 spans a trace, one of them an attempt, of 5,000 tasks at most."""
    spans = _spans(*load.mixed(100))
    traces = Counter(span.trace_id for span in spans)
    assert set(traces.values()) == {8}
    attempts = [span for span in spans if _text(span, "task.id")]
    assert len(attempts) == len(traces)
    assert len({_text(span, "task.id") for span in attempts}) <= 5_000
    runs = Counter(_text(span, "task.run.id") for span in attempts)
    assert max(runs.values()) <= 4
    assert sum(count > 1 for count in runs.values()) / len(runs) == pytest.approx(0.2, abs=0.02)


def test_single_has_one_span_a_request() -> None:
    """The load `single` sends its spans one by one."""
    assert [len(_spans(body)) for body in load.single(5)] == [1] * 5


@pytest.mark.parametrize("name", ["attempts", "mixed"])
def test_copies_of_a_request_share_no_id(name: str) -> None:
    """A copy of another round keeps traces together and shares no span, trace or run."""
    first, second = (next(stamp.requests(name, number, pool=2)) for number in (0, 3))
    one, other = _spans(first), _spans(second)
    assert len(one) == len(other)
    for kind in ("trace_id", "span_id"):
        assert not {getattr(s, kind) for s in one} & {getattr(s, kind) for s in other}
    assert not {_text(s, "task.run.id") for s in one} & {_text(s, "task.run.id") for s in other} - {
        ""
    }
    spans_of = [len(set(Counter(s.trace_id for s in spans).values())) for spans in (one, other)]
    assert spans_of == [1, 1]
    ids = {span.span_id for span in other}
    assert all(not span.parent_span_id or span.parent_span_id in ids for span in other)
    assert all(
        s.start_time_unix_nano < o.start_time_unix_nano for s, o in zip(one, other, strict=True)
    )


def test_a_grown_log_holds_what_a_receiver_stores() -> None:
    """The segments of a grown log decode, and those of later rounds have other ids."""
    found = list(islice(ledger.batches("mixed", 5 * 512, pool_size=2), 5))
    rows = [codec.rows_of(codec.unpack(batch.codec, batch.payload)) for batch in found]
    assert [len(part) for part in rows] == [batch.count for batch in found]
    first, again = (codec.decode_event(part[0]) for part in (rows[0], rows[4]))
    assert first.trace_id != again.trace_id
    assert first.attributes.keys() == again.attributes.keys()  # type: ignore[union-attr]
