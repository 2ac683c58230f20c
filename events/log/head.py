"""`ledger.head`: what the log's end was after the last commit, in a file of its own.

SQLite alone hides a damaged WAL tail: it takes the longest valid prefix for the whole. The
writer records (log id, position, hash) here after each commit; a log that ends before that, or
has another hash there, was damaged, shortened or exchanged. Two slots are written in turn and
carry a checksum, so a torn write leaves the other one. The file is not synced: after a power
cut it may be older than the log, never newer.
"""

import hashlib
import os
import struct
import uuid
from pathlib import Path
from typing import Final, NamedTuple

FILE: Final = "ledger.head"
_slot = struct.Struct(">8s16sQ32s")
_MAGIC: Final = b"SLHEAD1\0"
_CHECK_BYTES: Final = 16
_SLOT_BYTES: Final = 128


class RecordedHead(NamedTuple):
    """One recorded end of the log."""

    log_id: str
    position: int
    hash: bytes


class HeadFile:
    """The record of one log's head, kept open by the writer."""

    def __init__(self, data: Path) -> None:
        self._fd = os.open(data / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        slots = _slots(os.pread(self._fd, 2 * _SLOT_BYTES, 0).ljust(2 * _SLOT_BYTES, b"\0"))
        newest = [head.position if head else -1 for head in slots]
        self._slot = newest.index(min(newest))

    def write(self, log_id: str, position: int, digest: bytes) -> None:
        """Record the head, over the older of the two slots."""
        record = _slot.pack(_MAGIC, uuid.UUID(log_id).bytes, position, digest)
        check = hashlib.sha256(record).digest()[:_CHECK_BYTES]
        os.pwrite(self._fd, record + check, self._slot * _SLOT_BYTES)
        self._slot ^= 1

    def close(self) -> None:
        os.close(self._fd)


def read_head(data: Path) -> RecordedHead | None:
    """The newest head on record; None if there is none that is whole."""
    try:
        content = (data / FILE).read_bytes()
    except FileNotFoundError:
        return None
    return max((head for head in _slots(content) if head), key=lambda h: h.position, default=None)


def _slots(content: bytes) -> list[RecordedHead | None]:
    return [_parse(content[at : at + _SLOT_BYTES]) for at in (0, _SLOT_BYTES)]


def _parse(slot: bytes) -> RecordedHead | None:
    record = slot[: _slot.size]
    check = slot[_slot.size : _slot.size + _CHECK_BYTES]
    if len(record) < _slot.size or hashlib.sha256(record).digest()[:_CHECK_BYTES] != check:
        return None
    _, log_id, position, digest = _slot.unpack(record)
    return RecordedHead(str(uuid.UUID(bytes=log_id)), position, digest)
