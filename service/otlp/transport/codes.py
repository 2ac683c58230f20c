"""The one table from errors to gRPC codes and HTTP statuses.

By the OTLP specification a sender tries again after UNAVAILABLE, after RESOURCE_EXHAUSTED with
RetryInfo, and after 429 and 503; every other code here is permanent. Only errors of `Unavailable`
and `Damaged` are told as retryable: nothing of such a request was stored.
"""

import math
from typing import Final, NamedTuple

from grpc import StatusCode

from events.errors import (
    BadInput,
    Closing,
    CommitFailed,
    Damaged,
    QueueFull,
    Rejected,
    TooLarge,
    Unavailable,
)
from service.access.tokens import Forbidden, Unauthenticated
from service.otlp.decode.decoded import WrongSignal
from service.otlp.decompression import UnknownType

_DAMAGED_RETRY_S: Final = 30.0
_MESSAGE_LIMIT: Final = 1000  # trailers hold 8 KiB, percent-encoded


class UnknownPath(Rejected):
    """Nothing is served at this path."""


class WrongMethod(Rejected):
    """The path takes POST only."""


class NoLength(Rejected):
    """Without a length a request has no body by HTTP's rules, whatever its sender meant."""


class SlowClient(Rejected):
    """The body did not come in time."""


class Status(NamedTuple):
    """How an error is told; `reason` is its label in the metrics."""

    reason: str
    grpc: StatusCode
    http: int


INTERNAL: Final = Status("internal", StatusCode.INTERNAL, 500)

TABLE: Final[dict[type[Exception], Status]] = {
    BadInput: Status("bad_input", StatusCode.INVALID_ARGUMENT, 400),
    WrongSignal: Status("wrong_signal", StatusCode.INVALID_ARGUMENT, 400),
    TooLarge: Status("too_large", StatusCode.INVALID_ARGUMENT, 413),
    Unauthenticated: Status("unauthenticated", StatusCode.UNAUTHENTICATED, 401),
    Forbidden: Status("forbidden", StatusCode.PERMISSION_DENIED, 403),
    UnknownPath: Status("unknown_path", StatusCode.UNIMPLEMENTED, 404),
    WrongMethod: Status("wrong_method", StatusCode.UNIMPLEMENTED, 405),
    SlowClient: Status("slow_client", StatusCode.DEADLINE_EXCEEDED, 408),
    NoLength: Status("no_length", StatusCode.INVALID_ARGUMENT, 411),
    UnknownType: Status("unknown_type", StatusCode.UNIMPLEMENTED, 415),
    Rejected: Status("rejected", StatusCode.INVALID_ARGUMENT, 400),
    QueueFull: Status("queue_full", StatusCode.RESOURCE_EXHAUSTED, 429),
    Closing: Status("closing", StatusCode.UNAVAILABLE, 503),
    CommitFailed: Status("commit_failed", StatusCode.UNAVAILABLE, 503),
    Unavailable: Status("unavailable", StatusCode.UNAVAILABLE, 503),
    Damaged: Status("damaged", StatusCode.UNAVAILABLE, 503),
}


def status_of(error: BaseException) -> Status:
    """The status of the nearest class of `error` that the table has."""
    for kind in type(error).__mro__:
        if kind in TABLE:
            return TABLE[kind]
    return INTERNAL


def retry_after_s(error: BaseException) -> int | None:
    """Whole seconds after which to try again, at least 1; None: never."""
    if isinstance(error, Unavailable):
        return max(1, math.ceil(error.retry_after_s))
    return math.ceil(_DAMAGED_RETRY_S) if isinstance(error, Damaged) else None


def message_of(error: BaseException) -> str:
    """What the sender is told. An error of no class of ours tells nothing of our insides."""
    if status_of(error) is INTERNAL:
        return "internal error; the log of the service says more"
    return str(error)[:_MESSAGE_LIMIT]
