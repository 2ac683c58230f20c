"""What a receiver takes in: one export request, and what became of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_REQUEST_BYTES: Final = 512
"""What a request costs besides its bytes."""
_INFLATES: Final = 8
"""How many times as large a compressed body is taken to be, until it is known."""


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


class Answer:
    """A request's outcome, or the error it failed with, once there is one.

    A lock in place of the condition of a `Future`: a request of one span is answered thousands
    of times a second, and the future was a tenth of its cost.
    """

    __slots__ = ("_callback", "_given", "_open", "cancelled")

    def __init__(self) -> None:
        self._open = threading.Lock()
        self._open.acquire()
        self._given: Outcome | BaseException | None = None
        self._callback: Callable[[], None] | None = None
        self.cancelled = False

    def done(self) -> bool:
        """Is there an outcome or an error?"""
        return self._given is not None

    def give(self, outcome: Outcome | BaseException) -> None:
        """Settle it; only the first time counts.

        An error's traceback is dropped: its frames hold the body, decoded or not, and who raises
        the error again makes a circle of it that is freed only when the collector runs.
        """
        if self._given is not None:
            return
        if isinstance(outcome, BaseException):
            outcome = outcome.with_traceback(None)
            outcome.__context__ = outcome.__cause__ = None
        self._given = outcome
        self._open.release()
        callback = self._callback
        if callback is not None:
            callback()

    def result(self, timeout_s: float = 0.0) -> Outcome:
        """The outcome, waited for at most `timeout_s` seconds.

        Raises:
            TimeoutError: there is none yet.
            BaseException: what the request failed with.
        """
        if self._given is None and self._open.acquire(timeout=timeout_s):
            self._open.release()
        if self._given is None:
            raise TimeoutError
        if isinstance(self._given, BaseException):
            raise self._given
        return self._given

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call back once it is settled, at once if it is; maybe twice, from any thread."""
        self._callback = callback
        if self._given is not None:
            callback()

    def cancel(self) -> None:
        """Nobody waits any more: a request that still queues is left out."""
        self.cancelled = True


@dataclass(slots=True, eq=False)
class Request:
    """One request, not decoded yet. `answer` is given once its events are durable.

    `coding` is the content coding of the body; empty if it is not compressed.
    """

    signal: Signal
    encoding: Encoding
    tenant: str
    received_ns: int
    body: bytes
    coding: str = ""
    answer: Answer = field(default_factory=Answer)

    @property
    def size_bytes(self) -> int:
        """What it holds in memory while it waits."""
        return len(self.body)

    @property
    def cost_bytes(self) -> int:
        """What it is taken to hold once it is decompressed, and something for each request."""
        return len(self.body) * (_INFLATES if self.coding else 1) + _REQUEST_BYTES
