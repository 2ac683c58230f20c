"""The share of runs that complete over all injected faults together, which the goal speaks of.

Of runs whose transient errors clear within the policy's budget at least 90 % complete, whatever
the fault was; and no permanent error is tried more often than the policy says.
"""

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
import requests

from projections.policies.reading import read_policies
from spanledger_sdk.recovery import with_recovery
from spanledger_sdk.recovery.asking import Policies
from spanledger_sdk.recovery.circuit import forget_circuits
from spanledger_sdk.recovery.retrying import go_by
from spanledger_sdk.settings import Settings

from .faults import PERMANENT, QUICK, TRANSIENT, faulty_server
from .postgres import Cluster, running
from .test_recovery import rules_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
GOAL = 0.9
TIMEOUT = ("504", "slow")
"""The policy makes three attempts of timeouts, and five of other errors of networks."""
NETWORK = tuple(fault for fault in TRANSIENT if fault not in TIMEOUT)
PATIENCE_S = 2.0
Step = Callable[[int], Any]


class Fault(NamedTuple):
    """`meet` is called with the number of the attempt, and fails while that is `times` at most."""

    name: str
    times: int
    meet: Step
    said: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """The local copy decides, with short pauses; restarts of a database are waited for."""
    forget_circuits()
    text = QUICK + (
        '[[rule]]\nid = "restart"\nwhen = { task = "restart" }\nmax_attempts = 300\n'
        'backoff = { kind = "constant", base_s = 0.1, cap_s = 0.1, jitter = "none" }\n'
    )
    go_by(Policies(Settings(), rules_of(read_policies(text, "quick"))))
    yield
    go_by(None)


def by_requests(url: str) -> None:
    requests.get(url, timeout=PATIENCE_S).raise_for_status()


def by_urllib(url: str) -> None:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        answer.read()


def by_httpx(url: str) -> None:
    httpx.get(url, timeout=PATIENCE_S).raise_for_status()


CLIENTS = {"requests": by_requests, "urllib": by_urllib, "httpx": by_httpx}


def of_http(server: str, faults: tuple[str, ...], times: tuple[int, ...]) -> Iterator[Fault]:
    """Each fault for each client; the server counts the attempts itself."""
    for (client, call), fault, number in itertools.product(CLIENTS.items(), faults, times):
        url = f"{server}/{fault}/{number}/total-{client}"
        yield Fault(f"http {fault}", number, lambda _, call=call, url=url: call(url))


def until_cleared(times: int, fail: Callable[[], Any]) -> Step:
    return lambda number: fail() if number <= times else None


def of_sockets(server: str) -> Iterator[Fault]:
    """Ports that nobody listens on, peers that say nothing or end amid an answer."""
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    address = deaf.getsockname()
    path = server.removeprefix("http://")

    def refused() -> None:
        assert deaf  # bound as long as it is to refuse
        socket.create_connection(address, timeout=PATIENCE_S)

    def dropped() -> None:
        ours, theirs = socket.socketpair()
        with ours:
            theirs.close()
            ours.sendall(b"x")

    def silent() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.settimeout(0.05)
            ours.recv(1)

    def no_answer() -> None:
        connection = HTTPConnection(path, timeout=PATIENCE_S)
        connection.request("GET", "/reset/99/total-raw")
        connection.getresponse()

    async def cut_stream() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"half")
        reader.feed_eof()
        await reader.readexactly(8)

    async def late() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    for times in (1, 2, 4):
        for fail in (refused, dropped, no_answer):
            yield Fault(f"socket {fail.__name__}", times, until_cleared(times, fail))
        cut = until_cleared(times, lambda: asyncio.run(cut_stream()))
        yield Fault("stream cut", times, cut)
    for times in (1, 2):
        yield Fault("socket silent", times, until_cleared(times, silent))
        yield Fault("asyncio timeout", times, until_cleared(times, lambda: asyncio.run(late())))


def of_processes() -> Iterator[Fault]:
    """Killed ones, those that ask to be tried again, and those that take too long."""
    commands = {
        "killed": f"kill -{signal.SIGKILL.value} $$", "terminated": f"kill -{signal.SIGTERM} $$",
        "exit 75": "exit 75", "exit 124": "exit 124",
    }  # fmt: skip
    for times in (1, 2):
        for name, text in commands.items():
            run = until_cleared(
                times, lambda text=text: subprocess.run(["sh", "-c", text], check=True)
            )
            yield Fault(f"process {name}", times, run)
        slow = until_cleared(
            times, lambda: subprocess.run(["sleep", "9"], check=True, timeout=0.05)
        )
        yield Fault("process slow", times, slow)


