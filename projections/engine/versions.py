"""Which projections of a views file this release can feed, and what has to be made anew."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from projections.engine.port import Fold, Projection
from projections.storage import checkpoint, configuration
from projections.storage.configuration import Configuration

SHARED: Final = "facts"
"""The stage behind the projections told by runs: none of them goes on without it."""


class MakeFolds(Protocol):
    """Makes the folds of some projections."""

    def __call__(
        self,
        names: Collection[str] | None = None,
        configured: Mapping[str, Configuration] | None = None,
    ) -> Sequence[Fold]:
        """The folds of these projections and of what they depend on; None: all.

        `configured` are the configurations to make them with, by projection; None: those that
        this service was started with.
        """
        ...


def projections_of(folds: Iterable[Fold]) -> list[Projection]:
    """All projections of some folds."""
    return [projection for fold in folds for projection in fold.projections]


def names_of(folds: Iterable[Fold]) -> frozenset[str]:
    """The names of all projections of some folds."""
    return frozenset(projection.name for projection in projections_of(folds))


def with_dependants(folds: Iterable[Fold], names: Collection[str]) -> frozenset[str]:
    """These projections, and those whose tables go by them."""
    found = set(names)
    projections = projections_of(folds)
    while added := {p.name for p in projections if found & set(p.depends)} - found:
        found |= added
    return frozenset(found)


class Standing(NamedTuple):
    """What of a views file can be fed, with the configuration that its tables were made with."""

    fed: frozenset[str]
    configured: dict[str, Configuration]


def standing(connection: sqlite3.Connection, make_folds: MakeFolds) -> Standing:
    """Projections whose tables this release's code can go on writing.

    Code of another version cannot; another configuration can, as the old one is kept with the
    file. What depends on tables that stand still stands still with them.
    """
    configured = configuration.load(connection)
    versions = {held.projection: held.version for held in checkpoint.load(connection)}
    folds = make_folds(None, configured)
    other = {p.name for p in projections_of(folds) if versions.get(p.name) != p.version}
    fed = names_of(folds) - with_dependants(folds, other)
    return Standing(fed, {name: configured.get(name, {}) for name in names_of(folds)})


def outdated(held: Standing, make_folds: MakeFolds) -> frozenset[str]:
    """Projections of this release that a file does not show as they should be now."""
    digest = configuration.digest
    folds = make_folds(None)
    changed = {
        p.name
        for p in projections_of(folds)
        if p.name not in held.fed
        or digest(p.configuration) != digest(held.configured.get(p.name, {}))
    }
    return with_dependants(folds, changed)
