"""What built-in groups could not apply, held back and merged, ends in the rows of a clean fold."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from events.log.door import GroupDoor
from events.log.reader import open_reader
from events.schema import Span
from projections.assembly import make_folds
from projections.engine.parked import Parked
from projections.engine.port import Staged
from projections.engine.projector import Projector
from projections.runs.changes import Changes
from projections.views.store import Store
from tests.events import BASE_NS, make_batch, make_exception, make_span
from tests.views import tables_of

RUNS = 12


def _stores() -> list[type[Store]]:
    return [
        type(group)
        for fold in make_folds()
        if isinstance(fold, Staged)
        for group in fold.groups
        if isinstance(group, Store)
    ]


def _settle(projector: Projector) -> None:
    while projector.step():
        pass


def _attempt(chance: random.Random) -> Span:
    """Of one of a few runs, some of one task; it ends anyhow, or has not ended yet."""
    run = chance.randrange(RUNS)
    start_ns = BASE_NS + chance.randrange(10**6) * 10**7
    failed = chance.random() < 0.5
    attributes: dict[str, Any] = {"task.executor.id": f"w{chance.randrange(3)}"}
    if chance.random() < 0.3:
        attributes["task.result"] = chance.choice(["success", "timeout", "skip"])
    return make_span(
        task=f"task-{run % 4}",
        run=f"run-{run}",
        start_ns=start_ns,
        end_ns=chance.choice([0, start_ns + chance.randrange(10**9)]),
        status_code=2 if failed else 1,
        events=[make_exception(message=f"m{chance.randrange(3)} x")] if failed else [],
        attributes=attributes,
    )


@pytest.mark.parametrize("store", _stores(), ids=lambda kind: kind.name)
def test_held_changes_end_in_the_rows_of_a_clean_fold(
    tmp_path: Path, store: type[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs fail and are cured at random, over several pages; later changes settle their letters."""
    chance = random.Random(store.name)
    poison: set[int] = set()
    update = store.update

    def failing(self: Store, connection: sqlite3.Connection, changes: Changes) -> None:
        update(self, connection, changes)
        if any(change.run_no in poison for change in changes):
            raise KeyError("poison")

    monkeypatch.setattr(store, "update", failing)
    data, clean = tmp_path / "data", tmp_path / "clean"
    clean.mkdir()
    parked = 0
    with (
        closing(GroupDoor(data)) as door,
        closing(Projector(data, lambda: open_reader(data), make_folds)) as projector,
    ):
        for _ in range(20):
            poison = set(chance.sample(range(1, RUNS), 4))
            door.append(make_batch([_attempt(chance) for _ in range(chance.randrange(1, 12))]))
            _settle(projector)
            letters = Parked(projector).listing()
            assert {letter.projection for letter in letters} <= {store.name}
            parked = max(parked, len(letters))
        assert parked > 1
        poison = set()
        assert Parked(projector).requeue() == []
        with closing(Projector(clean, lambda: open_reader(data), make_folds)) as fresh:
            fresh.open()
            _settle(fresh)
        assert tables_of(data / "views.db") == tables_of(clean / "views.db")
