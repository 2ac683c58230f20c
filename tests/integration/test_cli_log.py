"""`spanledger log` on a real log, with and without a writer beside it."""

import hashlib
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

from events import codec
from events.log.door import GroupDoor
from events.log.port import Batch
from events.schema import AttemptAbandoned, Context, Event, LogRecord, Span
from service.cli.log import app

COMMAND = [sys.executable, "-P", "-c", "from service.cli.log import app; app()"]
RECEIVED_NS = 1_800_000_000_000_000_000


def make_span(number: int, **changes: Any) -> Span:
    """A span of task `task-<number % 3>` in trace `number`."""
    fields: dict[str, Any] = {
        "trace_id": number.to_bytes(16, "big"),
        "span_id": number.to_bytes(8, "big"),
        "parent_span_id": b"",
        "trace_state": "",
        "flags": 1,
        "name": f"step {number}",
        "kind": 1,
        "start_ns": 1_700_000_000_000_000_000,
        "end_ns": 1_700_000_001_000_000_000,
        "attributes": {"task.id": f"task-{number % 3}", "blob": b"\x00\xff", "x": float("nan")},
        "dropped_attributes_count": 0,
        "events": [],
        "dropped_events_count": 0,
        "links": [],
        "dropped_links_count": 0,
        "status_code": 0,
        "status_message": "",
    }
    return Span(**(fields | changes))


def make_batch(events: list[Event], tenant: str = "default") -> Batch:
    """A batch of one block."""
    rows = [codec.encode_event(event) for event in events]
    context = codec.encode_context(Context(resource_attributes={"service.name": "demo"}))
    content = codec.join_blocks([codec.encode_block(tenant, RECEIVED_NS, context, rows)])
    return Batch(
        ids=b"".join(hashlib.sha256(row).digest()[:16] for row in rows),
        payload=codec.pack(content),
        digest=hashlib.sha256(content).digest(),
        count=len(events),
        content_bytes=len(content),
        time_min_ns=1,
        time_max_ns=2,
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A log of 30 spans in three segments, then a log record and an abandoned attempt."""
    door = GroupDoor(tmp_path)
    for first in (1, 11, 21):
        door.append(make_batch([make_span(number) for number in range(first, first + 10)]))
    trace_id = bytes(15) + b"\x07"
    record = LogRecord(1, 2, 9, "INFO", "hi", {}, 0, 0, trace_id, bytes(8), "note")
    lost = AttemptAbandoned("a1", "task-9", "r1", trace_id, bytes(8), 5, 4, bytes(16))
    door.append(make_batch([record, lost], tenant="acme"))
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
    assert line["context"]["resource_attributes"] == {"service.name": "demo"}


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
    door.append(make_batch([make_span(40)]))
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
        door.append(make_batch([make_span(number)]))
        door.close()
        seen.append(json.loads(tail.stdout.readline())["position"])
    tail.send_signal(2)
    assert tail.wait(20) == 0
    assert seen == ["31", "32", "33", "34"]


def test_a_reader_that_leaves_is_no_error(data: Path) -> None:
    """A pipe closed early ends `log read` without a word on standard error."""
    door = GroupDoor(data)
    door.append(make_batch([make_span(number) for number in range(100, 2100)]))
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
