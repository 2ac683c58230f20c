"""What a decoder hands on: groups of rows that share one resource and scope.

Every decoder (protobuf, JSON, native) gives byte-identical groups for the same telemetry.
"""

from dataclasses import dataclass

from events.errors import BadInput


class WrongSignal(BadInput):
    """The body is well-formed OTLP of another signal."""


@dataclass(slots=True)
class Group:
    """Events of one resource and scope of one request, before scrubbing and after limits.

    `context` and `rows` are msgpack. `text` holds every scrubbable string value of the rows, in
    row order, each followed by NUL; `text_ends` has the end offset in it after each row.

    Order in a span: name, attributes, then each event's name and attributes, each link's
    attributes, status message, unless it stands there already: most of the time it is that of an
    exception. In a log record: body, attributes, severity text, event name.
    `keyed` is set if any row may have an idempotency key.
    A row with a key that names a secret ends with `secret_keys.MARK`.
    """

    context: bytes
    rows: list[bytes]
    text: bytes
    text_ends: list[int]
    time_min_ns: int
    time_max_ns: int
    keyed: bool = False


@dataclass(slots=True)
class Decoded:
    """One request. `accepted + refused` is what was sent.

    `reasons` are sentences for the answer: at most five distinct ones, then how many more; also
    where nothing was refused, if nothing of what was sent could be read.
    `cut` counts what the limits shortened, by kind (`service.otlp.decode.limits`).
    `unread_bytes` were in fields that are not known.
    """

    groups: list[Group]
    accepted: int
    refused: int
    reasons: list[str]
    cut: dict[str, int]
    unread_bytes: int = 0
