"""The search index of spans finds what comparing every span finds, however pages are cut."""

import gc
import random
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import codec, names
from events.log.door import GroupDoor
from events.log.reader import SqliteReader, open_reader
from events.schema import Context, Event, LogRecord, Span, SpanEvent, SpanLink
from projections.engine.pages import bounded
from projections.query.listing import Budget
from projections.storage.statements import run_script
from projections.views.spans import rows, tokens
from projections.views.spans.fold import OFF, Spans
from projections.views.spans.search import Operation, Query, Search, SearchOff
from projections.views.spans.shape import Shape
from projections.views.spans.tokens import seed_of, text_of, token
from tests.events import make_batch, make_context, make_log, make_span, trace_id

SHAPE = Shape(events=16, blocks=4)
EVENTS = 300


def spans_of(seed: int, count: int) -> list[Event]:
    """Spans with few values of few keys, and a log record now and then."""
    draw = random.Random(seed)
    made: list[Event] = []
    for number in range(count):
        if number % 17 == 3:
            made.append(make_log())
            continue
        start_ns = 1_000_000 * draw.randrange(1000)
        made.append(
            make_span(
                trace_id=trace_id(number % 40 + 1),
                name=draw.choice(["get", "put"]),
                start_ns=start_ns,
                end_ns=start_ns + draw.choice([0, 10, 5_000, 10**9]),
                status_code=draw.randrange(3),
                attributes={"n": number, "even": number % 2 == 0, "third": number % 3},
            )
        )
    return made


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteReader]:
    """A log of two tenants and two services, in segments of odd sizes."""
    data = tmp_path_factory.mktemp("log")
    events = spans_of(1, EVENTS)
    with closing(GroupDoor(data)) as door:
        for at in range(0, EVENTS, 23):
            tenant = "other" if at % 2 else names.DEFAULT_TENANT
            context = make_context(service="shop" if at % 3 else "mail")
            door.append(make_batch(events[at : at + 23], context=context, tenant=tenant))
    with closing(open_reader(data)) as reader:
        yield reader


def folded(log: SqliteReader, cuts: list[int], **configuration: Any) -> sqlite3.Connection:
    """A file whose index was made from pages that end at `cuts`."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    run_script(connection, "projections.storage", "views.sql")
    fold = Spans(configuration, SHAPE)
    fold.create(connection)
    whole = log.read(0, 0)
    after = 0
    for cut in [*sorted(set(cuts)), EVENTS]:
        if after < cut:
            fold.apply(connection, bounded(whole, after, cut))
            after = cut
        if cut % 2:
            fold.forget()  # as after a start, or a page that was taken back
    stood = ("spans", 1, 0, EVENTS, b"", 0, 0)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(checkpoint)")]
    held = dict(zip(("projection", "version", "partition", "position"), stood, strict=False))
    row = [
        held.get(column, "" if column == "log_id" else b"" if column == "hash" else 0)
        for column in columns
    ]
    marks = ", ".join("?" * len(columns))
    connection.execute(f"INSERT INTO checkpoint VALUES ({marks})", row)
    return connection


@pytest.fixture(scope="module")
def index(log: SqliteReader) -> sqlite3.Connection:
    return folded(log, [7, 60, 61, 200])


def search(index: sqlite3.Connection, log: SqliteReader) -> Search:
    return Search(index, log, Budget(30.0), SHAPE)


def contents(index: sqlite3.Connection) -> list[Any]:
    return [index.execute(f"SELECT * FROM {table}").fetchall() for table in Spans.tables]


QUERIES: dict[str, tuple[list[list[tuple[str, Any]]], Callable[[Context, Span], bool]]] = {
    "every": ([], lambda c, s: True),
    "rare": ([[("n", 37)]], lambda c, s: s.attributes["n"] == 37),
    "absent": ([[("n", -1)]], lambda c, s: False),
    "frequent": ([[("even", True)]], lambda c, s: s.attributes["even"] is True),
    "both": (
        [[("even", True)], [("third", 2)]],
        lambda c, s: s.attributes["even"] is True and s.attributes["third"] == 2,
    ),
    "either": (
        [[("third", 0), ("third", 1)], [(tokens.NAME, "get")]],
        lambda c, s: s.attributes["third"] in (0, 1) and s.name == "get",
    ),
    "service": (
        [[(tokens.SERVICE, "mail")]], lambda c, s: c.resource_attributes["service.name"] == "mail"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("window", [(0, 10**18), (200_000_000, 500_000_000)])
@pytest.mark.parametrize("lasts", [(0, 10**18), (1, 5_000), (5_001, 10**12)])
def test_what_is_found_is_what_fits(
    index: sqlite3.Connection, log: SqliteReader, name: str, window: tuple[int, int],
    lasts: tuple[int, int],
) -> None:  # fmt: skip
    """Exactly the spans that fit are found, the last stored first; other tenants' are not."""
    wanted, matches = QUERIES[name]
    for tenant in (names.DEFAULT_TENANT, "other"):
        seed = seed_of(tenant)
        groups = tuple(
            tuple(token(seed, key, text_of(value)) for key, value in group) for group in wanted
        )
        query = Query(tenant, groups, matches, *window, *lasts)
        found = [recorded.position for recorded in search(index, log).spans(query)]
        expected = [
            recorded.position for recorded in log.read(0, 0).recorded() if query.fits(recorded)
        ]
        assert found == expected[::-1]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, EVENTS), max_size=12))
