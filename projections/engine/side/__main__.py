"""`python -m projections.engine.side FILE`: write stores that stand alone, told by standard input.

It ends when standard input does. What was not committed by then is gone, which is as it should be.
Its exit code is one of `messages`; any other says that the file may be torn.
"""

import os
import queue
import signal
import sqlite3
import sys
import threading
import traceback
from contextlib import closing
from pathlib import Path
from typing import IO, Final

from projections.engine.side import messages
from projections.engine.side.messages import Finish, Flush, Forget, Message, Part, Reached
from projections.engine.tuning import tune_collector
from projections.fold import stores_alone
from projections.runs.changes import Changes
from projections.storage import generation
from projections.views.store import Store

_AHEAD: Final = 32  # messages; a part has about half a megabyte
_NICE: Final = 5  # what receives and answers goes first

Parts = tuple[int | None, str | None]


class Told:
    """The sources that were told of."""

    def __init__(self) -> None:
        self._parts: dict[int, Parts] = {}

    def add(self, parts: dict[int, Parts]) -> None:
        self._parts.update(parts)

    def source_parts(self, source_no: int) -> Parts:
        return self._parts[source_no]


class Writer:
    """The stores, and the transaction that goes from one `Reached` to the next."""

    def __init__(self, path: Path) -> None:
        self._sources = Told()
        self._stores: list[Store] = stores_alone(self._sources)
        self._connection = generation.connect_building(path)
        self._connection.execute("BEGIN IMMEDIATE")
        self._create()
        self._open = False

    def _create(self) -> None:
        """Make the tables, unless an earlier process has."""
        if self._connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            return
        for store in self._stores:
            store.create(self._connection)
            store.index(self._connection)  # not last: it has time, and the rebuild waits in the end
        self._connection.execute(
            "CREATE TABLE reached (partition INTEGER PRIMARY KEY, position INTEGER NOT NULL)"
        )

    def take(self, message: Message) -> None:
        """Do what a message says."""
        connection = self._connection
        match message:
            case Part(changes, sources):
                if not self._open:
                    connection.execute("SAVEPOINT parts")
                    self._open = True
                self._sources.add(sources)
                gathered = Changes(changes)
                for store in self._stores:
                    store.update(connection, gathered)
            case Flush():
                for store in self._stores:
                    store.flush(connection)
                self._end_parts("RELEASE parts")
            case Forget():
                for store in self._stores:
                    store.forget()
                self._end_parts("ROLLBACK TO parts", "RELEASE parts")
            case Reached(partition, position):
                connection.execute(
                    "INSERT OR REPLACE INTO reached VALUES (?, ?)", (partition, position)
                )
                connection.execute("COMMIT")
                connection.execute("BEGIN IMMEDIATE")
            case Finish():
                connection.execute("COMMIT")

    def _end_parts(self, *statements: str) -> None:
        if self._open:
            for statement in statements:
                self._connection.execute(statement)
        self._open = False

    def close(self) -> None:
        """Close the file, without what was not committed."""
        self._connection.close()


def main() -> int:
    """Follow standard input to its end; the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the rebuild decides, and it hears them too
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICE)
    waiting: queue.Queue[Message | Exception | None] = queue.Queue(_AHEAD)
    with closing(Writer(Path(sys.argv[1]))) as writer:
        tune_collector()
        threading.Thread(target=_listen, args=(sys.stdin.buffer, waiting), daemon=True).start()
        while (message := waiting.get()) is not None:
            if isinstance(message, Exception):
                raise message
            writer.take(message)
            if isinstance(message, Finish):
                return messages.WRITTEN
    return messages.LEFT


def _listen(file: IO[bytes], waiting: "queue.Queue[Message | Exception | None]") -> None:
    """Read ahead of the work, to the end; what goes wrong here is raised there."""
    try:
        while (message := messages.read(file)) is not None:
            waiting.put(message)
        waiting.put(None)
    except Exception as exc:
        waiting.put(exc)


if __name__ == "__main__":
    code = messages.FAILED
    try:
        code = main()
    except sqlite3.Error as exc:
        print(f"second process of a rebuild: {exc}", file=sys.stderr)
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # at once: the listening thread may be reading still
