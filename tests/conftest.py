"""What every test starts from, and what is shown of the peers of one that failed.

A shell without job control has what it runs in the background ignore Ctrl-C, and so would each
process that a test starts and ends by it.
"""

import signal
from collections.abc import Iterator

import pytest

from tests.peers import process

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup() -> None:
    """No peer of an earlier test is this one's."""
    process.started.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Show the last output of the peers that a failed test has started."""
    report: pytest.TestReport = yield
    if report.failed:
        report.sections += process.printed()
    return report
