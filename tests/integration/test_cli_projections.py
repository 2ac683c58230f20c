"""`spanledger projections` and `deadletters`, while the projector is away and while it runs."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from events.log.reader import open_reader
from projections import assembly
from projections.storage import deadletters
from projections.storage.generation import connect
from service.cli.commands import projections as projection_commands
from service.cli.main import app
from service.cli.source import completion
from service.cli.source.projector import patience_s
from service.control.locks import RoleLock
from service.control.projector import Operations, build_projector
from service.control.socket import ControlServer, socket_path
from tests.events import make_batch, make_span
from tests.views import make_folder

NAMES = sorted(assembly.NAMES)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten tasks, folded; the events of tasks 0 to 4 were committed before those of 5 to 9."""
    first = make_batch([make_span(task=f"task-{number}") for number in range(5)])
    last = make_batch([make_span(task=f"task-{number}") for number in range(5, 10)])
    return make_folder(tmp_path, [first, last])


@pytest.fixture(params=["away", "running"])
def folder(request: pytest.FixtureRequest, data: Path) -> Iterator[Path]:
    """The data folder, with no projector, or with one that answers on its control socket."""
    if request.param == "away":
        yield data
        return
    stop = threading.Event()
    with RoleLock(data, "projector"):
        projector = build_projector(data, 3600.0)
        projector.open()
        thread = threading.Thread(target=projector.run, args=(stop,))
        thread.start()
        server = ControlServer(socket_path(data, "projector"), Operations(projector).handlers())
        server.start()
        yield data
        server.close()
        stop.set()
        thread.join()


def run(folder: Path, *words: str) -> Result:
    """`spanledger WORDS --data DIR`."""
    return CliRunner().invoke(app, [*words, "--data", str(folder)])


