"""The trace index: sorted runs in SQLite answer as a dictionary would."""

import sqlite3
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.log.memory import MemoryLog
from events.schema import AttemptAbandoned, Block
from projections.storage import sorted_runs
from projections.views.traces.fold import Traces, positions
from tests.events import batch_of, make_batch, make_context, make_log, make_span, trace_id


def _tables() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    Traces().create(connection)
    Traces().index(connection)
    return connection


@settings(max_examples=60, deadline=None)
@given(
    pages=st.lists(
        st.lists(st.integers(0, 12).map(lambda n: n * 0x0A0F0F0F0F0F0F0F), max_size=60),
        max_size=60,
    ),
    fan=st.integers(2, 4),
    block=st.integers(1, 8),
)
def test_it_equals_a_dictionary(pages: list[list[int]], fan: int, block: int) -> None:
    """Whatever is added, in whatever pages, is found, and nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_runs, "FAN", fan)
        patch.setattr(sorted_runs, "BLOCK_ENTRIES", block)
        connection = _tables()
        expected: dict[int, list[int]] = defaultdict(list)
        position = 0
        for page in pages:
            start = position
            for digest in page:
                position += 1
                expected[digest].append(position)
            sorted_runs.add(
                connection,
                0,
                np.array(page, np.uint64),
                np.arange(start + 1, position + 1, dtype=np.int64),
            )
            for digest in {*page, 1, *list(expected)[:3]}:
                assert sorted_runs.find(connection, 0, digest) == expected.get(digest, [])


def test_few_runs_stay() -> None:
    """Merging keeps the number of searched runs small, and loses nothing."""
    connection = _tables()
    digests = np.random.default_rng(1).integers(0, 1 << 63, 30_000, np.uint64)
    for at in range(0, 30_000, 30):
        places = np.arange(at + 1, at + 31, dtype=np.int64)
        sorted_runs.add(connection, 0, digests[at : at + 30], places)
    runs = connection.execute("SELECT count(*) FROM trace_run").fetchone()[0]
    assert runs <= 80
    for at in (0, 14_999, 29_999):
        assert sorted_runs.find(connection, 0, int(digests[at])) == [at + 1]


def test_a_page_of_the_log_is_indexed_by_tenant_and_trace() -> None:
    """Spans and log records are found; one tenant's never in another's trace."""
    log = MemoryLog()
    same = trace_id(77)
    abandoned = AttemptAbandoned("a", "t", "r", same, b"", 1, 1, b"")
    log.append(make_batch([make_span(trace_id=same), make_log(trace_id=b""), make_span()]))
    log.append(
        batch_of(
            [
                Block("other", 5, make_context(), [make_span(trace_id=same), make_span()]),
                Block("default", 5, make_context(), [make_log(trace_id=same), abandoned]),
            ]
        )
    )
    connection = _tables()
    Traces().apply(connection, log.read(0, 0))
    assert positions(connection, "default", same) == [1, 6]
    assert positions(connection, "other", same) == [4]
    assert positions(connection, "none", same) == []


def test_a_page_may_begin_and_end_inside_a_segment() -> None:
    """Only the events within the page's bounds are indexed."""
    log = MemoryLog()
    log.append(make_batch([make_span(trace_id=trace_id(5)) for _ in range(9)]))
    connection = _tables()
    for after, through in ((0, 2), (2, 7)):
        page = log.read(0, after, through=through)
        Traces().apply(connection, page)
    assert positions(connection, "default", trace_id(5)) == list(range(1, 8))
