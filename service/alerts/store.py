"""`alerts.db`: alerts as they are, what happened, and the outbox.

Only the process of the role opens it for writing. Each evaluation is one transaction: what
changed, what it is in the history, and what is to be delivered belong together, so that a kill
between them loses no notice. A row of the outbox goes when its receiver has taken it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiosqlite
import msgspec

from events.errors import Damaged
from events.log.sqlite import load_queries
from service.alerts.alert import Alert, Change
from service.alerts.notice import Outgoing
from service.alerts.rule import Percepts

FILE: Final = "alerts.db"
SCHEMA_VERSION: Final = 2
_STEPS: Final = ("schema", "schema_2")
"""What makes each version of the schema from the one before."""
SQL: Final = load_queries("service.alerts", "store.sql")
HISTORY_KEPT: Final = 20_000
PARKED_KEPT_NS: Final = 30 * 86400 * 1_000_000_000
_ERROR_CHARACTERS: Final = 500
_decode = msgspec.json.Decoder(Alert).decode
_log = logging.getLogger(__name__)


class Place(NamedTuple):
    """How far a subscription to percepts has followed the log."""

    tenant: str
    name: str
    position: int


class Due(NamedTuple):
    """A row of the outbox that is to be delivered next."""

    id: int
    key: str
    body: bytes
    created_ns: int
    tries: int


class Store:
    """The open file; see `open_store`. Its methods may be awaited by any task of the loop."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()  # one transaction at a time

    async def alerts(self) -> dict[str, Alert]:
        """All that are kept, by id.

        One that cannot be read, of another release, is forgotten: if it fires, it is told again.
        """
        found: dict[str, Alert] = {}
        for one, body in await self._read("alerts"):
            try:
                found[one] = _decode(body)
            except msgspec.MsgspecError as exc:
                extra = {"action": "alerts", "alert": one, "error": str(exc)}
                _log.error("an alert on record cannot be read, and is forgotten", extra=extra)
                async with self._transaction() as db:
                    await db.execute(SQL["drop_alert"], {"id": one})
        return found

    async def follow(
        self, receivers: Iterable[str], subscriptions: Iterable[Percepts], now_ns: int
    ) -> int:
        """Give up what waits for other receivers than these; how many notices that are.

        Those that it leaves with no notice at all are no more told of, and the places of other
        subscriptions than these are forgotten.
        """
        kept = [f"{one.tenant}/{one.name}" for one in subscriptions]
        values = {"receivers": msgspec.json.encode(list(receivers)).decode(), "now": now_ns}
        async with self._transaction() as db:
            count = (await db.execute(SQL["park_others"], values)).rowcount
            await db.execute(SQL["forget_others"], {"receivers": values["receivers"]})
            texts = msgspec.json.encode(kept).decode()
            await db.execute(SQL["forget_places"], {"subscriptions": texts})
        return count

    async def advance(
        self,
        alerts: Mapping[str, Alert | None],
        changes: Iterable[tuple[Change, Alert]],
        outgoing: Iterable[Outgoing],
        now_ns: int,
    ) -> None:
        """Put on record what an evaluation came to.

        Args:
            alerts: those that differ, by id; None: no more kept.
        """
        async with self._transaction() as db:
            for one, alert in alerts.items():
                if alert is None:
                    await db.execute(SQL["drop_alert"], {"id": one})
                else:
                    await db.execute(SQL["put_alert"], _columns(alert))
            for change, alert in changes:
                row = {"tenant": alert.tenant, "at_ns": now_ns, "change": change}
                await db.execute(SQL["put_history"], row | {"body": msgspec.json.encode(alert)})
            await _put_outgoing(db, outgoing, now_ns)

    async def place(self, tenant: str, name: str) -> Place | None:
        """How far a subscription has come; None if it begins."""
        rows = await self._read("place", tenant=tenant, name=name)
        return Place(*rows[0]) if rows else None

    async def fed(self, place: Place, outgoing: Iterable[Outgoing], now_ns: int) -> None:
        """Put on record what a subscription came by, and how far it is."""
        async with self._transaction() as db:
            await _put_outgoing(db, outgoing, now_ns)
            await db.execute(SQL["put_place"], place._asdict())

    async def prune(self, now_ns: int) -> None:
        """Forget what is old."""
        async with self._transaction() as db:
            await db.execute(SQL["prune_history"], {"kept": HISTORY_KEPT})
            await db.execute(SQL["prune_parked"], {"before": now_ns - PARKED_KEPT_NS})

    async def due(self, receiver: str) -> Due | None:
        """What a receiver is to be told next."""
        rows = await self._read("due", receiver=receiver)
        return Due(*rows[0]) if rows else None

    async def delivered(self, receiver: str, due: Due, now_ns: int) -> None:
        """A receiver took it."""
        async with self._transaction() as db:
            await db.execute(SQL["delivered"], {"id": due.id})
            await db.execute(SQL["note_sent"], {"receiver": receiver, "now": now_ns})

    async def failed(
        self, receiver: str, due: Due, error: str, now_ns: int, *, parked: bool
    ) -> None:
        """A receiver did not take it; with `parked` it is given up."""
        error = error[:_ERROR_CHARACTERS]
        async with self._transaction() as db:
            values = {"id": due.id, "error": error, "parked": now_ns if parked else None}
            await db.execute(SQL["tried"], values)
            await db.execute(
                SQL["note_failed"], {"receiver": receiver, "error": error, "now": now_ns}
            )

    async def retry(self, receiver: str, now_ns: int) -> int:
        """Let what was given up be tried again; how many that are."""
        async with self._transaction() as db:
            values = {"receiver": receiver, "now": now_ns}
            cursor = await db.execute(SQL["retry"], values)
            return cursor.rowcount

    async def waiting(self) -> dict[str, tuple[int, int]]:
        """How many wait and how many were given up, by receiver."""
        rows = await self._read("waiting")
        return {row[0]: (row[1], row[2]) for row in rows}

    async def _read(self, statement: str, /, **values: Any) -> list[Any]:
        """The rows of a statement, as they are committed: one connection sees its own changes."""
        async with self._lock:
            return list(await self._connection.execute_fetchall(SQL[statement], values))

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        async with self._lock:
            try:
                await self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
            except BaseException:
                await self._connection.rollback()
                raise
            await self._connection.commit()