def answer(folder: Path, *words: str) -> Any:
    """The JSON document of a command that succeeds."""
    result = run(folder, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def park(folder: Path, position: int) -> None:
    """Record an event as one that `attempts` could not apply."""
    with closing(connect((folder / "views.db").resolve())) as connection:
        deadletters.park(
            connection,
            ("attempts", 0, position, 0),
            event_id=bytes(16),
            error=ValueError("bad \x1b[31mday"),
            now_ns=1,
        )


def test_the_list_names_every_projection_and_its_lag(folder: Path) -> None:
    """Version, position and lag of each."""
    items = answer(folder, "projections", "list")["items"]
    assert [item["name"] for item in items] == NAMES
    assert {(item["position"], item["lag_events"]) for item in items} == {("10", 0)}


def test_status_tells_generations(folder: Path) -> None:
    """The active generation is marked, in JSON and for people."""
    (only,) = answer(folder, "projections", "status")["generations"]
    assert (only["number"], only["active"]) == (1, True)
    assert "GENERATION" in run(folder, "projections", "status").stdout


@pytest.mark.parametrize("words", [["--all"], ["attempts", "tasks"]])
def test_a_rebuild_switches_and_can_be_rolled_back(folder: Path, words: list[str]) -> None:
    """A rebuild makes the next generation active; rollback and activate switch again."""
    built = answer(folder, "projections", "rebuild", *words)
    assert (built["events"], built["dead_letters"]) == (10, 0)
    assert (folder / "views.db").resolve().name == f"views-{built['generation']}.db"
    assert answer(folder, "projections", "rollback")["generation"] == 1
    switched = answer(folder, "projections", "activate", str(built["generation"]))
    assert switched["generation"] == built["generation"]
    assert len(answer(folder, "tasks")["items"]) == 10


def test_only_what_fills_views_may_take_long(data: Path) -> None:
    """Whatever else is asked of a projector that hangs is given up within seconds."""
    with closing(build_projector(data, 3600.0)) as projector:
        lasting = {op for op in Operations(projector).handlers() if patience_s(op) > 60}
    assert lasting == {"rebuild", "cancel", "activate", "rollback"}


def test_a_view_of_the_past_is_asked_by_name(folder: Path) -> None:
    """`--as-of` with `--view` keeps the state at a position beside the live one."""
    past = ("projections", "rebuild", "--all", "--as-of", "5", "--view", "before")
    assert answer(folder, *past)["view"] == "before"
    assert len(answer(folder, "tasks", "--view", "before")["items"]) == 5
    assert len(answer(folder, "tasks")["items"]) == 10
    assert run(folder, "projections", "remove", "before").exit_code == 0
    assert run(folder, "tasks", "--view", "before").exit_code == 3


def test_a_time_is_a_position(folder: Path) -> None:
    """`--as-of` takes a time: what was committed before it."""
    assert projection_commands.position_of(folder, "now") == 10
    assert projection_commands.position_of(folder, "2020-01-01") == 0
    assert projection_commands.position_of(folder, "7") == 7


def test_wait_ends_when_the_views_have_seen_the_log(folder: Path) -> None:
    """`wait` prints the position; a position beyond the head is a usage error."""
    assert run(folder, "projections", "wait").stdout.strip() == "10"
    assert run(folder, "projections", "wait", "--min-position", "99").exit_code == 2


REFUSED = (
    ("projections rebuild", 2),
    ("projections rebuild nothing", 2),
    ("projections rebuild --all --as-of 5", 2),
    ("projections rebuild --all --as-of 99 --view x", 2),
    ("projections activate 77", 2),
    ("projections rollback", 2),
    ("projections cancel", 4),
    ("deadletters show 7", 3),
    ("deadletters discard 7", 2),
    ("deadletters requeue", 2),
)


def test_what_cannot_be_done_says_so(folder: Path) -> None:
    """Each refusal has a message on standard error and its exit code."""
    for words, code in REFUSED:
        result = run(folder, *words.split())
        assert (words, result.exit_code, result.stdout) == (words, code, "")
        assert result.stderr.startswith("spanledger: ")


def test_dead_letters_are_listed_shown_and_requeued(folder: Path) -> None:
    """A dead letter shows its error and event, and is gone when it was applied."""
    park(folder, 3)
    (letter,) = answer(folder, "deadletters", "list")["items"]
    assert (letter["projection"], letter["position"], letter["state"]) == (
        "attempts",
        "3",
        "parked",
    )
    shown = run(folder, "deadletters", "show", str(letter["id"]))
    assert "ValueError: bad  [31mday" in shown.stdout
    assert "\x1b" not in shown.stdout
    document = answer(folder, "deadletters", "show", str(letter["id"]))
    assert document["event"]["position"] == "3"
    assert run(folder, "deadletters", "requeue", "--all").exit_code == 0
    assert answer(folder, "deadletters", "list")["items"] == []


def test_dead_letters_are_discarded(folder: Path) -> None:
    """A discarded one stays on record; an event can be discarded before it is parked."""
    park(folder, 3)
    assert run(folder, "deadletters", "discard", "--all").exit_code == 0
    by_position = ("discard", "--projection", "tasks", "--position", "4")
    assert run(folder, "deadletters", *by_position).exit_code == 0
    states = [letter["state"] for letter in answer(folder, "deadletters", "list")["items"]]
    assert states == ["discarded", "discarded"]


def test_a_rebuild_runs_beside_readers(folder: Path) -> None:
    """A reader that lingers does not keep a rebuild from its end."""
    with closing(open_reader(folder)) as reader:
        reader.read(0, 0)
        assert run(folder, "projections", "rebuild", "--all").exit_code == 0


def test_the_shell_is_offered_what_is_there(folder: Path) -> None:
    """Names of projections, without those typed already; nothing for a folder without views."""

    def offered(at: Path, names: list[str], incomplete: str) -> list[str]:
        command = typer.main.get_command(app)
        context = typer.Context(command)
        context.params = {"data": at, "names": names}
        return completion.complete_projection(context, incomplete)

    assert offered(folder, ["tasks"], "ta") == ["task_metrics"]
    assert offered(folder / "nowhere", [], "") == []
