"""Runs that have a row, read by their numbers."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from projections.runs.facts import RunFacts, decode_facts

_AT_ONCE: Final = 400  # SQLite allows 32,766 parameters


class Known(NamedTuple):
    """A run that has a row."""

    run_no: int
    tenant_no: int
    task_no: int
    is_first: bool
    hash: int
    task_id: str
    run_id: str
    facts: RunFacts | None  # None: a long run


def runs_by_number(connection: sqlite3.Connection, numbers: Sequence[int]) -> Iterator[Known]:
    """The runs of these numbers, with their facts."""
    for at in range(0, len(numbers), _AT_ONCE):
        part = numbers[at : at + _AT_ONCE]
        rows = connection.execute(
            "SELECT run_no, tenant_no, task_no, is_first, hash, task_id, run_id, facts,"
            " last_started_ns"
            " FROM run_key JOIN task_key USING (task_no)"
            f" WHERE run_no IN ({', '.join('?' * len(part))})",
            part,
        )
        for *told, facts, last_started_ns in rows:
            run_no, tenant_no, task_no, is_first, hash_, task_id, run_id = told
            held = decode_facts(facts, last_started_ns) if facts else None
            yield Known(run_no, tenant_no, task_no, bool(is_first), hash_, task_id, run_id, held)
