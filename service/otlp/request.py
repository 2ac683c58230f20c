"""What a receiver takes in: one export request, and what became of it."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum


class Signal(StrEnum):
    """What a request carries."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


class Encoding(StrEnum):
    """How a request, and so its answer, is written; the value is the content type."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request whose good events are durable.

    `position` is at or after every accepted event, duplicates included; None if there is none.
    `reasons` say in sentences why events were refused.
    """

    accepted: int = 0
    refused: int = 0
    reasons: tuple[str, ...] = ()
    position: int | None = None


@dataclass(slots=True, eq=False)
class Request:
    """One request, not decoded yet. `answer` resolves once its events are durable."""

    signal: Signal
    encoding: Encoding
    tenant: str
    received_ns: int
    body: bytes
    answer: "Future[Outcome]" = field(default_factory=Future)
