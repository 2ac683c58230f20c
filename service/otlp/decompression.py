"""Decompressing request bodies within a bound, so that a small bomb stays small."""

import zlib
from collections.abc import Callable
from typing import Final

import zstandard

from events.errors import BadInput, Rejected, TooLarge

_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
# Four bytes of zstd may stand for 128 KiB: a piece of input adds at most 16 MiB at once.
_ZSTD_PIECE_BYTES: Final = 512
_ZSTD_WINDOW_BYTES: Final = 8 << 20
_GZIP_PIECE_BYTES: Final = 64 << 10
_FEW_PARTS: Final = 256
_PART_BYTES: Final = 4 << 10
"""A body of many gzip members or zstd frames has this much in each of them on average."""


class UnknownType(Rejected):
    """The body's type or compression is none that is taken."""


def decompress(coding: str, body: bytes, limit_bytes: int) -> bytes:
    """`body` as it was before the content coding `coding`, at most `limit_bytes`.

    Raises:
        UnknownType: the coding is none of gzip, deflate, zstd, identity.
        TooLarge: there is more than `limit_bytes`.
        BadInput: the body is torn, or not compressed this way.
    """
    named = [name for part in coding.lower().split(",") if (name := part.strip()) not in _NONE]
    if not named:
        return body
    inflate = _CODINGS.get(named[0]) if len(named) == 1 else None
    if inflate is None:
        raise UnknownType(f"content-encoding {coding[:80]!r}; taken are gzip, deflate, zstd")
    try:
        return inflate(body, limit_bytes)
    except (zlib.error, zstandard.ZstdError) as exc:
        raise BadInput(f"the body is not {coding}: {exc}") from None


def _gzip(body: bytes, limit_bytes: int) -> bytes:
    """One or several gzip members, or one zlib stream."""
    found: list[bytes] = []
    size = at = parts = 0
    member = zlib.decompressobj(_GZIP_OR_ZLIB)
    while at < len(body):
        piece = body[at : at + _GZIP_PIECE_BYTES]
        at += len(piece)
        found.append(member.decompress(piece, limit_bytes + 1 - size))
        size += len(found[-1])
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        if member.eof and (at := at - len(member.unused_data)) < len(body):
            parts = _counted(parts, size)
            member = zlib.decompressobj(_GZIP_OR_ZLIB)
    if not member.eof:
        raise BadInput("the compressed body is torn")
    return b"".join(found)


def _deflate(body: bytes, limit_bytes: int) -> bytes:
    """A zlib stream, as the name means in HTTP, or a raw one, as some senders take it."""
    is_zlib = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    stream = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else _RAW_DEFLATE)
    found = stream.decompress(body, limit_bytes + 1)
    if len(found) > limit_bytes:
        raise _too_large(limit_bytes)
    if not stream.eof:
        raise BadInput("the compressed body is torn")
    return found


def _zstd(body: bytes, limit_bytes: int) -> bytes:
    """One or several zstd frames."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame = decompressor.decompressobj()
    found: list[bytes] = []
    size = at = parts = 0
    while at < len(body):
        found.append(frame.decompress(body[at : at + _ZSTD_PIECE_BYTES]))
        size += len(found[-1])
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        at += _ZSTD_PIECE_BYTES
        if frame.eof and (at := min(at, len(body)) - len(frame.unused_data)) < len(body):
            parts = _counted(parts, size)
            frame = decompressor.decompressobj()
    if not frame.eof:
        raise BadInput("the compressed body is torn")
    return b"".join(found)


def _counted(parts: int, size: int) -> int:
    """One part more; each costs more than its bytes, so there may not be many small ones."""
    if parts > _FEW_PARTS + size // _PART_BYTES:
        raise BadInput(
            f"the compressed body is in over {parts} parts of less than {_PART_BYTES} bytes; "
            "compress it as a whole"
        )
    return parts + 1


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"the body decompresses to over {limit_bytes} bytes", limit_bytes=limit_bytes)


_NONE: Final = frozenset({"", "identity"})
_CODINGS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}
