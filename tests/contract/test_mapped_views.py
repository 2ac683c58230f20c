"""Spans that only rules understand: their attempts stand in the views, whatever the order."""

import json
import random
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from events import codec
from events.log.memory import MemoryLog
from events.schema import Block
from projections.engine.port import Fold
from projections.fold import make_fold
from tests.captures import FOLDER
from tests.events import BASE_NS, batch_of
from tests.mapped import Row, capture_rows, captures
from tests.view_rows import rows_of

ATTEMPTS = """
SELECT system, run_id AS run, task_id AS task, attempt_key & 1048575 AS n,
    status_word.word AS status, started_ns AS start_ns, ended_ns AS end_ns, queue, executor,
    error_type, coalesce(text, '') AS error, lower(hex(trace_id)) AS trace,
    lower(hex(span_id)) AS span
FROM attempt JOIN task_key USING (task_no) JOIN source USING (source_no)
JOIN run_key ON run_key.run_no = attempt_key >> 20
JOIN status_word ON status_word.status = attempt.status
LEFT JOIN executor ON executor.executor_no = attempt.executor_no
LEFT JOIN fingerprint ON fingerprint_no = error_no >> 16 LEFT JOIN message USING (message_no)
"""


def blocks_of(rows: Sequence[Row]) -> list[Block]:
    """A block for each row, as if each had been sent alone."""
    return [
        Block("default", BASE_NS, codec.decode_context(row.context), [codec.decode_event(row.row)])
        for row in rows
    ]


def log_of(blocks: Sequence[Block], partitions: int = 1) -> MemoryLog:
    log = MemoryLog(partitions)
    for block in blocks:
        log.append(batch_of([block]))
    return log


def view_of(log: MemoryLog, chance: random.Random | None = None) -> sqlite3.Connection:
    """The views of a log: in one page, or in pages by chance, forgetting now and then."""
    fold: Fold = make_fold()
    connection = sqlite3.connect(":memory:", isolation_level=None)
    fold.create(connection)
    fold.index(connection)
    after = dict.fromkeys(log.partitions, 0)
    while open_ := [p for p in log.partitions if after[p] < log.head(p).position]:
        partition = chance.choice(open_) if chance else open_[0]
        head = log.head(partition).position
        through = min(after[partition] + chance.randint(1, 9), head) if chance else head
        page = log.read(partition, after[partition], through=through, limit_segments=10_000)
        fold.apply(connection, page)
        if chance and chance.random() < 0.2:
            fold.apply(connection, page)
        if chance and chance.random() < 0.3:
            fold.forget()
        after[partition] = through
    return connection


def attempts_of(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    connection.row_factory = sqlite3.Row
    return _sorted([dict(row) for row in connection.execute(ATTEMPTS)])


def expected_of(name: str) -> list[dict[str, Any]]:
    found = json.loads((FOLDER / name / "attempts.json").read_text())
    rows = [{k: v for k, v in row.items() if k not in ("retry_of", "running_ns")} for row in found]
    return _sorted([row | {"error": row["error"] or ""} for row in rows])


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["run"], row["n"]))


@pytest.mark.parametrize("name", captures())
def test_a_capture_gives_its_attempts(name: str) -> None:
    """Number, status, times, queue, executor and error, as they were."""
    assert attempts_of(view_of(log_of(blocks_of(capture_rows(name))))) == expected_of(name)


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("name", captures())
def test_every_order_gives_the_same_rows(name: str, partitions: int) -> None:
    """Span by span, in pages of any size, some twice, by one partition or several."""
    chance = random.Random(f"{name} {partitions}")
    blocks = blocks_of(capture_rows(name))
    expected = rows_of(view_of(log_of(blocks)))
    for _ in range(3):
        shuffled = chance.sample(blocks, len(blocks))
        assert rows_of(view_of(log_of(shuffled, partitions), chance)) == expected
