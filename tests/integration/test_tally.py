"""What the projector counts for /metrics while it applies pages."""

import sqlite3
from contextlib import closing
from pathlib import Path

from events import metrics, names
from events.times import rfc3339
from projections.engine.counting.failures import MOST_WAITING, Failures
from projections.engine.counting.tally import Tally
from projections.errors.verdicts import FOLDER
from projections.runs import words
from tests.events import BASE_NS, SECOND_NS, make_batch, make_exception, make_log, make_span
from tests.views import make_folder

COUNTED = tuple(
    f"spanledger_{name}" for name in ("attempt", "failures", "run_changes", "retries", "queue_wait")
)


def counted() -> dict[str, float]:
    """The counters of attempts, runs, retries and waits in this process."""
    found: dict[str, float] = {}
    for metric in metrics.REGISTRY.collect():
        if metric.name.startswith(COUNTED):
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    key = sample.name.removeprefix("spanledger_").removesuffix("_total")
                    found[" ".join([key, *sample.labels.values()])] = sample.value
    return found


def added(folder: Path, *batches: object) -> dict[str, float]:
    """What applying the batches adds to them."""
    before = counted()
    make_folder(folder, batches)  # type: ignore[arg-type]
    return {
        name: more for name, value in counted().items() if (more := value - before.get(name, 0))
    }


def test_each_attempt_counts_once(tmp_path: Path) -> None:
    """When its end is first known; a run by what it came to between pages."""
    queued = {names.TASK_QUEUED_AT: rfc3339(BASE_NS - 4 * SECOND_NS)}
    failed = make_span(task="a", run="r", attempt=1, status_code=2, attributes=queued)
    completed = make_span(task="a", run="r", attempt=2, start_ns=BASE_NS + 2 * SECOND_NS)
    started = make_log(
        event_name=names.ATTEMPT_STARTED, task="b", run="r", attempt=1, time_ns=BASE_NS
    )
    batches = [make_batch([one]) for one in (started, failed, failed, completed)]
    assert added(tmp_path, *batches) == {
        "attempts failed": 1, "attempts completed": 1, "attempt_seconds": 2, "retries": 1,
        "queue_waits": 1, "queue_wait_seconds": 4, "run_changes completed": 1,
        "run_changes running": 1, "failures unknown medium unknown": 1,
    }  # fmt: skip


def failed(number: int, kind: str, message: str) -> object:
    """An attempt that raised an error."""
    told = make_exception(kind, message)
    return make_batch([make_span(task=f"t{number}", run="r", status_code=2, events=[told])])


def test_failures_count_by_what_the_rules_say(tmp_path: Path) -> None:
    """Own rules too; an attempt whose error is told again counts no second time."""
    rules = tmp_path / FOLDER
    rules.mkdir()
    (rules / "own.toml").write_text(
        '[[rule]]\nid = "own"\ntypes = ["QuotaGone"]\ncategory = "permission"\n'
        'severity = "critical"\ntransient = "unknown"\nreason = "x"\nsuggestion = "y"\n'
    )
    refused = failed(1, "ConnectionRefusedError", "[Errno 111] Connection refused")
    own = [failed(n, "QuotaGone", f"quota {n}") for n in (2, 3)]
    found = added(tmp_path, refused, refused, *own)
    assert {name: count for name, count in found.items() if name.startswith("failures")} == {
        "failures network medium true": 1, "failures permission critical unknown": 2,
    }  # fmt: skip


def test_a_storm_of_new_errors_holds_up_nothing(tmp_path: Path) -> None:
    """A page looks at what its time allows; the rest waits, of more than a bound as unknown."""
    before = counted()
    failures = Failures(tmp_path)
    failures.add(dict.fromkeys(range(MOST_WAITING + 3), 2))
    unknown = "failures unknown medium unknown"
    assert counted()[unknown] - before.get(unknown, 0) == 6
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE signature (error_no INTEGER PRIMARY KEY, content BLOB)")
        failures.tell(connection)
        assert counted()[unknown] - before.get(unknown, 0) > 6
        while counted()[unknown] - before.get(unknown, 0) < 2 * (MOST_WAITING + 3):
            failures.tell(connection)


def test_a_tally_can_be_joined_and_cleared() -> None:
    """A page that is taken in parts counts as a whole, one that is taken back not at all."""
    one, two = Tally(), Tally()
    one.attempts[words.FAILED], two.attempts[words.FAILED] = 1, 2
    one.wait_ns, two.wait_ns = 3, 4
    one.errors, two.errors = {1: 1}, {1: 2, 2: 1}
    one.join(two)
    assert (one.attempts[words.FAILED], one.wait_ns) == (3, 7)
    assert one.errors == {1: 3, 2: 1}
    one.clear()
    assert (sum(one.attempts), one.wait_ns) == (0, 0)
