"""Small numbers for the texts that repeat: tenants, executors, sources, errors.

Numbers are given in order of first appearance in the log, those of messages by their place in it.
What was met lately is kept in memory, bounded; `forget` drops it after a rollback.
"""

import hashlib
import sqlite3
from typing import Final

import msgspec

from events.bounded import BoundedDict, text_bytes
from projections.errors.fingerprints.former import former_fingerprint
from projections.errors.fingerprints.v2 import deciding_frames
from projections.errors.fingerprints.versions import CURRENT, VERSIONS
from projections.errors.signature import SIGNATURE_BYTES, Signature, encode_signature
from projections.runs import words

KEPT_BYTES: Final = 16 << 20
"""Of each kind of text; the numbers of all of them are in the tables."""

Where = tuple[
    str | None, str | None, str | None, str | None, str | None, str | None, str | None, str | None,
    str, str,
]  # fmt: skip
"""Executor, queue, tool, model, planner, host, component, environment, system, rule."""

Said = tuple[str | None, str, str]
"""Type, message and stack trace of an error."""

Parts = tuple[int | None, str | None]
"""The executor's number and the component of a source."""

_POSITION_BITS: Final = 40  # a million million events
_PLACE_BITS: Final = 14  # among the messages of one event

_encode = msgspec.msgpack.Encoder().encode


