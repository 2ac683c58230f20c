"""Which projections of a views file this release can go on feeding."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Final

from projections.engine.port import Fold
from projections.storage import checkpoint

SHARED: Final = "facts"
"""The stage behind the projections told by runs: none of them goes on without it."""

MakeFolds = Callable[[Collection[str] | None], Sequence[Fold]]


def names_of(folds: Sequence[Fold]) -> frozenset[str]:
    """The names of all projections of some folds."""
    return frozenset(p.name for fold in folds for p in fold.projections)


def current_names(connection: sqlite3.Connection, make_folds: MakeFolds) -> frozenset[str]:
    """Projections whose tables have this release's version and stand where the newest stand."""
    held = checkpoint.load(connection)
    places: dict[str, tuple[tuple[int, int], ...]] = {}
    for one in held:
        places[one.projection] = (*places.get(one.projection, ()), (one.partition, one.position))
    versions = {one.projection: one.version for one in held}
    names: set[str] = set()
    for fold in make_folds(None):
        found = {p.name for p in fold.projections if versions.get(p.name) == p.version}
        if SHARED in names_of([fold]) - found:
            found = set()
        names |= found
    furthest = max((places[name] for name in names), default=())
    names = {name for name in names if places[name] == furthest}
    if SHARED in names_of(make_folds(None)) - names:
        names -= {n for f in make_folds(None) if SHARED in names_of([f]) for n in names_of([f])}
    return frozenset(names)
