"""The latest run of a task is found at once, however many runs it has."""

import sqlite3

from projections.fold import FactsProjection
from projections.views.tasks.store import _search_latest


def _steps(runs: int, first: int = 1) -> tuple[int, tuple[int, int, int]]:
    """Tens of steps that SQLite takes to find the latest of so many runs, and that run."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    FactsProjection({}).create(connection)
    connection.executemany(
        "INSERT INTO run_key (run_no, task_no, is_first, hash, lead_ns, last_started_ns, run_id,"
        " facts) VALUES (?, 1, ?, ?, 0, ?, ?, x'')",
        ((n, n == first, n * 7 % 1_000, n // 2, f"r{n}") for n in range(1, runs + 1)),
    )
    connection.execute("INSERT INTO task_key VALUES (1, 1, ?, 't')", (first,))
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    connection.set_progress_handler(count, 10)
    latest = tuple(_search_latest(connection, 1))
    return steps[0], latest


def test_another_latest_run_is_found_by_an_index() -> None:
    """Of 20,000 runs as fast as of 20; of two that started at one time, by the larger digest."""
    few, latest = _steps(20)
    assert latest == (10, 140, 20)
    many, latest = _steps(20_001)
    assert latest == max((n // 2, n * 7 % 1_000, n) for n in (20_000, 20_001))
    assert many <= few + 5


def test_the_first_run_of_a_task_may_be_its_latest() -> None:
    """It stands in no index by task; it is found all the same."""
    assert _steps(20_001, first=20_001)[1] == _steps(20_001)[1]
    assert _steps(1)[1] == (0, 7, 1)
