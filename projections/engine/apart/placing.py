"""Giving the groups of a new generation their places: in its own file, or in files beside it.

Done while nobody reads or feeds the generation yet, and last of all that is done to its files.
A group takes its tables along with checkpoint, configuration and dead letters, so that it goes on
where it stood.
"""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from events.log.port import LogReader
from projections.engine.apart.follower import Follower
from projections.engine.port import Fold, Projection
from projections.engine.rebuilding import tables
from projections.engine.versions import SHARED, MakeFolds, projections_of
from projections.engine.view import View
from projections.engine.view_file import transaction
from projections.storage import apart, generation
from projections.storage.generation import Generations

_COPY: Final = ".apart"
"""Ends the name of a file beside a generation that is not complete."""


def copy_beside(source: Path, target: Path, without: Collection[str]) -> None:
    """Copy the files beside one generation to another's, each as it is at this moment."""
    for name, path in apart.files(source).items():
        if name not in without:
            fresh = _in_the_making(target, name)
            with (
                closing(generation.connect_reader(path)) as held,
                closing(generation.connect_building(fresh)) as connection,
            ):
                held.backup(connection)


def place(
    views: Path, folds: Sequence[Fold], beside: Collection[str], replayed: Path | None = None
) -> None:
    """Move the groups `beside` into files of their own, and all others into the generation's.

    Args:
        replayed: where the tables of groups `beside` are that the generation's file has not.
    """
    made = []
    for projection in projections_of(folds):
        fresh = _in_the_making(views, projection.name)
        if projection.name not in beside:
            if fresh.exists():
                _move_in(views, projection, fresh)
            continue
        if fresh.exists():
            _renumber(views, fresh)
        else:
            _move_out(views, projection, fresh, replayed)
        generation.sync_file(fresh)
        made.append((fresh, apart.path_of(views, projection.name)))
    for fresh, path in made:
        fresh.rename(path)


def make_first(
    generations: Generations,
    reader: LogReader,
    make_folds: MakeFolds,
    beside: Collection[str],
    clock: Callable[[], int],
) -> int:
    """Make the first generation, empty, and show it; returns its number."""
    number = generations.reserve()
    path = generations.path(number)
    folds = make_folds(None)
    view = View.create(
        path, generation.connect(path), folds, reader, number=number, indexed=True, clock=clock
    )
    generation.stamp(view.connection, "activated_ns", clock())
    view.close()
    place(path, folds, beside)
    generations.activate(number)
    return number


def followers(views: Path, make_folds: MakeFolds) -> list[Follower]:
    """The groups beside a generation, as its feeder sees them."""
    told = {p.name for p in projections_of(make_folds(None)) if SHARED in p.depends}
    return [
        Follower(name, path, SHARED if name in told else None)
        for name, path in apart.files(views).items()
    ]


def _in_the_making(views: Path, name: str) -> Path:
    path = apart.path_of(views, name)
    return path.with_name(path.name + _COPY)


def _move_in(views: Path, projection: Projection, copied: Path) -> None:
    with closing(generation.connect_building(views)) as connection:
        connection.execute("ATTACH ? AS own", (str(copied),))
        with transaction(connection):
            tables.take_over(connection, projection, "own")
    generation.sync_file(views)
    generation.remove_file(copied)


def _move_out(views: Path, projection: Projection, fresh: Path, replayed: Path | None) -> None:
    with closing(generation.connect_building(fresh)) as connection:
        connection.execute("ATTACH ? AS views", (str(views),))
        source = "views"
        if replayed is not None and not _has(connection, projection.name):
            connection.execute("ATTACH ? AS replayed", (str(replayed),))
            source = "replayed"
        with transaction(connection):
            generation.complete(connection)
            connection.execute("INSERT INTO main.generation SELECT * FROM views.generation")
            tables.take_over(connection, projection, source)
            tables.drop(connection, projection, "views")
    generation.sync_file(views)


def _renumber(views: Path, copied: Path) -> None:
    """Let a copied file say which generation it belongs to now."""
    with closing(generation.connect_building(copied)) as connection:
        connection.execute("ATTACH ? AS views", (str(views),))
        with transaction(connection):
            connection.execute("DELETE FROM main.generation")
            connection.execute("INSERT INTO main.generation SELECT * FROM views.generation")


def _has(connection: sqlite3.Connection, name: str) -> bool:
    """Has the attached generation a group's tables?"""
    found = connection.execute("SELECT 1 FROM views.checkpoint WHERE projection = ?", (name,))
    return found.fetchone() is not None
