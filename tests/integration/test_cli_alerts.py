"""`spanledger alerts check`: the file that is meant, without a service."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from tests.alerting import tried
from tests.events import make_batch
from tests.views import make_folder

RULES = '[[rule]]\nname = "{name}"\nwhen = "terminal_failures"\nwindow = "7d"\n'


def check(data: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    words = ["alerts", "check", "--data", str(data), "--json", *arguments]
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.stdout, done.stderr


def test_the_file_of_the_settings_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a service would take it: named by --file, the environment, the file of settings; else
    that of the folder."""
    data = make_folder(tmp_path / "data", [make_batch([tried("a", 60)])])
    for name in ("named", "environment", "settings"):
        (tmp_path / f"{name}.toml").write_text(RULES.format(name=name))

    def rules(*arguments: str) -> list[str]:
        code, out, err = check(data, *arguments)
        assert code == 0, err
        return [item["rule"] for item in json.loads(out)["items"]]

    code, _, err = check(data)
    assert code == 2
    assert f"there is no file {data / 'alerts.toml'}; name one with --file" in err
    (data / "alerts.toml").write_text(RULES.format(name="folder"))
    assert rules() == ["folder"]
    (data / "spanledger.toml").write_text('alerts_file = "../settings.toml"\n')
    assert rules() == ["settings"]
    monkeypatch.setenv("SPANLEDGER_ALERTS_FILE", str(tmp_path / "environment.toml"))
    assert rules() == ["environment"]
    assert rules("--file", str(tmp_path / "named.toml")) == ["named"]
