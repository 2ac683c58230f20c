"""What the projector spends on an event: processor time and bytes by table and index.

    python -m benchmarks.projector [--load attempts|celery|mixed] [--mode rebuild|live] [--events N]
                                   [--page N] [--log FOLDER] [--json]

The log is made by the real decoder, scrubber and writer and kept in `--log`, if given, for the
next time. Each measurement runs in a process of its own, through the real readers, views files
and folds; `rebuild` makes a new file with the indexes last, `live` feeds a file with indexes in
pages of `--page` events. Meters cost about a tenth: the whole is of a second run without them, in
which a rebuild has its second process.
"""

import argparse
import multiprocessing
import re
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import structs

from benchmarks import ledger
from benchmarks.figures import PART, Figure, as_json, show
from benchmarks.machine import own_cpu_s, peak_rss_bytes
from events.log.port import Page
from events.log.reader import open_reader
from projections.assembly import make_folds
from projections.engine.feeder import PAGE_EVENTS
from projections.engine.pages import Pager
from projections.engine.parking import ParkAll
from projections.engine.port import Fold, Projection
from projections.engine.rebuilding.plan import Plan
from projections.engine.rebuilding.rebuild import Rebuild
from projections.engine.tuning import tune_collector
from projections.engine.view import View
from projections.fold import RunFold
from projections.storage import generation
from projections.storage.generation import Generations

MODES: Final = ("rebuild", "live")
LOADS: Final = ("attempts", "celery", "mixed")
_TABLE: Final = re.compile(r"\b(?:INTO|UPDATE|FROM|CREATE INDEX)\s+\"?(\w+)", re.IGNORECASE)


class Meter:
    """Processor time of this thread by label; what runs inside another counts for itself only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._labels = ["rest"]
        self._since = time.thread_time()

    def _charge(self) -> None:
        now = time.thread_time()
        self.seconds[self._labels[-1]] += now - self._since
        self._since = now

    @contextmanager
    def under(self, label: str) -> Iterator[None]:
        """Charge what runs in here to `label`."""
        self._charge()
        self._labels.append(label)
        try:
            yield
        finally:
            self._charge()
            self._labels.pop()

    def call(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, charged to `label`."""

        def metered(*args: Any, **named: Any) -> Any:
            with self.under(label):
                return function(*args, **named)

        return metered


class MeteredConnection:
    """A connection for a fold whose statements are charged to the tables that they name."""

    def __init__(self, connection: sqlite3.Connection, meter: Meter) -> None:
        self._connection = connection
        self._meter = meter
        self._tables: dict[str, str] = {}

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        with self._meter.under(self._table(statement)):
            return self._connection.execute(statement, *values)

    def executemany(self, statement: str, rows: Any) -> sqlite3.Cursor:
        held = list(rows)
        with self._meter.under(self._table(statement)):
            return self._connection.executemany(statement, held)

    def _table(self, statement: str) -> str:
        if statement not in self._tables:
            found = _TABLE.search(statement)
            index = statement.lstrip().upper().startswith("CREATE INDEX")
            kind = "index" if index else "table"
            self._tables[statement] = f"{kind} {found[1]}" if found else "rest"
        return self._tables[statement]


class MeteredFold:
    """A fold, metered: its stages, and the statements of each."""

    def __init__(self, fold: Fold, meter: Meter) -> None:
        self.projections: Sequence[Projection] = fold.projections
        self._fold = fold
        self._meter = meter
        if isinstance(fold, RunFold):
            self._meter_stages(fold)

    def _meter_stages(self, fold: RunFold) -> None:
        meter, extract = self._meter, fold.extractor.extract

        def metered(page: Page) -> Iterator[Any]:
            parts = extract(page)
            while (found := meter.call("extract", next)(parts, None)) is not None:
                yield found

        fold.extractor.extract = metered  # type: ignore[method-assign]
        fold.stage.apply = meter.call("facts", fold.stage.apply)  # type: ignore[method-assign]
        for store in fold.groups:
            store.update = meter.call(store.name, store.update)  # type: ignore[method-assign]

    def create(self, connection: sqlite3.Connection) -> None:
        self._fold.create(connection)

    def index(self, connection: sqlite3.Connection) -> None:
        self._fold.index(MeteredConnection(connection, self._meter))  # type: ignore[arg-type]

    def apply(self, connection: sqlite3.Connection, page: Page) -> None:
        with self._meter.under(self.projections[0].name):
            self._fold.apply(MeteredConnection(connection, self._meter), page)  # type: ignore[arg-type]

    def forget(self) -> None:
        self._fold.forget()


class Result(msgspec.Struct, frozen=True):
    """One run."""

    events: int
    cpu_s: float
    wall_s: float
    peak_rss_bytes: int
    file_bytes: int
    by_label_s: dict[str, float]
    by_table_bytes: dict[str, int]


def build_log(data: Path, load: str, events: int) -> None:
    """A log of about `events` events, unless the folder has one."""
    if not (data / "ledger.db").exists():
        ledger.grow(data, load, events)


