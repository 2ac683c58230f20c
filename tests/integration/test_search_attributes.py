"""Attempts found by what their spans say: in the index, behind it, rare and frequent values."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from events.log.port import Batch
from projections.queries import Queries
from projections.query.refusals import BadQuestion
from projections.views.attempts import searching
from projections.views.spans.shape import SHAPE
from tests.events import BASE_NS, SECOND_NS, make_batch, make_context, make_exception, make_span
from tests.views import make_folder

COUNT = 2 * SHAPE.events + 300
"""So that two blocks are indexed and some spans are not."""
RARE = (5, SHAPE.events + 7, COUNT - 3)


def make_world() -> Iterator[Batch]:
    """Attempts of which every third is of shop `north`, and three have an order of their own."""
    spans = [
        make_span(
            task=f"t{n % 7}", run=f"r{n}", start_ns=BASE_NS + n * SECOND_NS,
            attributes={
                "shop": "north" if n % 3 == 0 else "south", "app.count": n % 5,
                **({"app.order": "A 17"} if n in RARE else {}),
            },
            events=[make_exception(message="odd one")] if n == 11 else [],
            status_code=2 if n == 11 else 1,
        )
        for n in range(COUNT)
    ]  # fmt: skip
    for at in range(0, COUNT, 500):
        yield make_batch(spans[at : at + 500], context=make_context(service=f"s{at}"))


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queries]:
    """Questions on that world."""
    folder: Path = make_folder(tmp_path_factory.mktemp("attributes"), list(make_world()))
    with closing(Queries(folder, budget_s=60.0)) as queries:
        yield queries


def found(queries: Queries, search: str, **parameters: str) -> list[int]:
    """Numbers of the attempts that pass a search, over all pages."""
    numbers: list[int] = []
    asked = {"search": search, "limit": "200", **parameters}
    while True:
        page: Any = queries.answer("attempts", asked)
        numbers += [int(item.run_id[1:]) for item in page.items]
        if page.next is None:
            return numbers
        asked["cursor"] = page.next


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ('app.order:"A 17"', lambda n: n in RARE),
        ('app.order="A 17" @shop:north', lambda n: n in RARE and n % 3 == 0),
        ('NOT @shop:north task:t2', lambda n: n % 3 and n % 7 == 2),
        ("app.count:4 OR @exception.message:\"odd one\"", lambda n: n % 5 == 4 or n == 11),
        ("service.name:s500 @shop:south", lambda n: 500 <= n < 1000 and n % 3),
        ("app.order:A", lambda n: False),
        ("@nobody.has:it", lambda n: False),
    ],
)  # fmt: skip
def test_an_attributes_value_finds_its_attempts(
    queries: Queries, search: str, expected: Any
) -> None:
    """Exactly those, newest first, whether the index knows them yet or not."""
    assert found(queries, search) == [n for n in reversed(range(COUNT)) if expected(n)]


def test_few_and_many_are_found_alike(
    queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """By way of the index, or row by row: the same attempts, in any order and with filters."""
    for parameters in ({}, {"sort": "started"}, {"task": "t5"}, {"until": "2100-01-01T00:00:00Z"}):
        monkeypatch.setattr(searching, "_FEW", 10**6)
        by_index = found(queries, "@shop:north", **parameters)
        monkeypatch.setattr(searching, "_FEW", 0)
        assert found(queries, "@shop:north", **parameters) == by_index
        assert by_index


def test_what_is_no_attribute_is_told(queries: Queries) -> None:
    """A word that is no field says how an attribute is written."""
    with pytest.raises(BadQuestion, match="@colour"):
        found(queries, "colour:red")
