"""Numbers of tasks: one for each text, in order of appearance, whatever their digests are."""

import sqlite3
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.fold import FactsProjection
from projections.query import lookup
from projections.runs.registry import tasks
from projections.runs.registry.numbers import Registry
from projections.runs.registry.tasks import TaskNumbers
from projections.runs.words import key_hashes


def coarse(keys: Iterable[str]) -> list[int]:
    """Digests of which many texts share one."""
    return [digest % 5 << 60 for digest in key_hashes(keys)]


def new_numbers() -> tuple[sqlite3.Connection, TaskNumbers]:
    """Numbers in a views file in memory with the tenants a and b."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    FactsProjection({}).create(connection)
    registry = Registry()
    registry.connection = connection
    assert [registry.tenant_no(name) for name in ("a", "b")] == [1, 2]
    return connection, TaskNumbers(registry)


@settings(max_examples=80, deadline=None)
@given(
    pages=st.lists(
        st.lists(
            st.lists(st.tuples(st.integers(1, 2), st.sampled_from("tuvwxyz")), max_size=6),
            max_size=3,
        ),
        max_size=8,
    ),
    forgetful=st.booleans(),
    kept_bytes=st.sampled_from([0, 600, 1 << 20]),
)
def test_texts_with_one_digest_have_numbers_of_their_own(
    pages: list[list[list[tuple[int, str]]]], forgetful: bool, kept_bytes: int
) -> None:
    """In parts of pages, with little memory or after a restart: as a dictionary would count."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "key_hashes", coarse)
        patch.setattr(tasks, "KEPT_BYTES", kept_bytes)
        patch.setattr(lookup, "key_hash", lambda *parts: coarse(["\x00".join(parts)])[0])
        connection, numbers = new_numbers()
        expected: dict[tuple[int, str], int] = {}
        for page in pages:
            for part in page:
                new = [key for key in dict.fromkeys(part) if key not in expected]
                expected |= {key: len(expected) + n for n, key in enumerate(new, 1)}
                found, given_now = numbers.resolve(connection, part)
                numbers.write(connection, dict.fromkeys(given_now, 1))
                assert found == [expected[key] for key in part]
                assert given_now == {expected[key] for key in new}
            numbers.flush(connection)
            if forgetful:
                numbers.forget()
        for (tenant_no, task_id), number in expected.items():
            assert lookup.find_task(connection, " ab"[tenant_no], task_id) == number
        assert lookup.find_task(connection, "a", "unknown") is None


def test_what_is_kept_of_tasks_is_bounded_in_bytes() -> None:
    """Task ids of 64 KiB fill the bound, and the numbers stay right."""
    connection, numbers = new_numbers()
    long = [(1, f"{n:05}" + "x" * (64 << 10)) for n in range(1_000)]
    for at in range(0, len(long), 100):
        _, given_now = numbers.resolve(connection, long[at : at + 100])
        numbers.write(connection, dict.fromkeys(given_now, 1))
        assert numbers._numbers.held_bytes <= tasks.KEPT_BYTES
        numbers.flush(connection)
    assert numbers.resolve(connection, long) == (list(range(1, 1_001)), set())
