"""Whether `events`, `projections` and `service` are all ours.

The names are plain and collide: another distribution may install an `events`, or a folder of
that name may stand in the working directory. Mixed packages would fail in odd places, so this
is asked before anything else is imported, and it imports nothing of ours.
"""

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Final

PACKAGES: Final = ("events", "projections", "service")
_HOME: Final = Path(__file__).resolve().parents[2]


def foreign_packages() -> list[tuple[str, str]]:
    """Each of our names that another package has, and where that one is."""
    foreign = []
    for name in PACKAGES:
        found = _folder(importlib.util.find_spec(name))
        if found is None or found.parent != _HOME:
            foreign.append((name, str(found) if found else "nowhere"))
    return foreign


def require_own_packages() -> None:
    """Stop with a message if a package of ours is shadowed.

    Raises:
        SystemExit: one is; the message names the other.
    """
    foreign = foreign_packages()
    if foreign:
        others = ", ".join(f"{name!r} is found at {where}" for name, where in foreign)
        raise SystemExit(
            f"spanledger: {others}, not in {_HOME}: another distribution or folder has that name. "
            "Install Spanledger in an environment of its own: pipx install, or uv tool install."
        )


def _folder(spec: ModuleSpec | None) -> Path | None:
    if spec is None or not spec.submodule_search_locations:
        return Path(spec.origin).resolve() if spec and spec.origin else None
    return Path(next(iter(spec.submodule_search_locations))).resolve()