def test_pages_do_not_matter(log: SqliteReader, index: sqlite3.Connection, cuts: list[int]) -> None:
    """However the pages are cut, and whenever the fold forgets, the tables are the same."""
    assert contents(folded(log, cuts)) == contents(index)


def test_names_are_listed(index: sqlite3.Connection, log: SqliteReader) -> None:
    """Services and the names of their spans with kinds, of one tenant."""
    found = search(index, log)
    assert found.services(names.DEFAULT_TENANT) == ["mail", "shop"]
    kind = make_span().kind
    assert found.operations("other", "shop") == [Operation("get", kind), Operation("put", kind)]
    assert found.services("nobody") == found.operations("other", "nothing") == []


def test_an_index_that_is_off_says_so(log: SqliteReader) -> None:
    """It keeps nothing, and a search is refused with what to do."""
    index = folded(log, [], **{OFF: True})
    assert all(table == [] for table in contents(index))
    index.execute(
        "INSERT INTO configuration (projection, digest, content) VALUES ('spans', x'00', ?)",
        (f'{{"{OFF}": true}}',),
    )
    with pytest.raises(SearchOff, match="search_index"):
        search(index, log)


def test_a_search_ends_when_its_time_is_over(index: sqlite3.Connection, log: SqliteReader) -> None:
    """It has the newest then, and not all."""
    every = Query(names.DEFAULT_TENANT, (), lambda c, s: True)
    found = list(Search(index, log, Budget(0.0), SHAPE).spans(every))
    assert 0 < len(found) < len(list(search(index, log).spans(every)))


def test_who_stops_reading_is_told_how_late_the_unread_begin(
    index: sqlite3.Connection, log: SqliteReader
) -> None:
    """A search is some blocks ahead: what waits in it to be compared was not read either."""
    every = Query(names.DEFAULT_TENANT, (), lambda c, s: True)
    found = [(one.position, one.event) for one in search(index, log).spans(every)]
    for taken in range(len(found)):
        reading = search(index, log)
        first = next(islice(reading.spans(every), taken, None))
        unread = [event.start_ns for _, event in found[taken:] if isinstance(event, Span)]
        stored = first.position <= reading.indexed()
        assert not stored or max(unread) <= reading.unread_ns(every, first.position)


def test_a_rare_span_is_found_when_the_time_is_over(
    index: sqlite3.Connection, log: SqliteReader
) -> None:
    """What the first block offers is less than is looked up at once, and is compared all the same.

    Of spans whose token a newer block seems to have, nothing is known by then.
    """
    whole = search(index, log)
    offered = 0
    for recorded in whole.spans(Query(names.DEFAULT_TENANT, (), lambda c, s: True)):
        assert isinstance(recorded.event, Span)
        number = recorded.event.attributes["n"]
        only = ((token(seed_of(names.DEFAULT_TENANT), "n", text_of(number)),),)
        rare = Query(names.DEFAULT_TENANT, only, _numbered(number))
        if recorded.position in next(whole.candidates(rare), ()):
            offered += 1
            late = list(Search(index, log, Budget(0.0), SHAPE).spans(rare))
            assert [one.position for one in late] == [recorded.position]
    assert offered


def _numbered(number: Any) -> Callable[[Context, Span], bool]:
    return lambda _, span: span.attributes["n"] == number


