"""What scrubbing one batch may cost is bounded, and nothing private gets through for it."""

from events import codec
from events.identity import Identity
from events.log.port import Batch
from events.schema import Span
from service.otlp.batch import BatchBuilder
from service.otlp.decode.limits import Limits
from service.otlp.decode.protobuf import decode_traces
from service.otlp.scrub.replacer import BATCH_CANDIDATES, CANDIDATES
from service.otlp.scrub.scrubber import Scrubber
from tests.otlp import Resource, make_span, pair, traces

RESOURCE = Resource(attributes=[pair("owner", "bob@x.org on shift")])
STRINGS = 25


def build(builder: BatchBuilder, *attributes: dict[str, str]) -> Batch:
    spans = [make_span(attributes=values) for values in attributes]
    body = traces(*spans, resource=RESOURCE).SerializeToString()
    batch = builder.build([("default", 1, decode_traces(body, Limits()))])
    assert batch is not None
    return batch


def stored(batch: Batch) -> tuple[list[Span], dict[str, object]]:
    (block,) = codec.decode_blocks(codec.unpack(batch.codec, batch.payload))
    return [e for e in block.events if isinstance(e, Span)], block.context.resource_attributes


def test_a_spent_batch_hides_whole_strings_and_nobody_remembers() -> None:
    """After so many candidates a string with one is replaced; the next batch starts afresh."""
    builder = BatchBuilder(Identity(bytes(64)), Scrubber())
    hostile = [
        {f"k{n}": f"{n} " + f"bob@x{number}.org " * (CANDIDATES - 1) for n in range(STRINGS)}
        for number in range(BATCH_CANDIDATES // (STRINGS * (CANDIDATES - 1)) + 2)
    ]
    spans, resource = stored(build(builder, *hostile, {"text": "from 10.0.0.1", "plain": "x"}))
    assert spans[0].attributes["k1"] == "1 " + "[email] " * (CANDIDATES - 1)
    assert spans[-1].attributes == {"text": "from [scrubbed]", "plain": "x"}
    assert spans[-1].scrubbed
    assert not [s for span in spans for s in span.attributes.values() if "bob" in str(s)]
    assert resource == {"owner": "[scrubbed]"}
    spans, resource = stored(build(builder, {"text": "from 10.0.0.1 to me"}))
    assert spans[0].attributes == {"text": "from [ip] to me"}
    assert resource == {"owner": "[email] on shift"}
