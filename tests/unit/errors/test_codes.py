"""Codes that stand in messages without a name before them are read, and numbers alike are not."""

import pytest

from projections.errors.codes import codes_of


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("(530, b'5.7.0 Must issue a STARTTLS command first', 'a@b.example')", "mail:5.7"),
        ("451 4.3.0 Temporary lookup failure", "mail:4.3"),
        ("app.service: Main process exited, code=killed, status=9/KILL", "signal:SIGKILL"),
        ("000630 (57014): Statement reached its timeout", "sqlstate:57014"),
        ("npm ERR! code ELIFECYCLE\nnpm ERR! errno 2", "exit:2"),
        ('Exception (403) Reason: "username or password not allowed"', "http:403"),
    ],
)
def test_a_code_is_read(message: str, code: str) -> None:
    """As the tool, the mail server or the driver writes it."""
    assert code in codes_of(message, {})


def test_the_number_that_npm_calls_errno_is_a_status() -> None:
    """EPERM of a script that ended with 1 would be a question of rights."""
    assert not any(code.startswith("errno:") for code in codes_of("npm ERR! errno 1", {}))


@pytest.mark.parametrize(
    "message",
    [
        "could not upgrade from 400 to 4.5.1",
        "app.service: Main process exited, status=1/FAILURE",
        "order 123456 (paper) is late",
    ],
)
def test_what_looks_alike_is_no_code(message: str) -> None:
    """Versions, plain exits and orders."""
    assert codes_of(message, {}) == ()


def test_numbers_in_parentheses_and_quotations_are_codes_of_processes() -> None:
    """As workflow managers, build tools and supervisors write them."""
    assert "exit:127" in codes_of("Process `split` terminated with an error exit status (127)", {})
    assert "exit:127" in codes_of("Command failed with status (127): [gem build …]", {})
    assert "signal:SIGSEGV" in codes_of('The process has been signaled with signal "11".', {})
    assert not codes_of("It failed with status green, exit (north)", {})
