"""The table from errors to gRPC codes and HTTP statuses."""

import pytest
from grpc import StatusCode

from events import errors
from service.access.tokens import Forbidden, Unauthenticated
from service.otlp.decode.decoded import WrongSignal
from service.otlp.decompression import UnknownType
from service.otlp.transport import codes

CASES = [
    (errors.BadInput("x"), StatusCode.INVALID_ARGUMENT, 400, None),
    (WrongSignal("x"), StatusCode.INVALID_ARGUMENT, 400, None),
    (errors.TooLarge("x", limit_bytes=1), StatusCode.INVALID_ARGUMENT, 413, None),
    (errors.BadSetting("x"), StatusCode.INVALID_ARGUMENT, 400, None),
    (Unauthenticated("x"), StatusCode.UNAUTHENTICATED, 401, None),
    (Forbidden("x"), StatusCode.PERMISSION_DENIED, 403, None),
    (codes.UnknownPath("x"), StatusCode.UNIMPLEMENTED, 404, None),
    (codes.WrongMethod("x"), StatusCode.UNIMPLEMENTED, 405, None),
    (codes.SlowClient("x"), StatusCode.DEADLINE_EXCEEDED, 408, None),
    (codes.NoLength("x"), StatusCode.INVALID_ARGUMENT, 411, None),
    (UnknownType("x"), StatusCode.UNIMPLEMENTED, 415, None),
    (errors.QueueFull("x"), StatusCode.RESOURCE_EXHAUSTED, 429, 1),
    (errors.Closing("x"), StatusCode.UNAVAILABLE, 503, 1),
    (errors.CommitFailed("x", retry_after_s=2.5), StatusCode.UNAVAILABLE, 503, 3),
    (errors.Unavailable("x", retry_after_s=0), StatusCode.UNAVAILABLE, 503, 1),
    (errors.LogDamaged("x"), StatusCode.UNAVAILABLE, 503, 30),
    (errors.SpanledgerError("x"), StatusCode.INTERNAL, 500, None),
    (ValueError("x"), StatusCode.INTERNAL, 500, None),
]


@pytest.mark.parametrize(("error", "code", "http", "retry_s"), CASES)
def test_status(error: Exception, code: StatusCode, http: int, retry_s: int | None) -> None:
    """Each error has one code on each transport, and says whether to try again."""
    found = codes.status_of(error)
    assert (found.grpc, found.http, codes.retry_after_s(error)) == (code, http, retry_s)


def test_every_row_is_tried() -> None:
    """No row of the table is without a case above."""
    tried = {codes.status_of(error).reason for error, *_ in CASES}
    assert {row.reason for row in codes.TABLE.values()} < tried


def test_unexpected_errors_say_nothing_of_our_insides() -> None:
    """The text of an error of no class of ours stays in our log."""
    assert "secret" not in codes.message_of(ValueError("secret"))


def test_messages_are_bounded() -> None:
    """A message fits into gRPC's trailers."""
    assert len(codes.message_of(errors.BadInput("x" * 100_000))) == 1000
