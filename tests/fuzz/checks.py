"""What any bytes must do to the decoders: be taken or refused, alike by every decoder."""

import random
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue

from events.errors import Rejected
from events.identity import Identity
from service.otlp.batch import BatchBuilder
from service.otlp.decode import decoder as decode
from service.otlp.decode import protobuf
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.json_body import decode_logs_json, decode_traces_json
from service.otlp.decode.limits import Limits
from service.otlp.scrub.scrubber import Scrubber
from tests.captures import capture_files, read_capture
from tests.otlp import logs, make_log, make_span, pair, to_json, traces
from tests.resending import attempts_request

# Small bounds are met by small inputs.
LIMITS: Final = Limits(max_string_bytes=64, max_attributes=4, max_span_events=2, max_links=2)
_builder = BatchBuilder(Identity(bytes(64)), Scrubber())


def check(body: bytes) -> None:
    """Give `body` to every decoder, and build a batch of what was taken."""
    native = _decoded(decode.decode_traces, body)
    if not _is_dear(native):
        reference = _decoded(protobuf.decode_traces, body)
        assert _comparable(native) == _comparable(reference), f"decoded unlike: {body.hex()}"
    found = [native]
    found += [_decoded(d, body) for d in (decode.decode_logs, decode_traces_json, decode_logs_json)]
    for decoded in found:
        if decoded is not None and decoded.groups:
            batch = _builder.build([("default", 1, decoded)])
            assert batch is not None
            assert batch.count == decoded.accepted


def _is_dear(decoded: Decoded | None) -> bool:
    """Whether a span was refused for what it would cost the reference, which has no such bound."""
    return decoded is not None and any("costs more to decode" in said for said in decoded.reasons)


def _comparable(decoded: Decoded | None) -> object:
    """Everything but empty strings in the text, which only one decoder writes."""
    if decoded is None:
        return None
    groups = []
    for group in decoded.groups:
        starts = [0, *group.text_ends[:-1]]
        texts = [
            [text for text in group.text[start:end].split(b"\0") if text]
            for start, end in zip(starts, group.text_ends, strict=True)
        ]
        times = group.time_min_ns, group.time_max_ns
        groups.append((group.context, group.rows, texts, *times))
    return groups, decoded.accepted, decoded.refused, decoded.cut


def _decoded(decoder: object, body: bytes) -> Decoded | None:
    try:
        decoded: Decoded = decoder(body, LIMITS)  # type: ignore[operator]
    except Rejected:
        return None
    assert sum(len(group.rows) for group in decoded.groups) == decoded.accepted
    for group in decoded.groups:
        assert len(group.text) == group.text_ends[-1]
        assert len(group.text_ends) == len(group.rows)
    return decoded


def seeds() -> list[bytes]:
    """Requests to begin with: made ones in both encodings, and captured ones."""
    chance = random.Random(1)
    made = [traces(make_span()), logs(make_log()), attempts_request("s", 1, chance)]
    texts = [to_json(message) for message in made]
    # More keys than are compared one by one, and a depth over the limit.
    pairs = [pair(f"k{n % 70}", n) for n in range(100)]
    deep = AnyValue(int_value=1)
    for _ in range(20):
        deep = AnyValue(array_value=ArrayValue(values=[deep]))
    made.append(traces(make_span(attributes=[*pairs, pair("deep", deep)])))
    captured = sorted(map(read_capture, capture_files()), key=len)
    return [m.SerializeToString() for m in made] + texts + captured[:6]
