"""Numbers of error messages: by the place of their event, several of one event apart."""

import sqlite3
from collections.abc import Iterator

import pytest

from projections.fold import FactsProjection
from projections.runs import words
from projections.runs.registry.numbers import Registry


@pytest.fixture
def registry() -> Iterator[Registry]:
    registry = Registry()
    registry.connection = sqlite3.connect(":memory:", isolation_level=None)
    FactsProjection({}).create(registry.connection)
    yield registry
    registry.connection.close()


def _texts(registry: Registry) -> dict[int, str]:
    registry.flush(registry.connection)
    return dict(registry.connection.execute("SELECT message_no, text FROM message"))


def test_a_message_has_the_place_of_its_event(registry: Registry) -> None:
    """The same each time, in no place of another partition, beside the one of the abandoned."""
    numbers = [registry.message_no(p, 7, f"bad {p}") for p in (0, 1, 1)]
    assert numbers[0] == 7
    assert numbers[1] == numbers[2]
    assert _texts(registry) == {
        words.NO_HEARTBEAT_NO: "no heartbeat", 7: "bad 0", numbers[1]: "bad 1"
    }  # fmt: skip
    assert registry.message_no(0, 7, "bad 0") == 7
    assert len(_texts(registry)) == 3


def test_messages_of_one_event_are_kept_apart(registry: Registry) -> None:
    """As many as there are, whether written already or not; each is found again."""
    told = ["first", "second", "first", "third", "second"]
    numbers = [registry.message_no_among(0, 7, text) for text in told]
    assert len(set(numbers)) == 3
    texts = _texts(registry)
    assert [texts[number] for number in numbers] == told
    assert [registry.message_no_among(0, 7, text) for text in told] == numbers
    other = registry.message_no_among(0, 8, "second")
    assert other not in numbers
    assert _texts(registry) == texts | {other: "second"}