class Registry:
    """Gives numbers within the caller's transaction."""

    connection: sqlite3.Connection

    def __init__(self) -> None:
        self._tenants: BoundedDict[str, int] = BoundedDict(KEPT_BYTES)
        self._tenant_names: BoundedDict[int, str] = BoundedDict(KEPT_BYTES)
        self._executors: BoundedDict[tuple[int, str], int] = BoundedDict(KEPT_BYTES)
        self._sources: BoundedDict[tuple[int, Where], int] = BoundedDict(KEPT_BYTES)
        self._source_parts: BoundedDict[int, tuple[int | None, str | None]] = BoundedDict(
            KEPT_BYTES
        )
        self._errors: BoundedDict[tuple[int, Signature], int] = BoundedDict(KEPT_BYTES)
        self._messages: dict[int, str] = {}  # not written yet

    def forget(self) -> None:
        """Drop what is kept in memory."""
        for kept in (
            self._tenants,
            self._tenant_names,
            self._executors,
            self._sources,
            self._source_parts,
            self._errors,
        ):
            kept.clear()
        self._messages.clear()

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what was kept until the page's end."""
        messages, self._messages = self._messages, {}
        connection.executemany(
            "INSERT INTO message (message_no, text) VALUES (?, ?) ON CONFLICT DO NOTHING",
            messages.items(),
        )

    def tenant_no(self, name: str) -> int:
        """The number of a tenant."""
        number = self._tenants.get(name)
        if number is None:
            number = self._number(
                "SELECT tenant_no FROM tenant WHERE name = ?",
                "INSERT INTO tenant (name) VALUES (?)",
                (name,),
            )
            self._tenants.keep(name, number, text_bytes(name))
        return number

    def tenant_name(self, tenant_no: int) -> str:
        """The name of a tenant that has a number."""
        name = self._tenant_names.get(tenant_no)
        if name is None:
            name = self.connection.execute(
                "SELECT name FROM tenant WHERE tenant_no = ?", (tenant_no,)
            ).fetchone()[0]
            self._tenant_names.keep(tenant_no, name, text_bytes(name))
        return name

    def source_no(self, tenant_no: int, where: Where) -> int:
        """The number of a combination of executor, queue, tool and so on."""
        number = self._sources.get((tenant_no, where))
        if number is None:
            digest = hashlib.blake2b(_encode((tenant_no, where)), digest_size=8).digest()
            hash_ = int.from_bytes(digest, "little") >> 1
            executor_no = None if where[0] is None else self._executor_no(tenant_no, where[0])
            number = self._number(
                "SELECT source_no FROM source WHERE hash = ?",
                "INSERT INTO source (hash, tenant_no, executor_no, queue, tool, model, planner,"
                " host, component, environment, system, rule)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (hash_,),
                (tenant_no, executor_no, *where[1:]),
            )
            self._sources.keep((tenant_no, where), number, text_bytes(*where))
        return number

    def source_parts(self, source_no: int) -> tuple[int | None, str | None]:
        """The executor's number and the component of a source."""
        parts = self._source_parts.get(source_no)
        if parts is None:
            parts = self.connection.execute(
                "SELECT executor_no, component FROM source WHERE source_no = ?", (source_no,)
            ).fetchone()
            self._source_parts.keep(source_no, parts, text_bytes(parts[1]))
        return parts

    def error_no(self, tenant_no: int, signature: Signature, said: Said) -> int:
        """The number of a signature, of which that of its pattern is the upper part.

        `said` is what it was made of; of a new one the former fingerprint is kept, too.

        A pattern has 65,535 signatures at most; the last stands for all that come after it.
        """
        number = self._errors.get((tenant_no, signature))
        if number is None:
            content = encode_signature(signature)
            digest = hashlib.blake2b(_encode((tenant_no, content)), digest_size=8).digest()
            hash_ = int.from_bytes(digest, "little") >> 1
            row = self.connection.execute(
                "SELECT error_no FROM signature WHERE hash = ?", (hash_,)
            ).fetchone()
            if row is None:
                number = self._new_error(tenant_no, signature, hash_, content)
                self._former(tenant_no, number >> words.SIGNATURE_BITS, said)
            else:
                number = int(row[0])
            self._errors.keep((tenant_no, signature), number, SIGNATURE_BYTES)
        return number

    def _new_error(self, tenant_no: int, signature: Signature, hash_: int, content: bytes) -> int:
        low = self._fingerprint_no(tenant_no, signature, content) << words.SIGNATURE_BITS
        last = low | words.SIGNATURE_LIMIT
        newest: int | None = self.connection.execute(
            "SELECT max(error_no) FROM signature WHERE error_no BETWEEN ? AND ?", (low, last)
        ).fetchone()[0]
        if newest == last:
            return last
        number = low + 1 if newest is None else newest + 1
        self.connection.execute(
            "INSERT INTO signature (error_no, hash, content) VALUES (?, ?, ?)",
            (number, hash_, content),
        )
        return number

    def _former(self, tenant_no: int, fingerprint_no: int, said: Said) -> None:
        """Let the fingerprint of older releases lead to the pattern, the first that had it."""
        self.connection.execute(
            "INSERT OR IGNORE INTO former_fingerprint (tenant_no, fingerprint, fingerprint_no)"
            " VALUES (?, ?, ?)",
            (tenant_no, former_fingerprint(*said), fingerprint_no),
        )

    def _fingerprint_no(self, tenant_no: int, signature: Signature, content: bytes) -> int:
        """The number of a signature's pattern, whose row shows the least of its signatures."""
        found = VERSIONS[CURRENT](signature)
        thrown = signature.thrown
        shown = thrown.type or None, thrown.template, deciding_frames(signature), content
        number = self._number(
            "SELECT fingerprint_no FROM fingerprint WHERE tenant_no = ? AND fingerprint = ?",
            "INSERT INTO fingerprint (tenant_no, fingerprint, stack_hash, error_type,"
            " normal_message, sample_stack, signature) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (tenant_no, found.digest),
            (found.stack_hash, *shown),
        )
        self.connection.execute(
            "UPDATE fingerprint SET error_type = ?, normal_message = ?, sample_stack = ?,"
            " signature = ? WHERE fingerprint_no = ? AND signature > ?",
            (*shown, number, content),
        )
        return number

    def message_no(self, partition: int, position: int, text: str) -> int:
        """The number of an event's error message: it tells where the event stands.

        So each message is stored once, however many tables show it, and nothing is looked up; a
        fact that is made again gives the same number.
        """
        number = partition << _POSITION_BITS | position
        self._messages[number] = text
        return number

    def message_no_among(self, partition: int, position: int, text: str) -> int:
        """The same of an event of which several messages may be told, or first one, then another.

        All but the first have numbers below zero, which are looked up.
        """
        number = origin = partition << _POSITION_BITS | position
        place = 0
        while (held := self._message(number)) is not None and held != text:
            place += 1
            number = -(origin << _PLACE_BITS | place)
        self._messages[number] = text
        return number

    def _message(self, number: int) -> str | None:
        text = self._messages.get(number)
        if text is None:
            row = self.connection.execute(
                "SELECT text FROM message WHERE message_no = ?", (number,)
            ).fetchone()
            text = None if row is None else row[0]
        return text

    def _executor_no(self, tenant_no: int, executor: str) -> int:
        number = self._executors.get((tenant_no, executor))
        if number is None:
            number = self._number(
                "SELECT executor_no FROM executor WHERE tenant_no = ? AND executor = ?",
                "INSERT INTO executor (tenant_no, executor) VALUES (?, ?)",
                (tenant_no, executor),
            )
            self._executors.keep((tenant_no, executor), number, text_bytes(executor))
        return number

    def _number(
        self, select: str, insert: str, key: tuple[object, ...], rest: tuple[object, ...] = ()
    ) -> int:
        # Most that are not in memory are new: to insert first saves their search.
        added = self.connection.execute(f"{insert} ON CONFLICT DO NOTHING", key + rest)
        if added.rowcount:
            assert added.lastrowid is not None
            return added.lastrowid
        return int(self.connection.execute(select, key).fetchone()[0])
