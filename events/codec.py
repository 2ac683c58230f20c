"""Events to bytes and back.

A *row* is one event's msgpack bytes; the *content* of a segment is a msgpack array of blocks
(`schema.Block`); its *payload* is the content after the segment's codec. The hash chain covers
the content, so a codec is admissible only if `unpack` gives the exact content back.
"""

import threading
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import zstandard

from events.errors import LogDamaged
from events.schema import TAGS, Block, Context, Event, Fact, LogRecord, RawBlock, Unknown

CODEC_PLAIN: Final = 0
CODEC_ZSTD: Final = 1

CONTENT_LIMIT_BYTES: Final = 1 << 30
"""Upper bound of one segment's content; a larger one can only be damage."""

EncodedBlock = tuple[str, int, bytes, Sequence[bytes]]
"""The fields of a `schema.Block`: tenant, arrival in ns, bytes of the context, rows."""

_encoder = msgspec.msgpack.Encoder()
_blocks = msgspec.msgpack.Decoder(list[Block])
_raw_blocks = msgspec.msgpack.Decoder(list[RawBlock])
_event = msgspec.msgpack.Decoder(Event)
_context = msgspec.msgpack.Decoder(Context)
_local = threading.local()  # zstandard's objects must not be shared between threads


_UNCHANGED: Final = _encoder.encode(()) * 2
_FIRST: Final = _encoder.encode(0) + _UNCHANGED


class _Start(msgspec.Struct, array_like=True):
    tag: str


_start = msgspec.msgpack.Decoder(_Start)


def encode_event(event: Event) -> bytes:
    """The row of `event`."""
    return event.row if isinstance(event, Unknown) else _encoder.encode(event)


def decode_event(row: bytes | msgspec.Raw) -> Event:
    """The event of `row`; `Unknown` if its tag is one that this release does not read."""
    try:
        event: Event = _event.decode(row)
    except msgspec.ValidationError:
        if not has_unknown_tag(row):
            raise
        return Unknown(_start.decode(row).tag, bytes(row))
    return event


def has_unknown_tag(row: bytes | msgspec.Raw) -> bool:
    """Whether `row` begins as an event does, with a tag that this release does not read."""
    try:
        return _start.decode(row).tag not in TAGS
    except msgspec.MsgspecError:
        return False


def says_the_same(row: bytes, other: bytes) -> bool:
    """Whether two events of one idempotency key are equal. Who said a fact is no part of it: a
    repeat may come with another token than the first time."""
    if row == other:
        return True
    one, two = decode_event(row), decode_event(other)
    return (
        isinstance(one, Fact)
        and isinstance(two, Fact)
        and msgspec.structs.replace(one, actor=two.actor) == two
    )


def tag_mark(tag: str) -> bytes:
    """The bytes of a tag as a row holds them."""
    return _encoder.encode(tag)


def is_tagged(row: bytes, mark: bytes) -> bool:
    """Whether `row` has the tag that `tag_mark` made `mark` of, without decoding it."""
    return row.startswith(mark, 3) or row.startswith(mark, 1)  # after an array's header


def encode_scrubbed(kinds: Sequence[str]) -> bytes:
    """The end of a row that nothing was cut from: its fields `scrubbed` and `cut`."""
    return _encoder.encode(kinds) + _encoder.encode(())


def numbered(row: bytes, record: LogRecord, ordinal: int) -> bytes:
    """The row of `record`, whose row is this, with another ordinal.

    Most rows end with the ordinal 0, nothing scrubbed and nothing cut: that end is exchanged, for
    a request may be full of identical records.
    """
    if row.endswith(_FIRST):
        return row[: -len(_FIRST)] + _encoder.encode(ordinal) + _UNCHANGED
    return _encoder.encode(msgspec.structs.replace(record, ordinal=ordinal))


def encode_context(context: Context) -> bytes:
    """The msgpack bytes of `context`."""
    return _encoder.encode(context)


def decode_context(data: bytes | msgspec.Raw) -> Context:
    """The context of `data`."""
    return _context.decode(data)


def encode_blocks(blocks: Sequence[EncodedBlock]) -> bytes:
    """The content made of blocks whose contexts and rows are encoded already."""
    pieces = [array_header(len(blocks))]
    for tenant, received_ns, context, rows in blocks:
        pieces += (b"\x94", _encoder.encode(tenant), _encoder.encode(received_ns), context)
        pieces.append(array_header(len(rows)))
        pieces += rows
    return b"".join(pieces)


def decode_blocks(content: bytes) -> list[Block]:
    """Every block of a content, decoded whole."""
    try:
        return _blocks.decode(content)
    except msgspec.ValidationError:  # a tag of another release is somewhere in it
        return [
            Block(
                block.tenant,
                block.received_ns,
                decode_context(block.context),
                [decode_event(row) for row in block.events],
            )
            for block in decode_raw_blocks(content)
        ]


def decode_raw_blocks(content: bytes) -> list[RawBlock]:
    """Every block of a content; contexts and events left as bytes."""
    return _raw_blocks.decode(content)


def rows_of(content: bytes) -> list[bytes]:
    """The rows of a content, in order."""
    return [bytes(row) for block in decode_raw_blocks(content) for row in block.events]


def array_header(length: int) -> bytes:
    """The msgpack header of an array of `length` items."""
    if length < 16:
        return bytes((0x90 | length,))
    if length < 1 << 16:
        return b"\xdc" + length.to_bytes(2, "big")
    return b"\xdd" + length.to_bytes(4, "big")


def pack(content: bytes) -> bytes:
    """The payload of `content` under `CODEC_ZSTD`, level 1."""
    try:
        compressor = _local.compressor
    except AttributeError:
        compressor = _local.compressor = zstandard.ZstdCompressor(level=1)
    payload: bytes = compressor.compress(content)
    return payload


def unpack(codec: int, payload: bytes) -> bytes:
    """The exact content of `payload`.

    Raises:
        LogDamaged: the codec is unknown or the payload does not decode.
    """
    if codec == CODEC_PLAIN:
        return payload
    if codec != CODEC_ZSTD:
        raise LogDamaged(f"codec {codec} is unknown; this log was written by a newer release")
    try:
        decompressor = _local.decompressor
    except AttributeError:
        decompressor = _local.decompressor = zstandard.ZstdDecompressor()
    try:
        if zstandard.frame_content_size(payload) > CONTENT_LIMIT_BYTES:
            raise LogDamaged("a payload claims more than 1 GiB of content")
        content: bytes = decompressor.decompress(payload)
    except zstandard.ZstdError as exc:
        raise LogDamaged(f"a payload does not decompress: {exc}") from exc
    return content


def content_bytes(codec: int, payload: bytes) -> int:
    """Size of the content that `payload` claims to hold; nothing is decompressed."""
    if codec != CODEC_ZSTD:
        return len(payload)
    try:
        return max(zstandard.frame_content_size(payload), len(payload))
    except zstandard.ZstdError:  # it is damaged, which is said where it is decompressed
        return len(payload)


def iter_rows(blocks: Iterable[RawBlock]) -> Iterable[tuple[RawBlock, msgspec.Raw]]:
    """Each row with its block, in log order."""
    for block in blocks:
        for row in block.events:
            yield block, row
