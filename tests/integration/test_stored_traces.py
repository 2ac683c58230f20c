"""Traces that are asked for before they are indexed."""

from contextlib import closing
from pathlib import Path

import pytest

from events.log.door import GroupDoor
from events.schema import Span
from service.traces.stored import StoredTraces
from tests.events import make_batch, make_span, span_id, trace_id
from tests.views import make_folder

TENANT = "default"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of which the views have seen one span; ten of other traces and two came later."""
    one, other = trace_id(1), trace_id(2)
    spans = [make_span(trace_id=other, span_id=span_id(n)) for n in range(10, 20)]
    late = [make_span(trace_id=one, span_id=span_id(n)) for n in (2, 3)]
    folder = make_folder(
        tmp_path_factory.mktemp("data"),
        [make_batch([make_span(trace_id=one, span_id=span_id(1))])],
    )
    with closing(GroupDoor(folder)) as door:
        for batch in (late[:1], spans, late[1:]):
            door.append(make_batch(batch))
        door.append(make_batch([make_span(trace_id=one, span_id=span_id(4))], tenant="acme"))
    return folder


def spans_of(data: Path, unindexed: int) -> tuple[list[int], bool]:
    """The spans that are found of the first trace, and whether some may be missing."""
    with closing(StoredTraces(data, 1.0, unindexed=unindexed)) as traces:
        events = [recorded.event for recorded in traces.spans(TENANT, trace_id(1))]
        ids = [event.span_id for event in events if isinstance(event, Span)]
        return [int.from_bytes(one, "big") for one in ids], traces.is_behind()


def test_what_is_not_indexed_is_found_by_its_bytes(data: Path) -> None:
    """Of one tenant, in order, behind what is indexed."""
    numbers = [int.from_bytes(span_id(n), "big") for n in (1, 2, 3)]
    assert spans_of(data, 1_000) == (numbers, False)


def test_who_is_far_behind_looks_through_the_newest(data: Path) -> None:
    """And says that there may be more."""
    numbers = [int.from_bytes(span_id(n), "big") for n in (1, 3)]
    assert spans_of(data, 5) == (numbers, True)
