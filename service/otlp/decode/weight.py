"""How much a request will weigh once it is decoded, known before it is.

Two bytes of protobuf may stand for a span, three of JSON for an object: a body within its bound
in bytes could become hundreds of times as large, and take as much longer. So what a large body
holds is counted first, by a walk that stops at a bound and keeps nothing. The weights are about
what parsing each part costs; the bound is what a body of this size may hold: it leaves room for
32 MiB of ordinary spans, and allows at most `MAX_EVENTS` events, so that whoever reads a segment
of the log can hold it in memory. The native decoder does its own counting.
"""

from typing import Any, Final

import re2

from events.errors import TooLarge

MAX_EVENTS: Final = 200_000
"""Spans or log records of one request; the native decoder has the same bound."""
LIGHT_BYTES: Final = 512 << 10
"""Bodies up to this size are parsed before their events are counted."""

_EVENT: Final = 40
_FEW_WEIGHT: Final = 1_000
_WEIGHT_PER_BYTE: Final = 2
"""An event has at least twenty bytes, on average: its time and ids have as many. A tiny body may
hold a few that have none: more would cost many times what an honest one of its size does."""
_MAX_WEIGHT: Final = MAX_EVENTS * _EVENT
_MAX_STEPS: Final = 8_000_000
_TINY_BYTES: Final = 4
"""What is in so small a message weighs nothing beside it: one part more at most."""
_FEW_OBJECTS: Final = 150
_OBJECT_BYTES: Final = 12
_MAX_OBJECTS: Final = 1_000_000
_FEW_METRICS: Final = 1_000
_METRIC_BYTES: Final = 32
_STRING: Final = re2.compile(rb'"(?:[^"\\]|\\.)*"')

# A message: by field number, the weight of one such part and what it is made of.
_Message = dict[int, tuple[int, Any]]
_VALUE: Final[_Message] = {}
_PAIR: Final[_Message] = {2: (1, _VALUE)}
_VALUE[5] = (1, {1: (6, _VALUE)})
_VALUE[6] = (1, {1: (6, _PAIR)})
_ENTITY: Final[_Message] = {3: (1, None), 4: (1, None)}
_RESOURCE: Final[_Message] = {1: (6, _PAIR), 3: (12, _ENTITY)}
_SCOPE: Final[_Message] = {3: (6, _PAIR)}
_SPAN: Final[_Message] = {9: (6, _PAIR), 11: (12, {3: (6, _PAIR)}), 13: (12, {4: (6, _PAIR)})}
_RECORD: Final[_Message] = {5: (1, _VALUE), 6: (6, _PAIR)}


def _request(event: _Message) -> _Message:
    scopes: _Message = {1: (2, _SCOPE), 2: (_EVENT, event)}
    return {1: (_EVENT, {1: (2, _RESOURCE), 2: (_EVENT, scopes)})}


# A body sent to the wrong path is parsed as either signal to say so: both must be bearable.
_REQUEST: Final = _request(_SPAN | _RECORD)
_METRICS: Final = _request({})


def check_protobuf(body: bytes) -> None:
    """See to it that decoding `body` takes bounded time and memory.

    Raises:
        TooLarge: it would not.
    """
    most = _allowed(len(body))
    if len(body) > LIGHT_BYTES and _weigh(body, _REQUEST, most) > most:
        raise too_heavy()


def check_events(count: int, size: int) -> None:
    """See to it that a body of `size` bytes holds no more events than a real one.

    Raises:
        TooLarge: it does.
    """
    if count > MAX_EVENTS or count * _EVENT > _allowed(size):
        raise too_heavy("spans or log records of no content")


def _allowed(size: int) -> int:
    return min(_MAX_WEIGHT, _FEW_WEIGHT + _WEIGHT_PER_BYTE * size)


def check_json(body: bytes) -> None:
    """As `check_protobuf`, for JSON: counts its objects; lists of anything else are smaller.

    Raises:
        TooLarge: decoding it would take too much.
    """
    most = _FEW_OBJECTS + len(body) // _OBJECT_BYTES
    count = body.count(b"{")
    if count > min(most, _MAX_OBJECTS):
        count = _STRING.sub(b"", body).count(b"{")  # texts may hold as many as they like
    if count > min(most, _MAX_OBJECTS):
        raise too_heavy()


def is_heavy_metrics(body: bytes) -> bool:
    """Whether a metrics request, in either encoding, holds more than is worth counting."""
    most = _FEW_METRICS + len(body) // _METRIC_BYTES
    return body.count(b"{") > most or _weigh(body, _METRICS, _MAX_WEIGHT, most) > _MAX_WEIGHT


def too_heavy(what: str = "parts") -> TooLarge:
    """What the sender of too much is told: of what there is too much for a body of its size."""
    return TooLarge(
        f"the request holds too many {what}; send at most {MAX_EVENTS} spans or log records, and "
        "fewer if they have many attributes",
        limit_bytes=LIGHT_BYTES,
    )


def _weigh(body: bytes, message: _Message, most: int, most_steps: int = _MAX_STEPS) -> int:
    """The weight of a body; more than `most` as soon as that is passed.

    What does not parse ends its message here; the parser will refuse it.
    """
    weight = steps = 0
    todo: list[tuple[int, int, _Message]] = [(0, len(body), message)]
    while todo:
        at, end, parts = todo.pop()
        while at < end:
            steps += 1
            if weight > most or steps > most_steps:
                return most + 1
            key = body[at]
            at += 1
            if key > 0x7F:
                key, at = _varint(body, at - 1, end)
            kind = key & 7
            if kind == 2:
                if at < end and body[at] < 0x80:  # most of them; a call costs as much as all else
                    size = body[at]
                    at += 1
                else:
                    size, at = _varint(body, at, end)
                part = parts.get(key >> 3)
                if part is not None:
                    weight += part[0]
                    if size > _TINY_BYTES and part[1]:
                        todo.append((at, min(at + size, end), part[1]))
                at += size
            elif kind == 0:
                _, at = _varint(body, at, end)
            elif kind in (1, 5):
                at += 8 if kind == 1 else 4
            else:
                break
    return weight


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at `at` and where it ends; far beyond the end if it is torn."""
    value = shift = 0
    while at < end:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            break
    return 0, 1 << 62
