"""What clients of agents are told of the server."""

import json
import stat
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from events.errors import BadInput
from service.cli.main import app
from service.mcp.clients import clients, entry, text_of, write

COMMAND = ["/opt/spanledger", "mcp", "--data", '/srv/a "b" c']


@pytest.mark.parametrize("name", clients(Path("/home/u")))
def test_what_is_printed_is_what_is_written(name: str, tmp_path: Path) -> None:
    """The text for a client parses, and names the command; a file that was not there holds it."""
    client = clients(tmp_path)[name]
    said = entry(client, COMMAND, None)
    text = text_of(client, said)
    whole = tomllib.loads(text) if client.is_toml else json.loads(text)
    assert whole[client.key]["spanledger"]["command"] == COMMAND[0]
    assert whole[client.key]["spanledger"]["args"] == COMMAND[1:]
    path = write(client, said, tmp_path)
    written = path.read_text()
    assert (tomllib.loads(written) if client.is_toml else json.loads(written)) == whole


def test_other_servers_stay(tmp_path: Path) -> None:
    """What a file says besides is kept, and our entry replaced."""
    client = clients(tmp_path)["cursor"]
    path = tmp_path / client.file
    path.parent.mkdir()
    path.write_text('{"mcpServers": {"other": {"command": "x"}, "spanledger": {}}, "theme": "ü"}')
    write(client, entry(client, COMMAND, None), tmp_path)
    whole = json.loads(path.read_text())
    assert whole["theme"] == "ü"
    assert whole["mcpServers"]["other"] == {"command": "x"}
    assert whole["mcpServers"]["spanledger"]["command"] == COMMAND[0]


@pytest.mark.parametrize(
    ("name", "before"),
    [("cursor", b"{ // comment\n}"), ("cursor", b"[]"), ("cursor", b"\xff{}"), ("codex", b"= no"),
     ("codex", b"[mcp_servers.spanledger]\ncommand = 'x'\n"), ("codex", b"mcp_servers = 3\n"),
     ("codex", b"mcp_servers = { a = { command = 'x' } }\n"), ("codex", b"a = '\xff'\n")],
)  # fmt: skip
def test_a_file_that_would_lose_something_is_left(name: str, before: bytes, tmp_path: Path) -> None:
    """A file that is not understood is refused by name, and stays as it was."""
    client = clients(tmp_path)[name]
    path = tmp_path / client.file
    path.parent.mkdir()
    path.write_bytes(before)
    with pytest.raises(BadInput, match=path.name):
        write(client, entry(client, COMMAND, None), tmp_path)
    assert path.read_bytes() == before


def test_a_token_goes_into_private_files_only(tmp_path: Path) -> None:
    """A project's file names the variable; the user's own holds the token, for nobody else."""
    known = clients(tmp_path)
    for client in known.values():
        path = write(client, entry(client, COMMAND, "spl_secret"), tmp_path)
        assert ("spl_secret" in path.read_text()) == (not client.token)
        assert "SPANLEDGER_TOKEN" in path.read_text()
        if not client.token:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_toml_is_appended_to(tmp_path: Path) -> None:
    """Comments of a TOML file stay."""
    client = clients(tmp_path)["codex"]
    path = tmp_path / client.file
    path.parent.mkdir()
    path.write_text('# mine\nmodel = "m"\n')
    write(client, entry(client, COMMAND, "t"), tmp_path)
    assert path.read_text().startswith("# mine\n")
    assert tomllib.loads(path.read_text())["mcp_servers"]["spanledger"]["env"] == {
        "SPANLEDGER_TOKEN": "t"
    }


def test_the_command_prints_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a client all are listed; with --write the project's file is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    runner = CliRunner()
    assert "claude-code" in runner.invoke(app, ["mcp", "install"]).stdout
    options = ["mcp", "install", "claude-code", "--url", "http://h:1", "--tenant", "a"]
    printed = runner.invoke(app, options)
    assert json.loads(printed.stdout)["mcpServers"]["spanledger"]["args"][-4:] == options[3:]
    assert runner.invoke(app, [*options, "--write"]).exit_code == 0
    assert json.loads((tmp_path / ".mcp.json").read_text()) == json.loads(printed.stdout)
    assert runner.invoke(app, ["mcp", "install", "emacs"]).exit_code == 2
