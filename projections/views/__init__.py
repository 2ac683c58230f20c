"""The views, a folder each: schema, store, the question that it answers, and how that is shown.

A view is found by having a folder here. Its `question.py` has `ENDPOINTS`; its `__init__.py` has
`TABLE` if its list has a command of its own.
"""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Final

from projections.query.table import Table

_FIRST: Final = ("tasks", "runs", "attempts", "traces", "error_patterns", "task_metrics")
"""What people ask most, in the order in which documents show it; the others follow."""


def names() -> list[str]:
    """The names of all views."""
    folders = {module.name for module in pkgutil.iter_modules(__path__) if module.ispkg}
    return [*_FIRST, *sorted(folders.difference(_FIRST))]


def tables() -> Iterator[Table]:
    """The lists that have a command of their own; loads no question."""
    for name in names():
        table = getattr(import_module(f"{__name__}.{name}"), "TABLE", None)
        if table is not None:
            yield table
