"""The projector killed at random moments, while it folds, rebuilds and switches."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from events.log.door import GroupDoor
from events.log.reader import open_reader
from projections.assembly import make_folds
from projections.engine.projector import Projector
from tests.events import make_batch, make_exception, make_log, make_span
from tests.views import tables_of

_CHILD = """
import sys, threading, time
from pathlib import Path
from events.log.reader import open_reader
from projections.engine.rebuilding import rebuild
from projections.assembly import make_folds
from projections.engine.projector import Projector
rebuild.PAGE_EVENTS = 500
data = Path(sys.argv[1])
projector = Projector(data, lambda: open_reader(data), make_folds, rollback_s=0.2)
threading.Thread(target=projector.run, args=(threading.Event(),), daemon=True).start()
while True:
    for names in (None, ["tasks"], ["traces", "runs"]):
        try:
            for _ in projector.rebuild(names): pass
        except Exception as exc:
            print(type(exc).__name__, exc, file=sys.stderr)
            time.sleep(0.05)
"""


@pytest.mark.slow
def test_kills_at_random_moments_leave_a_clean_fold(tmp_path: Path) -> None:
    """After each kill -9 the next process goes on; at the end the views equal a clean fold."""
    rng = random.Random(11)
    data, clean = tmp_path / "data", tmp_path / "clean"
    door = GroupDoor(data)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    for _ in range(20):
        child = subprocess.Popen([sys.executable, "-c", _CHILD, str(data)], env=environment)
        ends_s = time.monotonic() + 0.6 + rng.random()
        while time.monotonic() < ends_s:
            spans = [
                make_span(
                    task=f"t{rng.randrange(40)}",
                    run=f"r{rng.randrange(4000)}",
                    trace_id=rng.randbytes(16),
                    events=[make_exception(message=f"order {rng.random()}")],
                    status_code=rng.choice((1, 2)),
                )
                for _ in range(40)
            ]
            door.append(make_batch([*spans, make_log()]))
            time.sleep(0.03)
        child.kill()
        child.wait()
    shown = Projector(data, lambda: open_reader(data), make_folds)
    while shown.step():
        pass
    shown.close()
    clean.mkdir()
    fresh = Projector(clean, lambda: open_reader(data), make_folds)
    while fresh.step():
        pass
    fresh.close()
    door.close()
    assert tables_of(data / "views.db") == tables_of(clean / "views.db")
    kept = sorted(path.name for path in data.glob("views-*.db"))
    assert len(kept) <= 4, kept