@asynccontextmanager
async def open_store(data: Path) -> AsyncIterator[Store]:
    """The file of a data folder, made if it is not there; closed at the end of the block.

    An aiosqlite connection has a thread of its own, which would outlive the loop if it were left
    open: this is the only place that opens one.

    Raises:
        Damaged: it is of a newer release.
    """
    async with aiosqlite.connect(data / FILE, isolation_level=None) as connection:
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            await connection.execute(f"PRAGMA {pragma}")
        (row,) = await connection.execute_fetchall("PRAGMA user_version")
        if row[0] > SCHEMA_VERSION:
            raise Damaged(f"{FILE} has schema {row[0]}; this release knows {SCHEMA_VERSION}")
        if steps := _STEPS[row[0] :]:
            made = "\n".join(SQL[step] for step in steps)
            await connection.executescript(
                f"BEGIN IMMEDIATE;\n{made}\nPRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
            )
        yield Store(connection)


async def _put_outgoing(
    db: aiosqlite.Connection, outgoing: Iterable[Outgoing], now_ns: int
) -> None:
    for one in outgoing:
        await db.execute(SQL["put_outgoing"], msgspec.structs.asdict(one) | {"now": now_ns})


def _columns(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id, "tenant": alert.tenant, "rule": alert.rule, "state": alert.state,
        "since_ns": alert.since_ns, "resolved_ns": alert.resolved_ns,
        "body": msgspec.json.encode(alert),
    }  # fmt: skip
