"""Injected faults of real servers, disks, processes and databases: what clears is recovered from.

The share of runs that complete is counted over all faults together in test_recovery_total.
"""

import itertools
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from projections.policies.reading import read_policies
from spanledger_sdk.recovery import with_recovery
from spanledger_sdk.recovery.asking import Policies
from spanledger_sdk.recovery.circuit import forget_circuits
from spanledger_sdk.recovery.retrying import go_by
from spanledger_sdk.settings import Settings
from tests.api_service import serving

from .faults import PERMANENT, QUICK, TRANSIENT, Faulty, faulty_server
from .test_recovery import rules_of


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server with faults."""
    with faulty_server() as address:
        yield address


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """The local copy decides, with short pauses."""
    forget_circuits()
    go_by(Policies(Settings(), rules_of(read_policies(QUICK, "quick"))))
    yield
    go_by(None)


@with_recovery("by-requests")
def by_requests(url: str) -> int:
    answer = requests.get(url, timeout=0.3)
    answer.raise_for_status()
    return answer.status_code


@with_recovery("by-urllib")
def by_urllib(url: str) -> int:
    with urllib.request.urlopen(url, timeout=0.3) as answer:
        answer.read()
        return int(answer.status)


CLIENTS = {"requests": by_requests, "urllib": by_urllib}


def ends_well(client: str, url: str) -> bool:
    try:
        return CLIENTS[client](url) == 200
    except Exception:
        return False


def test_transient_faults_of_http_that_clear_end_in_completed_runs(server: str) -> None:
    """Of all faults, once or twice in a row, with two clients: at least 90 %."""
    runs = list(itertools.product(CLIENTS, TRANSIENT, (1, 2)))
    ended = {
        one: ends_well(one[0], f"{server}/{one[1]}/{one[2]}/{'-'.join(map(str, one))}")
        for one in runs
    }
    assert sum(ended.values()) >= 0.9 * len(runs), [one for one, well in ended.items() if not well]


def test_permanent_faults_of_http_are_tried_once(server: str) -> None:
    """Whatever the client makes of them."""
    for client, fault in itertools.product(CLIENTS, PERMANENT):
        path = f"/{fault}/99/{client}"
        assert not ends_well(client, server + path)
        assert Faulty.seen[path] == 1, path


def test_what_does_not_clear_is_given_up_at_the_bound(server: str) -> None:
    """Five attempts, as the policy says, and the last error reaches the caller."""
    with pytest.raises(requests.HTTPError):
        by_requests(f"{server}/503/99/bound")
    assert Faulty.seen["/503/99/bound"] == 5


def test_the_service_decides_where_it_can_be_asked(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own rules: a 409 that the local copy holds for permanent is tried as it says."""
    (tmp_path / "policies.toml").write_text(
        '[[rule]]\nid = "t"\nwhen = { task = "by-requests" }\nretry = "always"\nmax_attempts = 2\n'
        'backoff = { kind = "none" }\n'
    )
    from service.policies.applying import Applying  # noqa: PLC0415 - as `policies apply` does

    Applying(tmp_path, None, lambda fact: None).apply(None, "test")
    with serving(tmp_path) as client:
        policies = Policies(Settings(api=str(client.base_url), spool=str(tmp_path / "spool")))
        go_by(policies)
        assert ends_well("requests", f"{server}/409/1/asked")
        assert policies.refresh()
    kept = Policies(Settings(api=str(client.base_url), spool=str(tmp_path / "spool")))
    go_by(kept)
    assert kept.rules.digest == policies.rules.digest


@pytest.mark.trouble
def test_a_service_that_is_away_does_not_matter(server: str, tmp_path: Path) -> None:
    """The local copy decides, and the service is left alone for a while."""
    go_by(Policies(Settings(api="http://127.0.0.1:1", spool=str(tmp_path))))
    assert ends_well("requests", f"{server}/503/1/away")


def test_a_full_disk_is_recovered_from_by_cleaning(tmp_path: Path) -> None:
    """`/dev/full` has no space, really; what was given as temporary is removed, and no more."""
    path, kept = tmp_path / "scratch" / "out", tmp_path / "kept"
    path.parent.mkdir()
    kept.write_text("x")
    path.symlink_to("/dev/full")

    @with_recovery("disk", temporary=[path.parent])
    def write() -> None:
        with path.open("w") as file:
            file.write("data")

    write()
    assert path.read_text() == "data"
    assert kept.exists()


def test_killed_processes_are_started_again(tmp_path: Path) -> None:
    """By SIGKILL and SIGTERM; a process that fails by itself or crashes is not."""
    program = (
        "import os, sys, pathlib\n"
        "count = pathlib.Path(sys.argv[1]); number = len(count.read_text()) if count.exists() "
        "else 0\ncount.write_text('x' * (number + 1))\n"
        "if number < 1: os.kill(os.getpid(), int(sys.argv[2])) if sys.argv[2] != '0' else "
        "sys.exit(3)\n"
    )

    @with_recovery("process")
    def work(count: Path, how: int) -> None:
        subprocess.run([sys.executable, "-c", program, str(count), str(how)], check=True)

    for how in (signal.SIGKILL, signal.SIGTERM):
        work(tmp_path / str(how), how)
        assert len((tmp_path / str(how)).read_text()) == 2
    for name, how in (("exit", 0), ("crash", signal.SIGSEGV), ("abort", signal.SIGABRT)):
        with pytest.raises(subprocess.CalledProcessError):
            work(tmp_path / name, how)
        assert len((tmp_path / name).read_text()) == 1
    assert os.path.exists(tmp_path)
