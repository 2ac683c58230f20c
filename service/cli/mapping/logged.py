"""Rows of a data folder's log, for rules to be tried on."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from events import codec
from events.errors import NotFound
from events.log.port import Recorded
from events.log.reader import open_reader
from events.schema import LogRecord, Span
from projections.query import ids
from projections.storage.generation import Generations, connect_reader
from projections.trial import Row
from projections.views.traces.fold import positions

EVENTS_LIMIT: Final = 100_000
"""Spans and log records of a trace that are looked at."""
_PAGE: Final = 64  # segments


def rows_of_trace(data: Path, tenant: str, text: str) -> list[Row]:
    """The spans and log records of a trace, by its id as any tool shows it.

    Raises:
        NotFound: there are none.
        BadQuestion: the text is no id.
    """
    active = Generations(data).active()
    if active is None:
        raise NotFound(f"{data} has no views yet, by which a trace is found")
    with (
        closing(connect_reader(Generations(data).path(active))) as views,
        closing(open_reader(data)) as log,
    ):
        for trace_id in ids.trace_ids(text):
            places = positions(views, tenant, trace_id)[:EVENTS_LIMIT]
            found = [
                it
                for it in log.fetch(0, places)
                if it.tenant == tenant and getattr(it.event, "trace_id", None) == trace_id
            ]
            if found:
                return list(_rows(found))
    raise NotFound(f"no trace {text[:64]}")


def last_rows(data: Path, tenant: str, events: int) -> Iterator[Row]:
    """The last spans and log records of a tenant, oldest first; of so many events of the log."""
    with closing(open_reader(data)) as log:
        after = max(log.head().position - events, 0)
        while (page := log.read(0, after, limit_segments=_PAGE)).count:
            yield from _rows(it for it in page.recorded() if it.tenant == tenant)
            after = page.through


def _rows(found: Iterable[Recorded]) -> Iterator[Row]:
    for it in found:
        if isinstance(it.event, Span | LogRecord):
            yield Row(codec.encode_context(it.context), codec.encode_event(it.event), it.event_id)
