"""`spanledger log append`: a fact from the command line, through the service's API."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.access.tokens import TokenStore
from service.cli.commands.log import app
from service.control.locks import RoleLock
from service.network.endpoints import SUPERVISOR, write_endpoints
from tests.api_service import serving
from tests.writers import Writer

WORDS = ["append", "acme.deployed", "-s", "type=attempt", "-s", "task_id=7", "-s", "attempt=2"]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A service on a data folder, as far as the command can see: writer, API, endpoints."""
    writer = Writer(tmp_path)
    with serving(tmp_path) as client, RoleLock(tmp_path, SUPERVISOR):
        write_endpoints(tmp_path, {"api": client.base_url.netloc.decode()}, "1", left_out={})
        yield writer
    writer.close()


def run(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, list(words), input=stdin)


def test_a_fact_is_appended_and_its_position_printed(writer: Writer) -> None:
    """To the service of the folder; an id that looks like a number stays a text."""
    result = run(*WORDS, "--data", str(writer.data), "--payload", '{"build": 17}')
    assert (result.exit_code, result.stdout) == (0, "1\n"), result.output
    (fact,) = writer.facts()
    assert (fact.kind, fact.actor, fact.payload) == ("acme.deployed", "local", {"build": 17})
    assert fact.subject == {"type": "attempt", "task_id": "7", "attempt": 2}


def test_a_key_appends_it_once(writer: Writer) -> None:
    """However often the command is run, it answers the same."""
    words = [*WORDS, "--data", str(writer.data), "--key", "k", "--payload", "-", "--json"]
    answers = [json.loads(run(*words, stdin='{"n": 1}').stdout) for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(writer.facts()) == 1


def test_a_token_and_a_tenant_are_sent(writer: Writer) -> None:
    """Without a token the command says what is missing."""
    secret = TokenStore(writer.data / "tokens.json").add("carol", "write")
    folder = ["--data", str(writer.data)]
    assert run(*WORDS, *folder).exit_code == 1
    result = run(*WORDS, *folder, "--token", secret, "--tenant", "acme")
    assert result.exit_code == 0, result.output
    (recorded,) = writer.stored()
    assert (recorded.tenant, writer.facts()[0].actor) == ("acme", "carol")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["append", "deployed", "-s", "type=x"], "kind"),
        (["append", "acme.x", "-s", "type"], "--subject type"),
        (["append", "acme.x", "-s", "type=a", "-s", "type=b"], "each name once"),
        (["append", "acme.x", "-s", "task_id=7"], "subject.type"),
        ([*WORDS, "--payload", "[1]"], "--payload"),
        ([*WORDS, "--payload", "{"], "--payload"),
        ([*WORDS, "--time", "soon"], "time"),
        ([*WORDS, "--key", "Schlüssel"], "--key: give printable ASCII"),
        ([*WORDS, "--key", " k"], "--key: give printable ASCII"),
        ([*WORDS, "--token", "tök"], "--token: give printable ASCII"),
        ([*WORDS, "--tenant", "a\nb"], "--tenant: give printable ASCII"),
    ],
)
def test_a_bad_fact_is_a_usage_error(writer: Writer, words: list[str], told: str) -> None:
    """Exit code 2, and the part that is wrong is named."""
    result = run(*words, "--data", str(writer.data))
    assert result.exit_code == 2
    assert told in result.stderr
    assert writer.stored() == []


def test_without_a_service_it_is_unavailable(tmp_path: Path) -> None:
    """Nothing is written past the writer."""
    Writer(tmp_path).close()
    result = run(*WORDS, "--data", str(tmp_path))
    assert result.exit_code == 4
    assert "no service runs" in result.stderr
