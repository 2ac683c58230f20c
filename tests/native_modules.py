"""Native modules for tests; they are skipped where none was built from these sources."""

from typing import Any

import pytest

from events.native import load


def required(name: str) -> Any:
    """The module `name`; the test module that asks is skipped without it."""
    module = load(name)
    if module is None:
        pytest.skip(f"{name} was not built from these sources", allow_module_level=True)
    return module
