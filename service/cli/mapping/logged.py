"""Rows of a data folder's log, for rules to be tried on."""

from contextlib import closing
from pathlib import Path
from typing import Final

from events.errors import NotFound
from events.log.reader import open_reader
from projections.mapping_questions import rows_of
from projections.query import ids
from projections.storage.generation import Generations, connect_reader
from projections.trial import Row
from projections.views.traces.fold import positions

EVENTS_LIMIT: Final = 100_000
"""Spans and log records of a trace that are looked at."""


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
                return list(rows_of(found))
    raise NotFound(f"no trace {text[:64]}")
