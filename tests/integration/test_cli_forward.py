"""`spanledger forward` on a real store, while the forwarder is away and while it runs."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from events.log.door import GroupDoor
from events.log.reader import open_reader
from service.cli.commands.forward import app
from service.control.locks import RoleLock
from service.control.socket import ControlServer, socket_path
from service.forward.cursor import CursorStore
from service.forward.operations import Operations


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty log and one target, `jaeger`, at its head."""
    GroupDoor(tmp_path).close()
    with closing(open_reader(tmp_path)) as reader, closing(CursorStore(tmp_path)) as store:
        store.add_target("jaeger", "otlp+grpc://127.0.0.1:14317")
        store.place("jaeger", 0, 0, reader.head().hash, reader.log_id)
    return tmp_path


@pytest.fixture(params=["away", "running"])
def folder(request: pytest.FixtureRequest, data: Path) -> Iterator[Path]:
    """The data folder, with no forwarder, or with one that answers on its control socket."""
    if request.param == "away":
        yield data
        return
    with RoleLock(data, "forwarder"), closing(CursorStore(data)) as store:
        handlers = Operations(store, lambda: open_reader(data)).handlers()
        server = ControlServer(socket_path(data, "forwarder"), handlers)
        server.start()
        yield data
        server.close()


def run(folder: Path, *words: str) -> Result:
    """`spanledger forward WORDS --data DIR`."""
    return CliRunner().invoke(app, [*words, "--data", str(folder)])


def test_the_list_tells_position_and_lag(folder: Path) -> None:
    """Each target is listed with what it does and how far behind it is."""
    result = run(folder, "list", "--json")
    (target,) = json.loads(result.stdout)["items"]
    assert (target["name"], target["positions"], target["lag_events"]) == ("jaeger", {"0": "0"}, 0)
    assert "jaeger" in run(folder, "list").stdout


def test_pause_and_resume_change_the_state(folder: Path) -> None:
    """A paused target says so until it is resumed."""
    assert run(folder, "pause", "jaeger").exit_code == 0
    assert '"paused"' in run(folder, "list", "--json").stdout
    assert run(folder, "resume", "jaeger").exit_code == 0
    assert '"paused"' not in run(folder, "list", "--json").stdout


def test_rewind_takes_positions_and_times(folder: Path) -> None:
    """The cursor goes to a position, or to where the log was at a time."""
    assert "after position 0" in run(folder, "rewind", "jaeger", "--to", "0").stdout
    assert run(folder, "rewind", "jaeger", "--to", "1h").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("pause", "nowhere"),
        ("rewind", "jaeger", "--to", "99"),
        ("rewind", "jaeger", "--to", "9" * 23),
        ("rewind", "jaeger", "--to", "soon"),
        ("discard", "jaeger"),
        ("discard", "jaeger", "7"),
    ],
)
def test_what_is_not_there_is_refused(folder: Path, words: tuple[str, ...]) -> None:
    """Unknown targets, positions and ids are usage errors with a reason."""
    result = run(folder, *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("spanledger: ")


def test_nothing_parked_is_said(folder: Path) -> None:
    """An empty list is told in words, and is an empty list in JSON."""
    assert "nothing is parked" in run(folder, "parked").stdout
    assert json.loads(run(folder, "parked", "--json").stdout)["items"] == []


def test_a_misspelt_folder_is_not_made(tmp_path: Path) -> None:
    """A command on a folder without a log ends in exit code 4 and leaves nothing behind."""
    assert run(tmp_path / "typo", "pause", "jaeger").exit_code == 4
    assert not (tmp_path / "typo").exists()
