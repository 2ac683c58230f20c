"""Trouble is counted, and said at most once a minute."""

import logging

import pytest

from spanledger_sdk.guard import KINDS, Troubles


def test_each_kind_is_said_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """With the count of what was not said since."""
    troubles = Troubles(every_s=0.05)
    for _ in range(3):
        troubles.complain("spans were dropped", times=2)
    troubles.complain("a request failed", OSError("no route"))
    said = [record.getMessage() for record in caplog.records]
    assert said == ["spans were dropped (2 times)", "a request failed (1 times): no route"]
    assert troubles.count("spans were dropped") == 6
    caplog.clear()
    until = troubles._said_s["spans were dropped"] - 1
    troubles._said_s["spans were dropped"] = until
    troubles.complain("spans were dropped")
    assert [r.getMessage() for r in caplog.records] == ["spans were dropped (5 times)"]


def test_kinds_are_bounded() -> None:
    """A caller that makes up kinds fills no memory."""
    troubles = Troubles()
    for number in range(3 * KINDS):
        troubles.complain(f"kind {number}")
    assert len(troubles.counts()) == KINDS + 1


class Handler(logging.Handler):
    """One that fails."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("no disk")


def test_a_broken_handler_ends_nothing() -> None:
    """Logging is the program's, and may fail."""
    handler = Handler()
    logging.getLogger("spanledger_sdk").addHandler(handler)
    try:
        Troubles().complain("trouble")
    finally:
        logging.getLogger("spanledger_sdk").removeHandler(handler)
