"""Tenants take turns: what one sends costs its own requests time, and not another's."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import QueueFull
from events.log.memory import MemoryLog
from service.otlp.decode.limits import Limits
from service.otlp.pipeline import Pipeline
from service.otlp.request import Encoding, Request, Signal
from service.otlp.turns import Turns
from tests.receivers import HeldDoor, traces

KIB = 1 << 10
MIB = 1 << 20
WAIT_S = 10.0


def request(tenant: str, size: int, coding: str = "") -> Request:
    return Request(Signal.TRACES, Encoding.PROTOBUF, tenant, 1, bytes(size), coding)


def test_one_that_floods_waits_behind_itself() -> None:
    """Another's request is in the next group, whatever waits before it."""
    turns = Turns(64 * MIB)
    for _ in range(300):
        turns.add(request("flood", 150 * KIB))
    assert turns.take(256 * KIB)
    turns.add(request("calm", KIB))
    group = turns.take(256 * KIB)
    assert "calm" in [found.tenant for found in group]
    assert sum(len(found.body) for found in group) < 600 * KIB


def test_turns_are_measured_in_bytes() -> None:
    """Tenants with small and large requests get the same number of bytes."""
    turns = Turns(64 * MIB)
    for _ in range(40):
        turns.add(request("large", 200 * KIB))
    for _ in range(4000):
        turns.add(request("small", 2 * KIB))
    taken = {"large": 0, "small": 0}
    for _ in range(20):
        for found in turns.take(256 * KIB):
            taken[found.tenant] += len(found.body)
    assert 0.6 < taken["large"] / taken["small"] < 1.7


def test_what_is_compressed_is_paid_for_when_it_is_known() -> None:
    """A small body that becomes a large one counts as the large one."""
    turns = Turns(64 * MIB)
    for _ in range(50):
        turns.add(request("bombs", 4 * KIB, "zstd"))
        turns.add(request("calm", 100 * KIB))
    order: list[str] = []
    while turns:
        for found in turns.take(1):
            order.append(found.tenant)
            if found.coding:
                turns.charge(found, 10 * MIB)
    assert order.index("bombs") < 3
    assert order[:52].count("bombs") <= 2


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 300 * KIB), st.sampled_from(("", "gzip"))),
        max_size=40,
    ),
    st.integers(1, 2 * MIB),
    st.integers(0, 3),
)
def test_every_request_is_taken_once_and_in_its_order(
    sent: list[tuple[str, int, str]], most: int, back: int
) -> None:
    """Whatever is taken, put back and charged; and nothing waits in the end."""
    turns = Turns(1 << 40)
    requests = [request(*each) for each in sent]
    for each in requests:
        turns.add(each)
    taken: list[Request] = []
    while turns:
        group = turns.take(most)
        assert group
        if len(group) > back:
            turns.put_back(group[len(group) - back :])
            group = group[: len(group) - back]
        for each in group:
            turns.charge(each, 10 * len(each.body))
        taken += group
    assert turns.waiting_bytes == 0
    for tenant in "abc":
        mine = [each for each in requests if each.tenant == tenant]
        assert [each for each in taken if each.tenant == tenant] == mine


def test_who_floods_is_refused_first() -> None:
    """A full queue still has room for tenants that are below their share, within a bound."""
    turns = Turns(MIB)

    def fill(tenant: str) -> int:
        for count in range(1000):
            try:
                turns.add(request(tenant, 10 * KIB))
            except QueueFull:
                return count
        raise AssertionError("there is no bound")

    assert fill("flood") == 102
    assert fill("calm") == 26
    assert fill("late") == 0
    assert turns.waiting_bytes <= MIB * 5 // 4
    turns.take(300 * KIB)
    assert fill("late") > 0
    with pytest.raises(QueueFull):
        turns.add(request("flood", 10 * KIB))


def test_one_request_may_be_larger_than_the_queue() -> None:
    """It is taken where nothing else waits."""
    turns = Turns(KIB)
    turns.add(request("a", MIB))
    assert len(turns.take(1)) == 1


def test_a_group_ends_where_its_bodies_turn_out_to_be_large() -> None:
    """What is left goes back, so that others come before it, and is stored later."""
    log = MemoryLog()
    door = HeldDoor(log)
    door.hold()
    pipeline = Pipeline(door, Limits(), None, 64 * MIB)

    def send(tenant: str, number: int, count: int) -> Request:
        body = traces(count, first=1 + number * 10_000).SerializeToString()
        sent = Request(Signal.TRACES, Encoding.PROTOBUF, tenant, 1, gzip.compress(body), "gzip")
        pipeline.submit(sent)
        return sent

    sent = [send("flood", number, 9000) for number in range(12)]
    sent.append(send("calm", 99, 1))
    door.let_go()
    assert [each.answer.result(WAIT_S).accepted for each in sent] == [9000] * 12 + [1]
    assert log.head().position == 12 * 9000 + 1
