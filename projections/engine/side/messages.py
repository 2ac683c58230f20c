"""What a rebuild tells its second process: length-prefixed msgpack through a pipe."""

from typing import IO, Final

import msgspec

from projections.runs.changes import Change

_LENGTH_BYTES: Final = 4

WRITTEN: Final = 0
"""Exit code of a process that wrote everything."""
FAILED: Final = 1
LEFT: Final = 3
"""Exit code of one that was left before the end; what it committed is whole."""


class Part(msgspec.Struct, tag="part", array_like=True, gc=False):
    """Changes of a part of a page; `sources` are those that were not told of yet."""

    changes: list[Change]
    sources: dict[int, tuple[int | None, str | None]]


class Flush(msgspec.Struct, tag="flush", array_like=True):
    """The parts since the last flush belong together, and are complete."""


class Forget(msgspec.Struct, tag="forget", array_like=True):
    """The parts since the last flush were taken back.

    If flushed ones were as well, nothing is reached any more: they go when the process is left.
    """


class Reached(msgspec.Struct, tag="reached", array_like=True):
    """Everything up to here was committed."""

    partition: int
    position: int


class Finish(msgspec.Struct, tag="finish", array_like=True):
    """The log's end is reached: nothing more will come."""


Message = Part | Flush | Forget | Reached | Finish

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


def write(file: IO[bytes], message: Message) -> None:
    """Write a message to an unbuffered pipe.

    Raises:
        OSError: nobody reads it any more.
    """
    data = _encode(message)
    view = memoryview(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
    while view:
        view = view[file.write(view) :]


def read(file: IO[bytes]) -> Message | None:
    """The next message; None when the writer is gone."""
    head = file.read(_LENGTH_BYTES)
    size = int.from_bytes(head, "big")
    data = file.read(size)
    if len(head) < _LENGTH_BYTES or len(data) < size:
        return None
    message: Message = _decode(data)
    return message
