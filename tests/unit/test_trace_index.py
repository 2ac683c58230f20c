"""The trace index: which events of a page are indexed, under what."""

import sqlite3

from events.log.memory import MemoryLog
from events.schema import AttemptAbandoned, Block
from projections.views.traces.fold import Traces, positions
from tests.events import batch_of, make_batch, make_context, make_log, make_span, trace_id


def _tables() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    Traces().create(connection)
    Traces().index(connection)
    return connection


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
