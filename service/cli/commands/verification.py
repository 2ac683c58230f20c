"""`spanledger log verify`: the chain, the recorded head, and what the views remember of the log."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import typer

from events.errors import BadInput, LogDamaged, ViewsDamaged
from events.log import chain
from events.log.reader import SqliteReader, open_reader
from service.cli.output import exits
from service.cli.output.bars import progress_bar
from service.cli.output.documents import write_json

Anchor = tuple[int, bytes]
_ANCHOR = re.compile(r"(\d{1,19}):([0-9a-fA-F]{64})")
_MEMORIES: Final = (
    ("views.db", "SELECT projection, log_id, position, hash FROM checkpoint WHERE partition = 0"),
    ("forward.db", "SELECT target, log_id, position, hash FROM cursor WHERE partition = 0"),
)


def parse_anchor(text: str) -> Anchor:
    """The position and hash of `POSITION:HASH`, as `log head` prints it."""
    match = _ANCHOR.fullmatch(text.strip())
    if match is None:
        raise BadInput(f"{text!r} is no anchor: write POSITION:HASH as `log head` prints it")
    return int(match[1]), bytes.fromhex(match[2])


def run(data: Path, anchor: Anchor | None, start: Anchor | None, *, as_json: bool) -> None:
    """Verify the log of `data` and report; damage is told and raised.

    Raises:
        LogDamaged: where and how the log differs from what was appended.
        ViewsDamaged: the views were folded from another log.
    """
    try:
        with closing(open_reader(data)) as reader:
            end = _walk(reader, start)
            reader.check_head()
            if anchor is not None:
                check_anchor(reader, anchor)
            compared = check_memories(reader, data)
    except (LogDamaged, ViewsDamaged) as exc:
        if not as_json:
            raise
        position = getattr(exc, "position", None)
        write_json(
            {
                "ok": False,
                "position": None if position is None else str(position),
                "reason": str(exc),
            }
        )
        raise typer.Exit(exits.DAMAGED) from exc
    _report(end, start, compared, as_json=as_json)


def check_anchor(reader: SqliteReader, anchor: Anchor) -> None:
    """Raise LogDamaged unless the log has this hash at this position."""
    position, expected = anchor
    found = reader.hash_at(0, position)
    if found is None:
        raise LogDamaged(
            f"the log ends at position {reader.head().position}, before the anchor's position "
            f"{position}: it was shortened or put back from an older copy",
            position=reader.head().position,
        )
    if found != expected:
        raise LogDamaged(
            f"at position {position} the log's hash is {found.hex()}, the anchor's "
            f"{expected.hex()}: this is another log, or its history was changed",
            position=position,
        )


def check_memories(reader: SqliteReader, data: Path) -> int:
    """Compare what views and targets remember of the log with the log; returns how many do."""
    compared = 0
    for file, query in _MEMORIES:
        for who, log_id, position, digest in _remembered(data / file, query):
            compared += 1
            if log_id != reader.log_id:
                raise ViewsDamaged(f"{file}: {who} followed another log, {log_id}")
            if reader.hash_at(0, position) != digest:
                raise ViewsDamaged(
                    f"{file}: {who} has seen position {position} with a hash that the log does "
                    "not have there: the log was cut, or put back from an older copy"
                )
    return compared


def _remembered(path: Path, query: str) -> list[tuple[str, str, int, bytes]]:
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as found:
            return found.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []  # it is just being made
    except sqlite3.DatabaseError as exc:
        raise ViewsDamaged(f"{path} is damaged: {exc}") from exc


def _walk(reader: SqliteReader, start: Anchor | None) -> chain.Verified:
    after, anchor_hash = start if start else (0, None)
    total = reader.head().position - after
    reached = None
    with progress_bar() as progress:
        task = progress.add_task("verifying", total=max(total, 0))
        for reached in chain.verify(reader, after=after, anchor_hash=anchor_hash):
            done = reached.position - after
            progress.update(task, completed=done, total=max(total, done))
    assert reached is not None  # the walk yields at least its start
    return reached


def _report(end: chain.Verified, start: Anchor | None, compared: int, *, as_json: bool) -> None:
    first = (start[0] if start else 0) + 1
    if as_json:
        document: dict[str, Any] = {
            "ok": True,
            "from": str(first),
            "position": str(end.position),
            "hash": end.hash.hex(),
            "segments": end.segments,
            "content_bytes": end.content_bytes,
            "checkpoints": compared,
        }
        write_json(document)
        return
    typer.echo(
        f"ok: {end.position - first + 1:,} events in {end.segments:,} segments are as appended"
        f"\nhead {end.position}:{end.hash.hex()}"
    )
