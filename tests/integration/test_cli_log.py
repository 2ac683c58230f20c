"""`spanledger log` on a real log, with and without a writer beside it."""

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from events.log.door import GroupDoor
from events.schema import AttemptAbandoned, Span
from service.cli.commands.log import app
from tests.events import make_batch, make_log, make_span, span_id, trace_id

COMMAND = [sys.executable, "-P", "-c", "from service.cli.commands.log import app; app()"]
RECEIVED_NS = 1_800_000_000_000_000_000


def make_step(number: int) -> Span:
    """A span of task `task-<number % 3>` in trace `number`, with values that JSON has not."""
    return make_span(
        task=f"task-{number % 3}",
        trace_id=trace_id(number),
        span_id=span_id(number),
        name=f"step {number}",
        attributes={"blob": b"\x00\xff", "x": float("nan")},
    )


def steps(first: int, end: int) -> list[Span]:
    """The spans of these numbers."""
    return [make_step(number) for number in range(first, end)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A log of 30 spans in three segments, then a log record and an abandoned attempt."""
    door = GroupDoor(tmp_path)
    for first in (1, 11, 21):
        door.append(make_batch(steps(first, first + 10), received_ns=RECEIVED_NS))
    record = make_log(event_name="note", trace_id=trace_id(7))
    lost = AttemptAbandoned("a1", "task-9", "r1", trace_id(7), span_id(7), 5, 4, bytes(16))
    door.append(make_batch([record, lost], tenant="acme", received_ns=RECEIVED_NS))
    door.close()
    return tmp_path


def run(data: Path, *words: str) -> Result:
    """`spanledger log WORDS --data DIR` in this process."""
    return CliRunner().invoke(app, [*words, "--data", str(data)])


def lines(result: Result) -> list[dict[str, Any]]:
    """The JSON lines of a successful command."""
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def positions(result: Result) -> list[int]:
    """The positions of the events that were printed."""
    return [int(line["position"]) for line in lines(result)]


def test_read_prints_every_event_once_in_commit_order(data: Path) -> None:
    """`log read` gives all events by position."""
    assert positions(run(data, "read", "--json")) == list(range(1, 33))


def test_a_line_names_the_event_and_its_place(data: Path) -> None:
    """Each line carries the documented fields, ids in hex, the event and its context."""
    (line,) = lines(run(data, "read", "--json", "--limit", "1"))
    assert line["position"] == "1"
    assert (line["partition"], line["kind"], line["tenant"]) == (0, "span", "default")
    assert line["trace_id"] == f"{1:032x}"
    assert line["span_id"] == f"{1:016x}"
    assert len(line["event_id"]) == 32
    assert line["received_at"] == "2027-01-15T08:00:00Z"
    assert line["event"]["name"] == "step 1"
    assert line["context"]["resource_attributes"]["service.name"] == "shop"


def test_values_that_json_cannot_carry_are_written_as_text(data: Path) -> None:
    """Bytes come as base64 and NaN as a word, so that every line is strict JSON."""
    (line,) = lines(run(data, "read", "--limit", "1"))
    assert line["event"]["attributes"]["blob"] == "AP8="
    assert line["event"]["attributes"]["x"] == "NaN"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--after", "29"], [30, 31, 32]),
        (["--after", "5", "--limit", "2"], [6, 7]),
        (["--kind", "log"], [31]),
        (["--kind", "attempt_abandoned"], [32]),
        (["--trace", f"{7:032x}"], [7, 31, 32]),
        (["--task", "task-9"], [32]),
        (["--tenant", "acme"], [31, 32]),
        (["--since", "1h", "--after", "31"], [32]),
        (["--until", "1h"], []),
        (["--since", "2020-01-01", "--task", "task-0", "--limit", "2"], [3, 6]),
    ],
)
def test_filters_choose_events(data: Path, words: list[str], expected: list[int]) -> None:
    """Each filter of `log read` keeps what it names; together they narrow."""
    assert positions(run(data, "read", *words)) == expected


@pytest.mark.parametrize("words", [["--since", "soon"], ["--trace", "xyz"], ["--kind", "metric"]])
def test_a_bad_filter_is_a_usage_error(data: Path, words: list[str]) -> None:
    """What cannot be understood ends in exit code 2 and says why."""
    result = run(data, "read", *words)
    assert result.exit_code == 2
    assert words[1] in result.stderr


def test_a_folder_without_a_log_is_unavailable(tmp_path: Path) -> None:
    """Every command on an empty folder ends in exit code 4."""
    for words in (["head"], ["read"], ["tail"], ["verify"], ["stats"]):
        assert run(tmp_path, *words).exit_code == 4


def test_head_prints_an_anchor_that_verify_accepts(data: Path) -> None:
    """`log head` gives POSITION:HASH; `verify` finds it in the log, and can start there."""
    anchor = run(data, "head").stdout.strip()
    assert anchor.startswith("32:")
    assert run(data, "verify", "--anchor", anchor).exit_code == 0
    assert run(data, "verify", "--from", anchor).exit_code == 0


def test_verify_counts_what_it_walked(data: Path) -> None:
    """The JSON answer of a sound log names its head and segments."""
    (answer,) = lines(run(data, "verify", "--json"))
    assert (answer["ok"], answer["position"], answer["segments"]) == (True, "32", 4)


def test_verify_refuses_an_anchor_of_another_log(data: Path) -> None:
    """A hash the log does not have there is damage: exit code 5."""
    result = run(data, "verify", "--anchor", f"10:{'0' * 64}")
    assert result.exit_code == 5
    assert "at position 10" in result.stderr


def test_verify_refuses_an_anchor_beyond_the_head(data: Path) -> None:
    """A log that ends before an anchor was cut."""
    assert run(data, "verify", "--anchor", f"99:{'0' * 64}").exit_code == 5
    assert run(data, "verify", "--from", f"99:{'0' * 64}").exit_code == 5


def test_an_anchor_that_is_none_is_a_usage_error(data: Path) -> None:
    """An anchor has a position and 64 hex digits."""
    assert run(data, "verify", "--anchor", "10").exit_code == 2


def test_verify_says_where_an_altered_log_breaks(data: Path) -> None:
    """One altered byte in the third segment is found and its position named."""
    connection = sqlite3.connect(data / "ledger.db", isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("UPDATE segment SET digest = zeroblob(32) WHERE first = 21")
    connection.close()
    result = run(data, "verify", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 5
    assert (answer["ok"], answer["position"]) == (False, "21")


def test_verify_notices_an_older_copy_put_back(data: Path) -> None:
    """A log that is shorter than its recorded head fails, though its chain is sound."""
    connection = sqlite3.connect(data / "ledger.db", isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("DELETE FROM segment WHERE first > 20")
    connection.close()
    result = run(data, "verify")
    assert result.exit_code == 5
    assert "ends at position 20" in result.stderr


def test_stats_name_size_and_bounds(data: Path) -> None:
    """`log stats --json` has the documented fields."""
    (stats,) = lines(run(data, "stats", "--json"))
    assert (stats["events"], stats["head"], stats["segments"]) == (32, "32", 4)
    assert stats["bytes"] > 0
    assert stats["first_time"] <= stats["last_time"]


def test_reading_goes_on_beside_a_writer(data: Path) -> None:
    """A running writer does not lock readers out, and they see what it commits."""
    door = GroupDoor(data)
    door.append(make_batch([make_step(40)]))
    assert positions(run(data, "read", "--after", "31")) == [32, 33]
    door.close()


@pytest.fixture
def tail(data: Path) -> Iterator[subprocess.Popen[str]]:
    """`log tail --json` as a process of its own, from position 30 on."""
    words = ["tail", "--json", "--after", "30", "--data", str(data)]
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True)
    deadline = threading.Timer(60, process.kill)
    deadline.start()
    yield process
    deadline.cancel()
    process.kill()
    process.communicate()


def test_tail_follows_writers_that_come_and_go(data: Path, tail: subprocess.Popen[str]) -> None:
    """`log tail` prints what is there, then what each later writer commits, and ends at Ctrl-C."""
    assert tail.stdout is not None
    seen = [json.loads(tail.stdout.readline())["position"] for _ in range(2)]
    for number in (41, 42):
        door = GroupDoor(data)
        door.append(make_batch([make_step(number)]))
        door.close()
        seen.append(json.loads(tail.stdout.readline())["position"])
    tail.send_signal(2)
    assert tail.wait(20) == 0
    assert seen == ["31", "32", "33", "34"]


def test_a_reader_that_leaves_is_no_error(data: Path) -> None:
    """A pipe closed early ends `log read` without a word on standard error."""
    door = GroupDoor(data)
    door.append(make_batch(steps(100, 2100)))
    door.close()
    process = subprocess.Popen(
        [*COMMAND, "read", "--data", str(data)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(20) == 141
