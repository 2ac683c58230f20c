"""Folds that are traced are folds of the same kind: a rebuild of them is divided all the same."""

from contextlib import closing
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from events.log.door import GroupDoor
from events.log.reader import open_reader
from projections.assembly import make_folds
from projections.engine.port import Staged
from projections.engine.projector import Projector
from projections.engine.rebuilding import rebuild
from projections.engine.side.process import Side
from projections.storage.generation import connect_reader
from service.telemetry.tracing import traced
from tests.events import make_batch, make_span


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def test_a_rebuild_of_traced_folds_is_divided(
    tmp_path: Path, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second process writes its tables, and every page has a span for each fold."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    monkeypatch.setattr(rebuild, "DIVIDED_EVENTS", 1)
    monkeypatch.setattr(rebuild, "has_two_cores", lambda: True)
    sides: list[Path] = []
    start = Side.__init__

    def noted(self: Side, path: Path, folds: list[Staged]) -> None:
        sides.append(path)
        start(self, path, folds)

    monkeypatch.setattr(Side, "__init__", noted)
    with closing(GroupDoor(tmp_path)) as door:
        door.append(make_batch([make_span(task=f"t{n}") for n in range(20)]))
    projector = Projector(
        tmp_path,
        lambda: open_reader(tmp_path),
        lambda names=None, configured=None: [
            traced(fold, tracer) for fold in make_folds(names, configured)
        ],
    )
    for _ in projector.rebuild():
        pass
    projector.close()
    assert len(sides) == 1
    with closing(connect_reader(tmp_path / "views.db")) as views:
        assert views.execute("SELECT count(*) FROM attempt").fetchone() == (20,)
    told = [dict(span.attributes or {}) for span in exporter.get_finished_spans()]
    assert told == [{"spanledger.events": 20, "spanledger.through": 20}] * len(make_folds())


def test_only_what_has_a_stage_is_traced_as_such() -> None:
    """All others read the log and tell nobody."""
    tracer = TracerProvider().get_tracer("test")
    first, *others = [isinstance(traced(fold, tracer), Staged) for fold in make_folds()]
    assert first
    assert not any(others)
