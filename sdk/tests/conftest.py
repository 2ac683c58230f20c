"""What every test of the SDK starts from and ends with."""

from collections.abc import Iterator

import pytest

from spanledger_sdk import settings, tracing
from spanledger_sdk.guard import troubles


@pytest.fixture(autouse=True)
def no_trouble(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The SDK caught no fault of its own, unless the test is marked to make some."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    troubles.forget()
    yield
    settings.put_in_force(None)
    tracing.choose(None)
    if not request.node.get_closest_marker("trouble"):
        assert not troubles.counts()
    troubles.forget()