TEXTS = st.text(max_size=8) | st.sampled_from(["x" * 300, "é" * 200, "a" * 255 + "é"])
SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS | st.floats()
)
VALUES: st.SearchStrategy[Any] = (
    SCALARS | st.binary(max_size=3) | st.lists(SCALARS, max_size=2)
    | st.dictionaries(st.text(max_size=2), SCALARS, max_size=2)
)  # fmt: skip
ATTRIBUTES = st.dictionaries(TEXTS, VALUES, max_size=3)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(ATTRIBUTES, ATTRIBUTES, ATTRIBUTES, TEXTS, st.integers(0, 300))
def test_native_and_python_keep_the_same(
    own: dict[str, Any], of_event: dict[str, Any], of_link: dict[str, Any], name: str, kind: int
) -> None:
    """Tokens, times and names of a row do not depend on who reads it."""
    span = msgspec.structs.replace(
        span_of(make_span()), attributes=own, name=name, kind=kind,
        events=[SpanEvent(1, "e", of_event, 0)],
        links=[SpanLink(b"\1" * 16, b"\1" * 8, "", of_link, 0, 0)],
    )  # fmt: skip
    raw = [msgspec.Raw(codec.encode_event(event)) for event in (span, make_log(), span)]
    quick, slow = rows.read_rows(raw, 77), rows.read_slowly(raw, 77)
    for column in ("counts", "starts", "ends", "names"):
        assert getattr(quick, column).tolist() == getattr(slow, column).tolist()
    assert quick.counts[1] == -1
    half = int(quick.counts[0])
    assert sorted(quick.tokens[:half].tolist()) == sorted(slow.tokens[:half].tolist())
    assert sorted(quick.tokens.tolist()) == sorted(slow.tokens.tolist())


def test_a_block_that_is_open_keeps_no_bodies(tmp_path: Path) -> None:
    """A block of 1,024 spans of 128 KiB is read row by row; only what the index keeps is held."""
    large = [
        make_span(trace_id=trace_id(n + 1), attributes={"prompt": "x" * 131_072}) for n in range(64)
    ]
    with closing(GroupDoor(tmp_path)) as door:
        door.append(make_batch(large))
    fold = Spans()
    with (
        closing(sqlite3.connect(tmp_path / "views.db")) as connection,
        closing(open_reader(tmp_path)) as reader,
    ):
        fold.create(connection)
        fold.apply(connection, reader.read(0, 0))
        tracemalloc.start()
        fold.forget()
        before = tracemalloc.get_traced_memory()[0]
        fold.apply(connection, reader.read(0, 0))
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert held < 1 << 20


def test_contexts_are_remembered_within_bytes() -> None:
    """However large the resources are that senders name."""
    for number in range(20):
        context = codec.encode_context(
            make_context(resource_attributes={"n": f"{number}" * (1 << 20)})
        )
        assert rows.shared_of("default", context).tenant == "default"
        assert rows._known.held_bytes <= rows.SHARED_BYTES


@given(st.binary(max_size=60))
def test_rows_that_cannot_be_read_are_no_spans(data: bytes) -> None:
    """Any bytes are taken; what is cut off is no span."""
    whole = codec.encode_event(make_span())
    raw = [msgspec.Raw(part) for part in (data, whole[: len(data)], whole)]
    found = rows.read_rows(raw, 1)
    assert found.counts[0] == found.counts[1] == -1
    assert found.counts[2] > 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"), (True, "true"), (False, "false"), (-7, "-7"), (72.5, "72.5"), (1e5, "100000"),
        (1e-7, "1e-7"), (1e21, "1e+21"), (2.5e20, "250000000000000000000"), (None, ""),
        (b"\x00\x01", "AAE="), (["a", 1], '["a",1]'), ({"b": 1, "a": [True]}, '{"a":[true],"b":1}'),
        (float("inf"), "+Inf"), (float("nan"), "NaN"),
    ],
)  # fmt: skip
def test_values_are_text_as_jaeger_has_them(value: Any, text: str) -> None:
    """Numbers as JavaScript writes them, lists and maps as JSON, bytes in base64."""
    assert text_of(value) == text


def span_of(event: Event) -> Span:
    assert isinstance(event, Span)
    return event


def test_a_log_record_is_one() -> None:
    """The helper of this module gives what its name says."""
    assert isinstance(make_log(), LogRecord)
