"""Log records that name a span but no task cost an index entry, and join whenever they can."""

import random
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest

from events import names
from events.errors import Unavailable
from events.log.door import GroupDoor
from events.log.memory import MemoryLog
from events.log.port import Page
from events.log.reader import open_reader
from events.schema import Event
from projections.engine.port import Fold
from projections.fold import make_fold
from projections.runs import extraction
from projections.views.traces.fold import Traces
from tests.events import IDENTITY, make_batch, make_log, make_span, span_id, trace_id
from tests.view_rows import rows_of

RECORDS = 20_000


def new_view(fold: Fold) -> sqlite3.Connection:
    """Empty tables in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    fold.create(connection)
    fold.index(connection)
    return connection


def exception(number: int, of_trace: int = 0) -> Event:
    """A logged exception of a trace of its own, with a stack that no other has."""
    return make_log(
        event_name="shop.exception",
        trace_id=trace_id(of_trace or 10_000 + number),
        span_id=span_id(number + 1),
        attributes={
            names.EXCEPTION_TYPE: f"Error{number}",
            names.EXCEPTION_MESSAGE: f"failed at {number}",
            names.EXCEPTION_STACKTRACE: f"  at step{number} (file{number}.js:1)\n" * 20,
        },
    )


def bytes_of(events: Iterable[Event], fold: Fold) -> int:
    """The size of the tables of events that were folded in pages of a thousand."""
    log, held = MemoryLog(), list(events)
    connection = new_view(fold)
    for at in range(0, len(held), 1_000):
        log.append(make_batch(held[at : at + 1_000]))
    seen = 0
    while (page := log.read(0, seen, limit_segments=1)).count:
        connection.execute("BEGIN")
        fold.apply(connection, page)
        connection.execute("COMMIT")
        seen = page.through
    pages, size = (
        connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size")
    )
    return int(pages * size)


def test_records_of_no_task_cost_the_views_an_entry_of_an_index() -> None:
    """No more bytes than the index of traces takes for them, a quarter added for the filter.

    Nothing is stored of what they say: stacks, messages, types, where they ran.
    """
    records = [exception(number) for number in range(RECORDS)]
    traces = bytes_of(records, Traces())
    facts = bytes_of(records, make_fold()) - bytes_of([], make_fold())
    assert facts <= 1.25 * traces


@pytest.mark.parametrize("kept_bytes", [0, 1 << 20])
@pytest.mark.parametrize("partitions", [1, 4])
def test_every_order_of_arrival_joins_the_same(
    partitions: int, kept_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From memory or read from the log again, from any partition, before or after the span."""
    monkeypatch.setattr(extraction, "LOOSE_BYTES", kept_bytes)
    spans = [
        make_span(
            task=f"t{n}", run="r", trace_id=trace_id(n + 1), span_id=span_id(n + 1), status_code=2
        )
        for n in range(40)
    ]
    logs = [exception(n, n + 1) for n in range(40)] + [exception(n) for n in range(100, 140)]
    seen: set[str] = set()
    for seed in range(4):
        log = MemoryLog(partitions, key=IDENTITY.key)
        for event in random.Random(seed).sample([*spans, *logs], 120):
            log.append(make_batch([event]))
        fold = make_fold()
        connection = new_view(fold)
        for partition in log.partitions:
            at = 0
            while (page := log.read(partition, at, limit_segments=7)).through > at:
                fold.apply(connection, page)
                at = page.through
        seen.add(repr(rows_of(connection)))
        (types,) = connection.execute(
            "SELECT count(DISTINCT error_type)"
            " FROM attempt JOIN fingerprint ON fingerprint_no = error_no >> 16"
        ).fetchone()
        assert types == 40
        assert connection.execute("SELECT count(*) FROM fingerprint").fetchone()[0] <= 41
    assert len(seen) == 1


def test_one_is_read_again_from_the_file(tmp_path: Path) -> None:
    """After a restart the record that came before is found in the log."""
    door = GroupDoor(tmp_path)
    door.append(make_batch([make_span(task=None), exception(1, 7), make_span(task=None)]))
    door.append(make_batch([make_span(trace_id=trace_id(7), span_id=span_id(2), status_code=2)]))
    fold = make_fold()
    connection = new_view(fold)
    reader = open_reader(tmp_path)
    fold.apply(connection, reader.read(0, 0, limit_segments=1))
    fold.forget()
    later = reader.read(0, 3)
    with pytest.raises(Unavailable, match="log record is needed"):
        fold.apply(connection, Page(0, later.after, later.through, later.segments))
    fold.forget()
    fold.apply(connection, later)
    found = connection.execute(
        "SELECT error_type FROM attempt JOIN fingerprint ON fingerprint_no = error_no >> 16"
    ).fetchall()
    assert ("Error1",) in found
    reader.close()
    door.close()
