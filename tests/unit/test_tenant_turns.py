"""Tenants take turns: in bytes, whoever floods waits behind itself, and is refused first."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import QueueFull
from events.turns import Turns

KIB = 1 << 10


@dataclass(frozen=True)
class Item:
    tenant: str
    size_bytes: int
    number: int = 0

    @property
    def cost_bytes(self) -> int:
        return self.size_bytes


def turns_of(*items: Item, limit_bytes: int = 1 << 30) -> Turns[Item]:
    turns: Turns[Item] = Turns(limit_bytes)
    for item in items:
        turns.add(item)
    return turns


def test_a_small_item_waits_for_no_large_one() -> None:
    """It is taken next, and alone: not in a group with what takes long."""
    turns = turns_of(*[Item("flood", 400 * KIB)] * 9)
    assert len(turns.take(256 * KIB)) == 1
    turns.add(Item("calm", 1 * KIB))
    assert [item.tenant for item in turns.take(256 * KIB)] == ["calm"]
    assert [item.tenant for item in turns.take(256 * KIB)] == ["flood"]


def test_one_tenant_alone_fills_its_groups() -> None:
    """As nobody else waits, a large item more does no harm."""
    turns = turns_of(*[Item("only", 400 * KIB)] * 9)
    assert len(turns.take(1500 * KIB)) == 4
    assert len(turns.take(1 << 62, 2)) == 2


def test_the_one_who_floods_is_refused() -> None:
    """Beyond its share, while others still find room."""
    turns = turns_of(*[Item("flood", 100 * KIB)] * 10, limit_bytes=1000 * KIB)
    with pytest.raises(QueueFull, match="its share"):
        turns.add(Item("flood", 100 * KIB))
    turns.add(Item("calm", 100 * KIB))


items = st.builds(Item, st.sampled_from("abc"), st.integers(1, 300 * KIB), st.integers())


@given(st.lists(items, max_size=40), st.integers(1, 600 * KIB))
def test_nothing_is_lost_and_each_tenant_keeps_its_order(given_: list[Item], most: int) -> None:
    """However large, and however small the groups are; what is put back comes again."""
    turns = turns_of(*given_)
    taken: list[Item] = []
    while group := turns.take(most):
        taken += group[:1]
        turns.put_back(group[1:])
    assert turns.waiting_bytes == 0
    for tenant in "abc":
        assert [i for i in taken if i.tenant == tenant] == [i for i in given_ if i.tenant == tenant]