def measure(data: Path, mode: str, page_events: int, metered: bool) -> Result:
    """One run; in a process that does nothing else."""
    meter = Meter()

    def folds(names: Collection[str] | None = None) -> Sequence[Fold]:
        made = make_folds(names)
        return [MeteredFold(fold, meter) for fold in made] if metered else made

    tune_collector()
    with tempfile.TemporaryDirectory() as scratch, closing(open_reader(data)) as reader:
        generations = Generations(Path(scratch))
        cpu_s, wall_s = own_cpu_s(), time.perf_counter()
        if mode == "rebuild":
            view = Rebuild(Plan(1), generations, reader, folds).build()
            assert view is not None
        else:
            path = generations.path(1)
            connection = generation.connect(path)
            view = View.create(path, connection, folds(), reader, number=1, indexed=True)
            _feed(view, Pager(reader, 0, page_events), meter)
        cpu_s, wall_s = own_cpu_s() - cpu_s, time.perf_counter() - wall_s
        events = view.position(0)
        view.close()
        return Result(
            events,
            cpu_s,
            wall_s,
            peak_rss_bytes(multiprocessing.current_process().pid or 0),
            view.path.stat().st_size,
            dict(meter.seconds) if metered else {},
            {} if metered else _sizes(view.path),
        )


def _sizes(path: Path) -> dict[str, int]:
    """Bytes of each table and index, largest first; none if SQLite was built without `dbstat`."""
    with closing(generation.connect_reader(path)) as connection:
        try:
            rows = connection.execute(
                "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"
            )
            return dict(rows.fetchall())
        except sqlite3.OperationalError:
            return {}


def _feed(view: View, pager: Pager, meter: Meter) -> None:
    parking = ParkAll()
    while True:
        with meter.under("read"):
            page = pager.read(view.position(0))
        if not page.count:
            return
        view.apply(page, parking)
        view.keep_small()


def figures_of(
    load: str, mode: str, page_events: int, plain: Result, metered: Result
) -> list[Figure]:
    """µs an event: in all, and by label; bytes of an event by table and index."""
    conditions = load if mode == "rebuild" else f"{load}, pages of {page_events:,}"

    def figure(name: str, us: float, **more: Any) -> Figure:
        return Figure(
            name=name, value=us, unit="µs/event", roles="projector", cores="1 of 2",
            load=conditions, **more,
        )  # fmt: skip

    per_event = 1e6 / plain.events
    whole = figure(
        f"projector, {mode}: processor time",
        plain.cpu_s * per_event,
        details={
            "wall_us": plain.wall_s * per_event,
            "events_per_s": plain.events / plain.wall_s,
            "peak_rss_mib": plain.peak_rss_bytes / (1 << 20),
            "views_bytes_per_event": plain.file_bytes / plain.events,
        },
    )
    ranked = sorted(metered.by_label_s.items(), key=lambda item: -item[1])
    parts = [figure(f"{PART}{label}", s * 1e6 / metered.events) for label, s in ranked]
    sizes = [
        structs.replace(figure(f"{PART}{name}", size / plain.events), unit="B/event")
        for name, size in plain.by_table_bytes.items()
    ]
    return [whole, *parts, *sizes]


def run(quick: bool) -> list[Figure]:
    """Every load and mode once."""
    with tempfile.TemporaryDirectory() as scratch:
        events = 100_000 if quick else 300_000
        return [
            figure
            for load in LOADS
            for figure in _measured(Path(scratch), load, MODES, events, PAGE_EVENTS)
        ]


def _measured(
    logs: Path, load: str, modes: Sequence[str], events: int, page_events: int
) -> list[Figure]:
    data = logs / f"{load}-{events}"
    build_log(data, load, events)
    context = multiprocessing.get_context("spawn")
    figures: list[Figure] = []
    for mode in modes:
        runs = []
        for metered in (False, True):
            with context.Pool(1) as pool:
                runs.append(pool.apply(measure, (data, mode, page_events, metered)))
        figures += figures_of(load, mode, page_events, *runs)
    return figures


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.projector", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--load", choices=LOADS)
    parser.add_argument("--mode", choices=MODES)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--page", type=int, default=PAGE_EVENTS)
    parser.add_argument("--log", type=Path, help="keep the logs here")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(given)


def main(given: Sequence[str] = ()) -> None:
    """Measure, and print."""
    asked = _arguments(given or sys.argv[1:])
    figures: list[Figure] = []
    modes = [asked.mode] if asked.mode else MODES
    with tempfile.TemporaryDirectory() as scratch:
        for load in [asked.load] if asked.load else LOADS:
            figures += _measured(asked.log or Path(scratch), load, modes, asked.events, asked.page)
    if asked.json:
        print(msgspec.json.encode([as_json(figure) for figure in figures]).decode())
    else:
        show(figures)


if __name__ == "__main__":
    main()
