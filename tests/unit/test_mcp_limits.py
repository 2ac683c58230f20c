"""How often an agent may call, and how large an answer gets."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.mcp.answering import TOOLS, answer, schema_of
from service.mcp.limits import Buckets, TooManyCalls
from tests.thorough import examples

LONGEST = 32_768


class Clock:
    """Seconds that stand still unless they are moved."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def allowed(buckets: Buckets, caller: str) -> bool:
    """Whether a call is let through."""
    try:
        buckets.take(caller)
    except TooManyCalls:
        return False
    return True


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    """Twenty calls at once, none more; a tenth of a second later one, after two seconds twenty."""
    clock = Clock()
    buckets = Buckets(clock=clock)
    assert sum(allowed(buckets, "a") for _ in range(30)) == 20
    clock.now_s = 0.1
    assert [allowed(buckets, "a") for _ in range(2)] == [True, False]
    clock.now_s = 2.2
    assert sum(allowed(buckets, "a") for _ in range(30)) == 20


def test_callers_do_not_share_a_bucket() -> None:
    """Who calls too often holds up nobody else, and is told when to come again."""
    buckets = Buckets(clock=Clock())
    assert not all(allowed(buckets, "a") for _ in range(30))
    assert allowed(buckets, "b")
    with pytest.raises(TooManyCalls) as refused:
        buckets.take("a")
    assert refused.value.retry_after_s == pytest.approx(0.1)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=200))
def test_never_more_than_burst_and_rate(waits_s: list[float]) -> None:
    """However calls are spread, no more are let through than the burst and the rate allow."""
    clock = Clock()
    buckets = Buckets(clock=clock)
    passed = 0
    for wait_s in waits_s:
        clock.now_s += wait_s
        passed += allowed(buckets, "a")
    assert passed <= 20 + clock.now_s * 10 + 1e-6


class Wordy:
    """A source of one list of attempts whose texts are as long as senders may make them."""

    def __init__(self, items: int, characters: int) -> None:
        self._items = items
        self._text = "x" * characters

    def ask(self, resource: str, filters: Any) -> dict[str, Any]:
        """See `Source.ask`."""
        if resource == "metrics/attempts":
            return {"count": self._items, "exact": True}
        shown = min(filters["limit"], self._items)
        record = {
            "attempt_id": "a" * 32, "task_id": self._text, "task_name": self._text,
            "run_id": self._text, "attempt": 1, "status": "failed", "started_at": "t",
            "ended_at": "t", "duration_ns": 1, "executor": self._text, "trace_id": "b" * 32,
            "span_id": "c" * 16, "backfilled": False, "retrieval_sources": [self._text] * 20,
            "error": {"type": self._text, "message": self._text, "stack_hash": None,
                      "fingerprint": "d" * 32},
        }  # fmt: skip
        return {"items": [record] * shown, "next": f"after-{shown}"}


@settings(max_examples=examples(60), deadline=None)
@given(
    st.integers(0, 100),
    st.one_of(st.integers(0, 200), st.integers(0, LONGEST)),
    st.integers(8 << 10, 48 << 10),
)
def test_an_answer_never_exceeds_its_bytes(items: int, characters: int, most: int) -> None:
    """Whatever senders sent, the JSON fits; what was cut is said, and goes on where it ended."""
    document = answer("tasks_list", {"limit": 100}, Wordy(items, characters), most)
    assert len(msgspec.json.encode(document)) <= most
    assert next(iter(document)) == "summary"
    shown = len(document["executions"])
    assert document["cursor"] == f"after-{shown}"
    whole = shown == min(items, 100) and all(
        each["task_id"] == "x" * characters for each in document["executions"]
    )
    assert whole or document["truncated"]
    if document["truncated"]:
        assert str(most) in document["more"]


@pytest.mark.parametrize("name", TOOLS)
def test_schemas_are_objects_that_name_everything(name: str) -> None:
    """Each argument has a type and a sentence, and unknown ones are not allowed."""
    schema = schema_of(TOOLS[name])
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    for argument in schema["properties"].values():
        assert "description" in msgspec.json.encode(argument).decode()
        assert "$ref" not in str(argument)
