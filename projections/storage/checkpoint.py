"""Checkpoints: how far each projection of a views file has come in each partition.

A checkpoint moves in the transaction that writes the page's rows, by compare-and-set on
(position, epoch): a page is applied exactly once, and a process whose claim was taken over
commits nothing. It also names the log, and the hash of the segment it has come to, so that a log
that was shortened, altered or exchanged is noticed before anything is read from it.
"""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from events.errors import LogDamaged, Unavailable, ViewsDamaged
from events.log.port import LogReader, Page
from events.log.sqlite import load_queries

_sql = load_queries("projections.storage", "checkpoint.sql")


class LostRace(Unavailable):
    """Another process moved the checkpoint; nothing of the page was kept."""


class Checkpoint(NamedTuple):
    """One projection's place in one partition."""

    projection: str
    partition: int
    version: int
    position: int
    hash: bytes
    committed_ns: int
    log_id: str
    epoch: int
    updated_ns: int


def load(connection: sqlite3.Connection) -> list[Checkpoint]:
    """Every checkpoint of a views file."""
    return [Checkpoint(*row) for row in connection.execute(_sql["load"])]


def stage_position(connection: sqlite3.Connection, name: str, partition: int) -> int:
    """How far a stage has come whose file is attached as `stage`; 0 if it is not there."""
    values = {"projection": name, "partition": partition}
    row = connection.execute(_sql["stage"], values).fetchone()
    return 0 if row is None else int(row[0])


def insert(connection: sqlite3.Connection, checkpoints: Iterable[Checkpoint]) -> None:
    """Store new checkpoints."""
    connection.executemany(_sql["insert"], [c._asdict() for c in checkpoints])


def claim(connection: sqlite3.Connection) -> None:
    """Take the file over: whoever fed it before commits nothing from now on."""
    connection.execute(_sql["claim"])


class Step(NamedTuple):
    """From one place of a partition to another; `hash` is of the segment that holds `through`."""

    partition: int
    after: int
    through: int
    hash: bytes
    committed_ns: int

    @classmethod
    def of(cls, page: Page) -> "Step":
        """The step over a page that has segments."""
        last = page.segments[-1]
        return cls(page.partition, page.after, page.through, last.hash, last.committed_ns)


def advance(
    connection: sqlite3.Connection, names: Iterable[str], step: Step, *, epoch: int, now_ns: int
) -> None:
    """Move the checkpoints of these projections from `step.after` to `step.through`.

    Raises:
        LostRace: one of them stands elsewhere, or was claimed by another process.
    """
    for name in names:
        values = step._asdict() | {"projection": name, "epoch": epoch, "updated_ns": now_ns}
        if connection.execute(_sql["advance"], values).rowcount != 1:
            raise LostRace(f"the checkpoint of {name} is not at position {step.after} any more")


def check(checkpoints: Iterable[Checkpoint], reader: LogReader) -> None:
    """Compare checkpoints with the log.

    Raises:
        ViewsDamaged: they were made from another log.
        LogDamaged: the log ends before a checkpoint, or its history is another.
    """
    for held in checkpoints:
        if held.log_id != reader.log_id:
            raise ViewsDamaged(
                f"{held.projection} was made from log {held.log_id}, this is log "
                f"{reader.log_id}: one of the files was exchanged; if the log is right, remove "
                "the views and they are made anew"
            )
        found = reader.hash_at(held.partition, held.position)
        if found is None:
            raise LogDamaged(
                f"the log ends at position {reader.head(held.partition).position}, but "
                f"{held.projection} has seen position {held.position}: its end was cut, or an "
                "older copy was put back",
                position=held.position,
            )
        if found != held.hash:
            raise LogDamaged(
                f"at position {held.position} the log is not what {held.projection} has seen: "
                "its history was changed",
                position=held.position,
            )
