"""Faults of a real PostgreSQL: restarts, killed sessions, deadlocks; and errors that stay."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from projections.policies.reading import read_policies
from spanledger_sdk.recovery import with_recovery
from spanledger_sdk.recovery.asking import Policies
from spanledger_sdk.recovery.circuit import forget_circuits
from spanledger_sdk.recovery.retrying import go_by
from spanledger_sdk.settings import Settings

from .faults import QUICK
from .postgres import Cluster, running
from .test_recovery import rules_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A running server with a table of two rows."""
    with running() as found:
        yield found


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """The local copy decides, with short pauses and enough attempts for a restart."""
    forget_circuits()
    text = QUICK + (
        '[[rule]]\nid = "pg"\nwhen = { task = "pg" }\nmax_attempts = 200\n'
        'backoff = { kind = "constant", base_s = 0.1, cap_s = 0.1, jitter = "none" }\n'
    )
    go_by(Policies(Settings(), rules_of(read_policies(text, "quick"))))
    yield
    go_by(None)


class Session:
    """A connection that `reconnect` makes anew."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.connection: psycopg.Connection[Any] | None = None
        self.calls = 0

    def reconnect(self, error: BaseException) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def run(self, statement: str) -> list[Any]:
        self.calls += 1
        if self.connection is None or self.connection.closed:
            self.connection = self._cluster.connect()
        answer = self.connection.execute(statement)
        return answer.fetchall() if answer.description else []


def recovering(session: Session) -> Any:
    return with_recovery("pg", reconnect=session.reconnect)(session.run)


def test_a_killed_session_is_made_anew(cluster: Cluster) -> None:
    """The statement is done on a new connection."""
    session = Session(cluster)
    run = recovering(session)
    ((number,),) = run("SELECT pg_backend_pid()")
    with cluster.connect() as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", (number,))
    assert run("SELECT 1") == [(1,)]
    assert session.calls == 3


def test_a_restart_is_waited_for(cluster: Cluster) -> None:
    """Refused connections, and those while it starts up, are tried again."""
    session = Session(cluster)
    run = recovering(session)
    cluster.control("-m", "immediate", "stop")
    thread = threading.Thread(target=cluster.control, args=("start",))
    thread.start()
    try:
        assert run("SELECT 1") == [(1,)]
    finally:
        thread.join()


def test_a_deadlock_is_tried_again(cluster: Cluster) -> None:
    """Of two transactions that wait for each other one is chosen; both complete in the end."""
    met = threading.Barrier(2)
    done: list[int] = []
    calls: list[int] = []

    def transfer(first: int, second: int) -> None:
        calls.append(first)
        with cluster.connect() as connection, connection.transaction():
            connection.execute("UPDATE t SET v = v + 1 WHERE id = %s", (first,))
            with contextlib.suppress(threading.BrokenBarrierError):
                met.wait(10)
            met.abort()
            connection.execute("UPDATE t SET v = v + 1 WHERE id = %s", (second,))
        done.append(first)

    run = with_recovery("pg")(transfer)
    threads = [threading.Thread(target=run, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [1, 2]
    assert len(calls) == 3


@pytest.mark.parametrize(
    "statement", ["SELEC 1", "INSERT INTO t VALUES (1, 1)", "SELECT * FROM none", "SELECT 1/0"]
)
def test_errors_that_stay_are_tried_once(cluster: Cluster, statement: str) -> None:
    """Syntax, constraints, missing tables, bad values."""
    session = Session(cluster)
    with pytest.raises(psycopg.Error):
        recovering(session)(statement)
    assert session.calls == 1
