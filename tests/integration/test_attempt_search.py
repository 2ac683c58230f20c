"""Searching attempts by words: ranges are sifted by numbers, and nothing that fits is lost."""

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.queries import Queries
from projections.query import listing
from projections.views.attempts.search import search
from tests.events import BASE_NS, make_batch, make_context, make_exception, make_span
from tests.views import make_folder

COUNT: Final = 60
WORDS: Final = ("kelvin", "\u212aelvin", "it's", "a\0b", "STRASSE", "straße", "w-1", "x")
"""Letters whose small forms differ, a quotation mark, and an end that is none."""
_OF_ERROR: Final = {"error_type": "type", "error_message": "message"}
TERMS: Final = (
    "kelvin", "\u212aELVIN", "it's", "a\0", "strasse", "STRAß*", "w-1", "task:x", "task:k*",
    "run:kelvin", "run:w*", "executor:w-1", "executor:W*", "model:x", "queue:it's", "host:x",
    "component:shop", "status:failed", "status:c*", "status:nothing", "failed", "type:connection",
    "category:network", "severity:error", "message:kelvin", 'error:"no answer"', "group:x",
    "duration>1s", "duration<=1s", "attempt>=1", "attempt=2", "trace:0*", "trace:zz*",
    "system:native", "nowhere", "fingerprint:a*", f"attempt<{'9' * 400}", f"attempt>={'9' * 400}",
)  # fmt: skip


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queries]:
    """Attempts that say one or another word in each field; some failed, some start together."""
    words = itertools.cycle(WORDS)
    spans = [_span(number, words) for number in range(COUNT)]
    half = COUNT // 2
    batches = [
        make_batch(spans[:half]),
        make_batch(spans[half:], context=make_context(service="k\u212a")),
    ]
    data = make_folder(tmp_path_factory.mktemp("search"), batches)
    with closing(Queries(data)) as found, pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "_FIRST_RANGE", 3)
        patch.setattr(listing, "_LARGEST_RANGE", 7)
        yield found


def _span(number: int, words: Iterator[str]) -> Any:
    said = {
        "task.executor.id": next(words), "task.executor.model": next(words),
        "task.queue": next(words), "task.name": next(words), "task.group.id": next(words),
    }  # fmt: skip
    failed = number % 3 == 0
    error = make_exception(("ConnectionError", "KeyError")[number % 2], f"=no answer {next(words)}")
    start_ns = BASE_NS + number // 4 * 10**9
    return make_span(
        task=next(words), run=f"{next(words)}{number // 9}", attributes=said, start_ns=start_ns,
        end_ns=start_ns + number * 10**8, status_code=2 if failed else 0,
        events=[error] if failed else [],
    )  # fmt: skip


def _reading(item: Any, name: str) -> Any:
    """A field's value, by the record of the list."""
    if name in _OF_ERROR or name in ("category", "severity", "fingerprint"):
        return item.error and getattr(item.error, _OF_ERROR.get(name, name))
    return item.duration_ns if name == "duration" else getattr(item, name)


def _all(queries: Queries, **filters: str) -> list[Any]:
    items: list[Any] = []
    while True:
        page = queries.answer("attempts", filters)
        items += page.items  # type: ignore[attr-defined]
        if page.next is None:  # type: ignore[attr-defined]
            assert page.complete  # type: ignore[attr-defined]
            return items
        filters["cursor"] = page.next  # type: ignore[attr-defined]


def _searches() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(TERMS),
        lambda inner: st.one_of(
            inner.map("NOT {}".format),
            st.builds("({} OR {})".format, inner, inner),
            st.builds("({} {})".format, inner, inner),
        ),
        max_leaves=5,
    )


@settings(max_examples=60, deadline=None)
@given(text=_searches(), sort=st.sampled_from(["started", "-started"]), limit=st.integers(1, 70))
def test_a_search_finds_what_its_test_lets_pass(
    queries: Queries, text: str, sort: str, limit: int
) -> None:
    """All of it, in the list's order, whatever the size of pages and of ranges."""
    every = _all(queries, sort=sort, limit="100")
    assert len(every) == COUNT
    passes = search(text, _reading)
    wanted = [item.attempt_id for item in every if passes(item)]
    found = _all(queries, search=text, sort=sort, limit=str(limit))
    assert [item.attempt_id for item in found] == wanted


@pytest.mark.parametrize("term", TERMS)
def test_each_term_alone_finds_what_says_it(queries: Queries, term: str) -> None:
    """Every field, and letters that are small in another way."""
    wanted = [i.attempt_id for i in _all(queries, limit="100") if search(term, _reading)(i)]
    assert [i.attempt_id for i in _all(queries, search=term)] == wanted


def test_other_filters_and_times_hold_too(queries: Queries) -> None:
    """A search within a status, an executor and a time has what all of them let pass."""
    every = _all(queries, limit="100")
    since = every[40].started_at
    found = _all(queries, search="duration>1s", status="failed", since=since, limit="2")
    wanted = [
        i.attempt_id for i in every
        if i.duration_ns > 10**9 and i.status == "failed" and i.started_ns >= every[40].started_ns
    ]  # fmt: skip
    assert wanted
    assert [i.attempt_id for i in found] == wanted


def test_a_search_without_time_goes_on_where_it_ended(tmp_path: Path) -> None:
    """Page after page, each a range at least, until all is found."""
    spans = [make_span(task=f"t-{n % 100}", start_ns=BASE_NS + n) for n in range(9_000)]
    data = make_folder(tmp_path, [make_batch(spans)])
    with closing(Queries(data, budget_s=0.0)) as queries:
        first = queries.answer("attempts", {"search": "task:t-7 OR nothing", "limit": "1000"})
        assert not first.complete  # type: ignore[attr-defined]
        assert first.next  # type: ignore[attr-defined]
        cursor, found = first.next, len(first.items)  # type: ignore[attr-defined]
        while cursor:
            page = queries.answer(
                "attempts", {"search": "task:t-7 OR nothing", "limit": "1000", "cursor": cursor}
            )
            cursor, found = page.next, found + len(page.items)  # type: ignore[attr-defined]
    assert found == 90
