"""Facts of runs: what is stored of them is read back as it was."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from projections.runs import words
from projections.runs.facts import LogFact, RunFacts, SpanFact, decode_facts, encode_facts
from projections.runs.more import More

NUMBERS = st.none() | st.integers(0, 2**40)
TEXTS = st.none() | st.text(max_size=5)
SPANS = st.builds(
    SpanFact,
    event_id=st.binary(min_size=8, max_size=8),
    trace_id=st.binary(min_size=16, max_size=16) | st.just(b""),
    span_id=st.binary(min_size=8, max_size=8) | st.just(b""),
    position=st.integers(1, 2**40),
    start_ns=st.integers(0, 2**63 - 1),
    end_ns=st.just(0) | st.integers(0, 2**63 - 1),
    source_no=st.integers(1, 9),
    number=NUMBERS,
    max_attempts=NUMBERS,
    name=TEXTS,
    more=st.none() | st.builds(More, retry_of=TEXTS, files_written=NUMBERS),
    parent_span_id=st.sampled_from([b"", b"12345678"]),
    status=st.sampled_from([words.COMPLETED, words.FAILED]),
    error=st.integers(0, 2),
    error_no=NUMBERS,
    message_no=NUMBERS,
    group_id=TEXTS,
    queued_ns=NUMBERS,
    queues=st.booleans(),
    partition=st.integers(0, 1),
)
LOG = LogFact(
    event_id=bytes(16), partition=0, position=1, kind=1, loose=False, trace_id=b"", span_id=b"",
    time_ns=1, number=None, status=None, source_no=1, error_no=None, message_no=None,
    progress=None, name=None, group_id=None, queued_ns=None, max_attempts=None, more=None,
)  # fmt: skip


@given(
    spans=st.lists(SPANS, max_size=2),
    logs=st.lists(st.just(LOG), max_size=1),
    beside_ns=st.none() | st.integers(0, 2**63 - 1),
)
def test_facts_are_read_back_as_they_were(
    spans: list[SpanFact], logs: list[LogFact], beside_ns: int | None
) -> None:
    """Also where the stored form leaves out what has its default, or stands beside it."""
    facts = RunFacts(spans, logs, [])
    assert decode_facts(encode_facts(facts, beside_ns), beside_ns) == facts


def test_a_completed_span_is_stored_without_what_it_does_not_say() -> None:
    """Most runs are one span: their rows end behind what all spans say."""
    plain = SpanFact(
        event_id=bytes(8), trace_id=bytes(16), span_id=bytes(8), position=1, start_ns=2**60,
        end_ns=2**60, source_no=1, number=1, max_attempts=None, name=None, more=None,
    )  # fmt: skip
    in_a_group = msgspec.structs.replace(plain, group_id="")
    sizes = [
        len(encode_facts(RunFacts([span], [], []), span.start_ns)) for span in (plain, in_a_group)
    ]
    assert sizes[1] - sizes[0] >= 11