def of_files(folder: Path) -> Iterator[Fault]:
    """A full disk, locks that others hold, and a SQLite file that another one writes."""
    full = folder / "scratch" / "out"
    full.parent.mkdir()
    full.symlink_to("/dev/full")
    yield Fault("disk full", 1, lambda _: full.write_text("x"), {"temporary": [full.parent]})

    def locked_file() -> None:
        with (folder / "lock").open("w") as ours, (folder / "lock").open("w") as theirs:
            fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(ours, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def locked_database() -> None:
        path = folder / "a.db"
        with (
            contextlib.closing(sqlite3.connect(path, isolation_level=None)) as theirs,
            contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as ours,
        ):
            theirs.execute("BEGIN IMMEDIATE")
            ours.execute("BEGIN IMMEDIATE")

    for times in (1, 2):
        yield Fault("file locked", times, until_cleared(times, locked_file))
    for times in (1, 2, 4):
        yield Fault("sqlite locked", times, until_cleared(times, locked_database))


def of_postgres(cluster: Cluster) -> Iterator[Fault]:
    """Killed sessions, locks, lost serialisation, too many sessions, and a restart."""

    def killed() -> None:
        with cluster.connect() as ours, cluster.connect() as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (ours.info.backend_pid,))
            ours.execute("SELECT 1")

    def waited() -> None:
        with cluster.connect() as ours, cluster.connect() as other, other.transaction():
            other.execute("UPDATE t SET v = v WHERE id = 1")
            ours.execute("SET lock_timeout = '20ms'")
            ours.execute("UPDATE t SET v = v WHERE id = 1")

    def late() -> None:
        with cluster.connect() as ours:
            ours.execute("SET statement_timeout = '20ms'")
            ours.execute("SELECT pg_sleep(9)")

    def overtaken() -> None:
        with cluster.connect() as ours, cluster.connect() as other, ours.transaction():
            ours.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            ours.execute("SELECT * FROM t")
            other.execute("UPDATE t SET v = v + 1 WHERE id = 2")
            ours.execute("UPDATE t SET v = v + 1 WHERE id = 2")

    for times in (1, 2, 4):
        yield Fault("postgres killed", times, until_cleared(times, killed))
        yield Fault("postgres overtaken", times, until_cleared(times, overtaken))
    for times in (1, 2):
        yield Fault("postgres lock", times, until_cleared(times, waited))
        yield Fault("postgres late", times, until_cleared(times, late))


def completed(fault: Fault) -> bool:
    """Whether a run that meets the fault ends well."""
    numbers = itertools.count(1)
    run = with_recovery("total", **fault.said)(lambda: fault.meet(next(numbers)))
    try:
        run()
    except Exception:
        return False
    return True


def restarted(cluster: Cluster) -> bool:
    """Whether a run goes on through a restart of its database."""
    cluster.control("-m", "immediate", "stop")
    starting = threading.Thread(target=cluster.control, args=("start",))
    starting.start()

    @with_recovery("restart")
    def ask() -> None:
        with cluster.connect() as connection:
            connection.execute("SELECT 1")

    try:
        ask()
    except psycopg.Error:
        return False
    finally:
        starting.join()
    return True


def test_of_all_faults_together_nine_in_ten_runs_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counted over HTTP, sockets, processes, files, SQLite and PostgreSQL; the figures are said."""
    ended: Counter[tuple[str, bool]] = Counter()
    with faulty_server() as server, running() as cluster, ThreadPoolExecutor(12) as pool:
        faults = [
            *of_http(server, NETWORK, (1, 2, 3, 4)), *of_http(server, TIMEOUT, (1, 2)),
            *of_sockets(server), *of_processes(), *of_files(tmp_path), *of_postgres(cluster),
        ]  # fmt: skip
        for fault, well in zip(faults, pool.map(completed, faults), strict=True):
            ended[fault.name, well] += 1
        ended["postgres restart", restarted(cluster)] += 1
    total, well = ended.total(), sum(n for (_, is_well), n in ended.items() if is_well)
    lost = {name: number for (name, is_well), number in sorted(ended.items()) if not is_well}
    with capsys.disabled():
        print(f"\n{well} of {total} runs completed ({well / total:.1%}); not of: {lost or 'none'}")
    assert total > 100
    assert well >= GOAL * total, lost


def of_stayers(server: str, folder: Path, cluster: Cluster) -> Iterator[Fault]:
    """Errors that no retry helps against."""
    yield from of_http(server, PERMANENT, (99,))

    def asking(statement: str) -> None:
        with cluster.connect() as connection:
            connection.execute(statement)

    for statement in ("SELEC 1", "INSERT INTO t VALUES (1, 1)", "SELECT 1/0", "TABLE none"):
        yield Fault("postgres", 99, lambda _, statement=statement: asking(statement))
    with contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)) as memory:
        yield Fault("sqlite", 99, lambda _: memory.execute("SELECT * FROM none"))
    for text in ("exit 3", "exit 127"):
        run = until_cleared(99, lambda text=text: subprocess.run(["sh", "-c", text], check=True))
        yield Fault("process", 99, run)
    yield Fault("no such file", 99, lambda _: (folder / "none").read_text())
    yield Fault("no folder", 99, lambda _: os.listdir(__file__))
    yield Fault("no JSON", 99, lambda _: json.loads("{"))
    yield Fault("no module", 99, lambda _: __import__("no_such_module"))
    yield Fault("our own bug", 99, lambda _: {}["x"])


def test_of_all_permanent_errors_none_is_tried_twice(tmp_path: Path) -> None:
    """As the policy says of what will not pass; a repair that does not help is tried once."""
    scratch = tmp_path / "scratch"
    repaired = Fault(
        "disk full", 99, lambda _: Path("/dev/full").write_text("x"), {"temporary": [scratch]}
    )
    tried: list[tuple[str, int, int]] = []
    with faulty_server() as server, running() as cluster:
        for fault in (*of_stayers(server, tmp_path, cluster), repaired):
            scratch.mkdir(exist_ok=True)
            numbers: list[int] = []
            met = fault._replace(meet=lambda n, meet=fault.meet, s=numbers: (s.append(n), meet(n)))
            assert not completed(met), fault.name
            tried.append((fault.name, len(numbers), 2 if fault is repaired else 1))
    assert [one for one in tried if one[1] > one[2]] == []
