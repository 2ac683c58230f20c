"""The second process, as the rebuild sees it."""

import contextlib
import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Final

from projections.engine.port import Fold, Staged
from projections.engine.side import messages
from projections.engine.side.messages import Finish, Flush, Forget, Message, Part, Reached
from projections.engine.view_file import transaction
from projections.runs.changes import Changes
from projections.runs.scopes import Sources
from projections.storage import generation

_PIPE_BYTES: Final = 1 << 20  # as much as anybody may ask for
_CLOSE_S: Final = 30.0  # it has a few dozen parts to go through at most


class SideFailed(OSError):
    """The second process ended; the rebuild can be done without one."""


class Side:
    """A running process that writes the stores which stand alone, into the file at `path`.

    What was committed there goes on if the file exists. Use `of`.

    Raises:
        SideFailed: it could not be started.
    """

    def __init__(self, path: Path, folds: Sequence[Staged]) -> None:
        self._path = path
        command = [sys.executable, "-P", "-m", "projections.engine.side", str(path)]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0)
        except OSError as exc:
            raise SideFailed(f"the second process could not be started: {exc}") from exc
        assert self._process.stdin is not None
        _widen(self._process.stdin)
        for fold in folds:
            fold.put_aside(self.send)

    @classmethod
    def of(cls, path: Path, folds: Sequence[Fold]) -> "Side | None":
        """One for what it can write of these folds; None if that is nothing."""
        divisible = [fold for fold in folds if isinstance(fold, Staged)]
        return cls(path, divisible) if divisible else None

    def send(self, message: Message) -> None:
        """Tell it; waits while it is behind.

        Raises:
            SideFailed: it has ended.
        """
        assert self._process.stdin is not None
        try:
            messages.write(self._process.stdin, message)
        except (OSError, ValueError) as exc:  # the pipe is broken, or was closed over that before
            raise self._failure() from exc

    def commit(self, partition: int, position: int) -> None:
        """Let it commit: the rebuild has committed everything up to `position`."""
        self.send(Reached(partition, position))

    def finish(self) -> None:
        """Let it end; the rebuild makes its own indexes meanwhile."""
        self.send(Finish())

    def join(self) -> None:
        """Wait until it has ended.

        Raises:
            SideFailed: it has not written everything.
        """
        if self._process.wait() != messages.WRITTEN:
            raise self._failure()

    def close(self) -> bool:
        """End it with what it has committed; may be called twice. Is its file whole?

        One that does not end in time, as somebody stopped it or its disk hangs, is killed.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            code = self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return code in (messages.WRITTEN, messages.LEFT)

    def _failure(self) -> SideFailed:
        self.close()
        return SideFailed(f"the second process ended with exit code {self._process.returncode}")


def _widen(pipe: IO[bytes]) -> None:
    """Let a part fit into the pipe, where Linux allows it: a full one stops both ends in turn."""
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


class Sender:
    """Stands in a fold for all groups that the second process writes."""

    name = "side"

    def __init__(self, send: Callable[[Message], None], sources: Sources) -> None:
        self._send = send
        self._sources = sources
        self._told: set[int] = set()

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """See `Group.update`."""
        every = list(changes)
        met = {
            attempt.source_no
            for change in every
            for attempts in (change.gone, change.came)
            for attempt in attempts
        }
        parts = {number: self._sources.source_parts(number) for number in met - self._told}
        self._told |= met
        self._send(Part(every, parts))

    def flush(self, connection: sqlite3.Connection) -> None:
        """See `Group.flush`."""
        self._send(Flush())

    def forget(self) -> None:
        """See `Group.forget`."""
        self._told.clear()
        self._send(Forget())


def reached(path: Path) -> dict[int, int]:
    """How far the file of a second process has come, by partition; empty if there is none."""
    if not path.exists():
        return {}
    try:
        with closing(generation.connect_reader(path)) as connection:
            return dict(connection.execute("SELECT partition, position FROM reached").fetchall())
    except sqlite3.DatabaseError:
        return {}


def absorb(path: Path, own: Path) -> None:
    """Copy into the second process's file what only the rebuild's own file has, the smaller half.

    Into tables that are empty and have the same indexes SQLite copies B-trees as they are.

    Raises:
        SideFailed: the disk is full, or a file is damaged.
    """
    try:
        _absorb(path, own)
    except sqlite3.Error as exc:
        raise SideFailed(f"the two files could not be made one: {exc}") from exc


def _absorb(path: Path, own: Path) -> None:
    with closing(generation.connect_building(path)) as connection:
        connection.execute("ATTACH ? AS own", (str(own),))
        with transaction(connection):
            connection.execute("DROP TABLE reached")
            there = {name for (name,) in connection.execute("SELECT name FROM main.sqlite_master")}
            objects = connection.execute(
                "SELECT type, name, sql FROM own.sqlite_master WHERE sql IS NOT NULL"
                " ORDER BY type = 'view', type = 'index'"
            ).fetchall()
            missing = [found for found in objects if found[1] not in there]
            for _, _, statement in missing:
                connection.execute(statement)
            for kind, name, _ in missing:
                if kind == "table":
                    connection.execute(f'INSERT INTO main."{name}" SELECT * FROM own."{name}"')


def has_two_cores() -> bool:
    """May this process use two cores?"""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) > 1
    return (os.cpu_count() or 1) > 1
