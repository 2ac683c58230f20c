"""A pytest plugin that logs the truth of each call of each test (`-p truth_plugin`)."""

from collections.abc import Generator

import pytest
import truth


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """One try; those that pytest-rerunfailures adds are counted on. Runs are not known here."""
    with truth.trying(pyfuncitem.nodeid, "", getattr(pyfuncitem, "execution_count", 1)):
        return (yield)
