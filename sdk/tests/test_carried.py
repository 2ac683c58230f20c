"""The context that a message carries."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger_sdk import AttemptContext
from spanledger_sdk.carried import NUMBER_LIMIT
from spanledger_sdk.guard import troubles

TEXTS = st.text(min_size=1, max_size=20)
MAYBE = st.none() | TEXTS
CONTEXTS = st.builds(
    AttemptContext,
    task_id=TEXTS, run_id=TEXTS, attempt=st.integers(1, NUMBER_LIMIT), tenant=MAYBE,
    previous_span_id=st.none() | st.integers(1, (1 << 64) - 1).map("{:016x}".format),
    name=MAYBE, group_id=MAYBE, queue=MAYBE,
    queued_at_ns=st.none() | st.integers(0, 1 << 62), max_attempts=st.none() | st.integers(1, 99),
)  # fmt: skip


@given(CONTEXTS)
def test_a_dictionary_carries_it_whole(context: AttemptContext) -> None:
    """Through JSON, too."""
    assert AttemptContext.from_dict(json.loads(json.dumps(context.to_dict()))) == context


@given(CONTEXTS)
def test_headers_carry_it_whole(context: AttemptContext) -> None:
    """As texts, and as the bytes in which some brokers give them back, in another case."""
    headers = context.to_headers()
    assert all(value.isascii() for value in headers.values())
    assert AttemptContext.from_headers({"other": 1, **headers}) == context
    raw = {name.upper().encode(): value.encode() for name, value in headers.items()}
    assert AttemptContext.from_headers(raw) == context


@given(CONTEXTS)
def test_whoever_gets_it_knows_the_trace(context: AttemptContext) -> None:
    """The trace id is the same at both ends of the message."""
    got = AttemptContext.from_headers(context.to_headers())
    assert got is not None
    assert got.trace_id("default") == context.trace_id("default")


def test_without_a_header_there_is_none() -> None:
    """A message of somebody else."""
    assert AttemptContext.from_headers({"traceparent": "00-…"}) is None


@pytest.mark.trouble
@pytest.mark.parametrize(
    "header",
    ["", "task_id", "task_id=a", "task_id=a&run_id=b&attempt=0", "task_id=a&run_id=b&attempt=x",
     "task_id=a&run_id=b&previous_span_id=0", "task_id=a&run_id=b&attempt=" + "9" * 9_000,
     "task_id=a&run_id=b&attempt=99999999"],
)  # fmt: skip
def test_a_bad_header_ends_no_worker(header: str) -> None:
    """It is said, and there is no context."""
    assert AttemptContext.from_headers({"spanledger-attempt": header}) is None
    assert troubles.counts()


@pytest.mark.parametrize(
    ("given_", "named"),
    [
        ({"run_id": "r"}, "task_id"),
        ({"task_id": "t", "run_id": 3}, "run_id"),
        ({"task_id": "t", "run_id": "r", "attempt": True}, "attempt"),
        ({"task_id": "t", "run_id": "r", "previous_span_id": "0x12345678901234"}, "previous"),
    ],
)
def test_a_bad_dictionary_is_named(given_: dict[str, Any], named: str) -> None:
    """The error says which value is wrong."""
    with pytest.raises(ValueError, match=named):
        AttemptContext.from_dict(given_)


def test_what_a_later_release_adds_is_passed_over() -> None:
    """Old workers take messages of new senders."""
    found = AttemptContext.from_dict({"task_id": "t", "run_id": "r", "colour": "red"})
    assert found == AttemptContext("t", "r")
