"""What every test starts from, and what is shown of the peers of one that failed.

A shell without job control has what it runs in the background ignore Ctrl-C, nohup has it ignore
SIGHUP, and so would each process that a test starts and sends them to.
"""

import compileall
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import process

ROOT = Path(__file__).parents[1]
PACKAGES = ("events", "projections", "service", "sdk")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the sources once: where no process may keep what it compiles, each child of a
    service would do it anew. Tests in parallel are the workers' of one session, which did it."""
    if hasattr(session.config, "workerinput"):
        return
    for folder in PACKAGES:
        compileall.compile_dir(ROOT / folder, quiet=2)


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
