"""The fixture `spanledger`: what the SDK records during a test, in memory.

A package of its own, because pytest imports it in every session where the distribution is
installed: nothing of OpenTelemetry is imported before a test asks for it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from spanledger_sdk.testing import Capture


@pytest.fixture
def spanledger() -> "Iterator[Capture]":
    """The attempts of this test (`spanledger_sdk.testing.Capture`), with counting ids and clock."""
    from spanledger_sdk.testing import capture  # noqa: PLC0415 - pytest loads this file always

    with capture() as seen:
        yield seen
