"""Everything that can happen to the log's files, and how it is noticed.

Nothing is skipped silently: a torn, altered, shortened, restored or exchanged log is refused by
the writer at start, by readers that meet it, and by `verify`.
"""

import shutil
import sqlite3
from pathlib import Path

import pytest

from events.errors import LogDamaged
from events.log.chain import verify
from events.log.door import GroupDoor
from events.log.reader import open_reader
from tests.events import make_batch, make_span


def _append(data: Path, segments: int, spans: int = 5) -> None:
    door = GroupDoor(data)
    for _ in range(segments):
        door.append(make_batch([make_span() for _ in range(spans)]))
    door.close()


def _tamper(data: Path, sql: str) -> None:
    """Change the file as someone would who knows SQLite: triggers dropped first."""
    connection = sqlite3.connect(data / "ledger.db")
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for (name,) in triggers.fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute(sql)
    connection.commit()
    connection.close()


def _verify(data: Path) -> None:
    reader = open_reader(data)
    try:
        reader.check_head()
        list(verify(reader))
    finally:
        reader.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE segment SET count = 4 WHERE first = 1",
        "DELETE FROM segment WHERE first = 6",
        "INSERT OR REPLACE INTO segment SELECT * FROM segment WHERE first = 6",
        "INSERT INTO segment SELECT first + 100, count, committed_ns, time_min_ns, time_max_ns, "
        "codec, previous_hash, hash, digest, ids, payload FROM segment WHERE first = 6",
        "UPDATE meta SET value = x'00'",
        "DELETE FROM meta",
        "INSERT OR REPLACE INTO meta VALUES ('log_id', x'00')",
    ],
)
def test_sql_cannot_change_what_is_written(tmp_path: Path, sql: str) -> None:
    """Triggers refuse UPDATE, DELETE, REPLACE and segments out of order."""
    _append(tmp_path, 3)
    connection = sqlite3.connect(tmp_path / "ledger.db")
    with pytest.raises(sqlite3.IntegrityError, match=r"append-only|identity"):
        connection.execute(sql)
    connection.close()
    _verify(tmp_path)


@pytest.mark.parametrize(
    ("sql", "position"),
    [
        ("UPDATE segment SET payload = substr(payload, 1, length(payload) - 1) WHERE first=11", 11),
        ("UPDATE segment SET payload = zeroblob(length(payload)) WHERE first = 11", 11),
        ("UPDATE segment SET payload = (SELECT payload FROM segment WHERE first = 6), codec = 1 "
         "WHERE first = 11", 11),
        ("UPDATE segment SET committed_ns = committed_ns + 1 WHERE first = 11", 11),
        ("UPDATE segment SET digest = zeroblob(32) WHERE first = 11", 11),
        ("UPDATE segment SET ids = zeroblob(80) WHERE first = 11", 11),
        ("UPDATE segment SET count = 4, ids = zeroblob(64) WHERE first = 11", 11),
        ("DELETE FROM segment WHERE first = 11", 11),
        ("DELETE FROM segment WHERE first = 1", 1),
        ("UPDATE segment SET hash = zeroblob(32) WHERE first = 11", 11),
        ("UPDATE segment SET previous_hash = zeroblob(32) WHERE first = 11", 11),
    ],
)  # fmt: skip
def test_verify_says_where_the_chain_breaks(tmp_path: Path, sql: str, position: int) -> None:
    """Whatever column of a segment is altered, `verify` names that segment's position."""
    _append(tmp_path, 5)
    _tamper(tmp_path, sql)
    reader = open_reader(tmp_path)
    with pytest.raises(LogDamaged) as caught:
        list(verify(reader))
    reader.close()
    assert caught.value.position == position
    with pytest.raises(LogDamaged):
        GroupDoor(tmp_path)


def test_a_log_cut_at_its_end_is_refused(tmp_path: Path) -> None:
    """With its last segments gone the chain still holds, but the recorded head does not."""
    _append(tmp_path, 5)
    _tamper(tmp_path, "DELETE FROM segment WHERE first > 10")
    with pytest.raises(LogDamaged, match="end was cut"):
        _verify(tmp_path)
    with pytest.raises(LogDamaged, match="end was cut"):
        GroupDoor(tmp_path)


def test_an_older_copy_put_back_is_refused(tmp_path: Path) -> None:
    """A restored older file would give positions away twice; it is recognised by the head."""
    data, copy = tmp_path / "data", tmp_path / "copy.db"
    _append(data, 3)
    shutil.copy(data / "ledger.db", copy)
    _append(data, 3)
    shutil.copy(copy, data / "ledger.db")
    with pytest.raises(LogDamaged, match="older copy"):
        GroupDoor(data)
    with pytest.raises(LogDamaged, match="older copy"):
        _verify(data)


def test_another_log_in_its_place_is_refused(tmp_path: Path) -> None:
    """A log with the right length and a valid chain of its own is still not this log."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    _append(ours, 3)
    _append(theirs, 3)
    shutil.copy(theirs / "ledger.db", ours / "ledger.db")
    with pytest.raises(LogDamaged, match="exchanged"):
        GroupDoor(ours)
    with pytest.raises(LogDamaged, match="exchanged"):
        _verify(ours)


def test_altered_bytes_in_the_wal_are_noticed(tmp_path: Path) -> None:
    """SQLite drops the rest of a WAL after 8 altered bytes and calls it ok; we do not."""
    live, cut = tmp_path / "live", tmp_path / "cut"
    door = GroupDoor(live)
    for _ in range(40):
        door.append(make_batch([make_span() for _ in range(5)]))
    shutil.copytree(live, cut)  # as after a power cut: the WAL was never copied into the file
    door.close()
    wal = cut / "ledger.db-wal"
    content = bytearray(wal.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(8 * [0xAA])
    wal.write_bytes(content)
    (cut / "ledger.db-shm").unlink()
    with pytest.raises(LogDamaged):
        GroupDoor(cut)
    with pytest.raises(LogDamaged):
        _verify(cut)


def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    """Garbage in the log's place is an error that names the file."""
    (tmp_path / "ledger.db").write_bytes(b"not a database, surely" * 100)
    with pytest.raises(LogDamaged, match=r"ledger\.db"):
        GroupDoor(tmp_path)
    with pytest.raises(LogDamaged, match=r"ledger\.db"):
        open_reader(tmp_path)


def test_a_torn_head_record_leaves_the_one_before(tmp_path: Path) -> None:
    """Either slot of the head file may be garbage; the other still speaks."""
    _append(tmp_path, 4)
    head = tmp_path / "ledger.head"
    content = head.read_bytes()
    for slot in (0, 128):
        torn = bytearray(content.ljust(256, b"\0"))
        torn[slot + 10] ^= 0xFF
        head.write_bytes(torn)
        _verify(tmp_path)
    _tamper(tmp_path, "DELETE FROM segment WHERE first > 5")
    with pytest.raises(LogDamaged):
        _verify(tmp_path)
