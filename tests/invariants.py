"""What holds whatever happened: nothing acknowledged is lost, nothing is there twice."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from events.log.chain import verify
from events.log.reader import SqliteReader, open_reader
from events.schema import Span
from projections.assembly import make_folds
from projections.engine.projector import Projector
from projections.storage.generation import connect_reader
from projections.views.traces.fold import positions
from tests.serving import Service
from tests.view_rows import rows_of

_TRACES: Final = 500
"""How many spans are looked up by their trace."""


def check_log(data: Path, acknowledged: Iterable[str], sent: Iterable[str]) -> int:
    """Every acknowledged span (by name) is in the log once, none is there twice or unasked.

    Returns:
        The position of the head.
    """
    with closing(open_reader(data)) as reader:
        reader.check_head()
        for _ in verify(reader):
            pass
        ids, names = _content(reader)
        head = reader.head().position
    assert len(ids) == head, "positions are dense and ids distinct"
    assert [name for name, count in names.items() if count > 1] == []
    assert set(acknowledged) <= names.keys(), sorted(set(acknowledged) - names.keys())[:5]
    assert names.keys() <= set(sent), sorted(names.keys() - set(sent))[:5]
    return head


def _content(reader: SqliteReader) -> tuple[set[bytes], Counter[str]]:
    ids: set[bytes] = set()
    names: Counter[str] = Counter()
    after = 0
    while (page := reader.read(0, after)).count:
        for event in page.recorded():
            ids.add(event.event_id)
            if isinstance(event.event, Span):
                names[event.event.name] += 1
        after = page.through
    return ids, names


def check_views(data: Path, folder: Path) -> None:
    """The live views of `data` are at the head and equal a clean fold of its log, row by row."""
    folder.mkdir()
    fresh = Projector(folder, lambda: open_reader(data), make_folds)
    while fresh.step():
        pass
    fresh.close()
    with (
        closing(open_reader(data)) as reader,
        closing(connect_reader(data / "views.db")) as live,
        closing(connect_reader(folder / "views.db")) as clean,
    ):
        head = reader.head().position
        reached = live.execute("SELECT projection, position FROM checkpoint").fetchall()
        assert {position for _, position in reached} == {head}, reached
        assert live.execute("SELECT count(*) FROM dead_letter").fetchone() == (0,)
        found, expected = rows_of(live), rows_of(clean)
        for name, rows in expected.items():
            assert found[name] == rows, name
        _check_traces(reader, live)


def _check_traces(reader: SqliteReader, live: sqlite3.Connection) -> None:
    """Spans are found by their trace id, at their position and no other."""
    head = reader.head().position
    for position in range(1, head + 1, max(head // _TRACES, 1)):
        (event,) = reader.fetch(0, [position])
        assert isinstance(event.event, Span)
        assert positions(live, event.tenant, event.event.trace_id) == [position]


def wait_views(service: Service, within_s: float = 60.0) -> str:
    """Wait until the views have seen everything that is stored; the head's position."""
    head: str = service.ask("/api/v1/log/head")["position"]
    path = f"/api/v1/tasks?limit=1&min_position={head}&wait_s={within_s}"
    service.ask(path, timeout_s=within_s + 30)
    return head
