"""What an answer's `Retry-After` asks for, read by the forwarder, the policies and the SDK."""

import pytest

from projections.policies import backoff as policy
from service.forward.backoff import asked_s
from spanledger_sdk.recovery import rules


@pytest.mark.parametrize(
    "given",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999", "soon",
    ],
)  # fmt: skip
def test_a_date_that_is_none_is_no_wait(given: str) -> None:
    """Whoever answers may write anything into the header; nobody fails of it."""
    assert asked_s(given) == 0.0
    assert not policy.retry_after_s(given, 0.0)
    assert not rules.retry_after_s(given, 0.0)
