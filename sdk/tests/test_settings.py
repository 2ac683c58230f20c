"""Settings from the environment."""

from pathlib import Path
from typing import Any

import pytest

from spanledger_sdk import settings
from spanledger_sdk.guard import troubles
from spanledger_sdk.settings import DEFAULT_ENDPOINT, Settings, read, spool_folder


def test_without_variables_there_are_defaults() -> None:
    """On this machine, for the default tenant."""
    assert read({}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("DISABLED", "TRUE", "disabled", True),
        ("DISABLED", "1", "disabled", True),
        ("DISABLED", "no", "disabled", False),
        ("TENANT", "acme", "tenant", "acme"),
        ("SAMPLE", "always", "sample", "always"),
        ("QUEUE_ITEMS", "10", "queue_items", 10),
        ("SEND_INTERVAL_S", "0.5", "send_interval_s", 0.5),
        ("HEADERS", "a=b,c=d%20e", "headers", (("a", "b"), ("c", "d e"))),
    ],
)
def test_each_variable_sets_its_field(variable: str, text: str, name: str, value: Any) -> None:
    """By its name in capitals."""
    assert getattr(read({f"SPANLEDGER_SDK_{variable}": text}), name) == value


@pytest.mark.trouble
@pytest.mark.parametrize(
    ("variable", "text"),
    [("DISABLED", "perhaps"), ("SAMPLE", "often"), ("QUEUE_ITEMS", "-1"), ("TIMEOUT_S", "nan")],
)
def test_a_bad_value_is_said_and_its_default_taken(variable: str, text: str) -> None:
    """A typo must not end the program."""
    assert read({f"SPANLEDGER_SDK_{variable}": text}) == Settings()
    assert any(variable in kind for kind in troubles.counts())


def test_the_variables_of_opentelemetry_count_where_ours_are_missing() -> None:
    """Its endpoint only if it is for HTTP."""
    others = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1", "OTEL_EXPORTER_OTLP_HEADERS": "a=b"}
    assert read(others).endpoint == "http://c:1"
    assert read(others).headers == (("a", "b"),)
    assert read(others | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}).endpoint == DEFAULT_ENDPOINT
    assert read(others | {"SPANLEDGER_SDK_ENDPOINT": "http://d:2"}).endpoint == "http://d:2"
    off = {"OTEL_SDK_DISABLED": "True"}
    assert read(off).disabled
    assert not read(off | {"SPANLEDGER_SDK_DISABLED": "false"}).disabled


def test_a_user_without_a_home_gets_no_folder_named_tilde(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a container whose user is only a number: then it waits in memory, and that is said."""
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert spool_folder(Settings()) is None
    assert "SPANLEDGER_SDK_SPOOL" in caplog.text
    assert spool_folder(Settings(spool="/var/spool/s")) == Path("/var/spool/s")
    monkeypatch.setenv("HOME", "/home/anna")
    assert spool_folder(Settings()) == Path("/home/anna/.local/state/spanledger-sdk")
    assert spool_folder(Settings(spool="~/spool")) == Path("/home/anna/spool")


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is first asked for."""
    monkeypatch.setenv("SPANLEDGER_SDK_TENANT", "acme")
    settings.put_in_force(None)
    assert settings.current().tenant == "acme"
    monkeypatch.setenv("SPANLEDGER_SDK_TENANT", "other")
    assert settings.current().tenant == "acme"
