"""From texts to the numbers of the views: the only way readers find a task, a run or a trace."""

import sqlite3
from typing import Final

from projections.runs.registry.runs import TABLES as RUN_TABLES
from projections.runs.registry.tasks import TABLES as TASK_TABLES
from projections.runs.words import key_hash
from projections.storage import spanindex
from projections.storage.sorted_runs import SortedRuns

_RUNS: Final = SortedRuns(RUN_TABLES)
_TASKS: Final = SortedRuns(TASK_TABLES)


def find_tenant(connection: sqlite3.Connection, tenant: str) -> int | None:
    """The number of `tenant`; None if no task of it is known."""
    row = connection.execute("SELECT tenant_no FROM tenant WHERE name = ?", (tenant,)).fetchone()
    return None if row is None else row[0]


def find_task(connection: sqlite3.Connection, tenant: str, task_id: str) -> int | None:
    """The number of a task."""
    digest = key_hash(tenant, task_id)
    for task_no in _TASKS.between(connection, digest, digest):
        row = connection.execute(
            "SELECT name, task_id FROM task_key JOIN tenant USING (tenant_no) WHERE task_no = ?",
            (task_no,),
        ).fetchone()
        if tuple(row) == (tenant, task_id):
            return task_no
    return None


def first_run(connection: sqlite3.Connection, task_no: int) -> int:
    """The number of the first run of a task: in indexes by task it does not stand."""
    select = "SELECT first_run_no FROM task_key WHERE task_no = ?"
    number: int = connection.execute(select, (task_no,)).fetchone()[0]
    return number


def find_run(connection: sqlite3.Connection, tenant: str, task_id: str, run_id: str) -> int | None:
    """The number of a run of a task."""
    task_no = find_task(connection, tenant, task_id)
    if task_no is None:
        return None
    digest = key_hash(tenant, task_id, run_id)
    others = _RUNS.between(connection, digest, digest)
    for run_no in (first_run(connection, task_no), *others):
        row = connection.execute(
            "SELECT task_no, run_id FROM run_key WHERE run_no = ?", (run_no,)
        ).fetchone()
        if tuple(row) == (task_no, run_id):
            return run_no
    return None


def find_executor(connection: sqlite3.Connection, tenant: str, executor: str) -> int | None:
    """The number of an executor of a tenant."""
    row = connection.execute(
        "SELECT executor_no FROM executor JOIN tenant USING (tenant_no) "
        "WHERE name = ? AND executor = ?",
        (tenant, executor),
    ).fetchone()
    return None if row is None else row[0]


def find_fingerprint(connection: sqlite3.Connection, tenant: str, fingerprint: str) -> int | None:
    """The number of a tenant's fingerprint, or of that to which a former one leads."""
    for table in ("fingerprint", "former_fingerprint"):
        row = connection.execute(
            f"SELECT fingerprint_no FROM {table} JOIN tenant USING (tenant_no) "
            "WHERE name = ? AND fingerprint = ?",
            (tenant, fingerprint),
        ).fetchone()
        if row is not None:
            return int(row[0])
    return None


def runs_of_trace(connection: sqlite3.Connection, tenant: str, trace_id: bytes) -> list[int]:
    """Numbers of the runs that may have an attempt in a trace, ascending.

    A superset: the digest's trace part has 40 bits, so the caller still compares the trace ids of
    the attempts that it reads.
    """
    return spanindex.runs_of_trace(connection, tenant, trace_id)
