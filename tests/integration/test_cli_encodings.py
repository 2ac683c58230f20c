"""Commands on terminals and in pipes that know few characters, end early, or are not there."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.events import make_batch, make_exception, make_log, make_span, trace_id
from tests.forked_commands import ForkedCommands
from tests.serving import clean_environment
from tests.views import make_folder

TASK = "überweisung → 東京 ✓"
COMMAND = [sys.executable, "-P", "-m", "service.cli.main"]
Running = Callable[..., ForkedCommands]
ENCODINGS = ("ascii", "cp1252", "latin-1", "utf-16")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One failed attempt whose every text is beyond ASCII, with a detail and a log record."""
    failed = make_span(
        task=TASK, run="läuft", trace_id=trace_id(1), status_code=2, name="Schritt „eins“",
        events=[make_exception(message="Zähler „leer“ 🚫")],
    )  # fmt: skip
    detail = make_span(
        task=None, trace_id=trace_id(1), parent_span_id=failed.span_id, name="lädt … 東京"
    )
    record = make_log(trace_id=trace_id(1), span_id=failed.span_id, body="größer als ∞")
    return make_folder(tmp_path_factory.mktemp("encodings"), [make_batch([failed, detail, record])])


def environment(data: Path, **changes: str) -> dict[str, str]:
    """Of a command that asks `data`."""
    return clean_environment({"SPANLEDGER_DATA": str(data), "PYTHONUTF8": "0", **changes})


@pytest.fixture(scope="module")
def commands(data: Path) -> Iterator[Running]:
    """Commands that ask `data`, by their encoding; without one by that of the locale."""
    with ExitStack() as running:

        @cache
        def of(encoding: str = "", **changes: str) -> ForkedCommands:
            said = {"PYTHONIOENCODING": encoding} if encoding else {}
            return running.enter_context(ForkedCommands(environment(data, **said, **changes)))

        yield of


def quietly(
    command: Sequence[str | bytes], env: Mapping[str, str], output: Any = subprocess.PIPE
) -> "subprocess.CompletedProcess[bytes]":
    """A command with all that it wrote."""
    return subprocess.run(
        command, stdout=output, stderr=subprocess.PIPE, env=env, timeout=60, check=False
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_and_csv_are_utf8_whatever_the_stream_is(commands: Running, encoding: str) -> None:
    """Programs get every character, in a document that is UTF-8."""
    run = commands(encoding).run
    done = run("attempts", "--json")
    assert json.loads(done.stdout.decode("utf-8"))["items"][0]["task_id"] == TASK
    done = run("attempts", "--csv")
    (row,) = csv.DictReader(io.StringIO(done.stdout.decode("utf-8")))
    assert (row["task_id"], row["error.message"]) == (TASK, "Zähler „leer“ 🚫")
    done = run("log", "read", "--json")
    assert [json.loads(line)["position"] for line in done.stdout.decode("utf-8").splitlines()]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--help"], 0),
        (["serve", "--help"], 0),
        (["attempts"], 0),
        (["tasks"], 0),
        (["trace", trace_id(1).hex()], 0),
        (["errors"], 0),
        (["history"], 0),
        (["status"], 0),
        (["log", "read"], 0),
        (["log", "verify"], 0),
        (["attempts", "--since", "gestern →"], 2),
        (["trace", "für 東京"], 2),
        (["größe"], 2),
    ],
)
def test_what_people_read_degrades(
    commands: Running, encoding: str, args: list[str], code: int
) -> None:
    """Tables, trees, help and messages come in a pipe and on a narrow terminal; none fails."""
    done = commands(encoding).run(*args)
    said = done.stdout.decode(encoding) + done.stderr.decode(encoding)
    assert (done.code, "Traceback" in said, "unexpected" in said) == (code, False, False)
    shown = commands(encoding).run(*args, width=40)
    assert (shown.code, b"Traceback" in shown.stdout) == (code, False), shown.stdout


def test_lookalikes_keep_their_width(commands: Running) -> None:
    """In ASCII letters lose their marks, lines become dashes, and wide characters two marks."""
    run = commands("ascii").run
    text = run("attempts").stdout.decode("ascii")
    assert "uberweisung > ???? +" in text
    tree = run("trace", trace_id(1).hex()).stdout.decode("ascii")
    assert "#" in tree
    assert "ladt . ????" in tree


def test_the_posix_locale_is_enough(data: Path) -> None:
    """As in a cron job."""
    env = environment(data, LC_ALL="POSIX", PYTHONCOERCECLOCALE="0")
    done = quietly([*COMMAND, "attempts"], env)
    assert (done.returncode, b"berweisung" in done.stdout) == (0, True)


def test_an_argument_that_is_no_text_is_refused_in_words(data: Path) -> None:
    """A stray byte in an argument is shown as a question mark."""
    env = environment(data, PYTHONIOENCODING="utf-8")
    command = [*COMMAND, "trace", b"ab\xff"]
    done = quietly(command, env)
    assert (done.returncode, b"Traceback" in done.stderr) == (2, False)


@pytest.mark.parametrize("width", [1, 7, 20])
def test_a_very_narrow_terminal_is_no_mistake(commands: Running, width: int) -> None:
    """Something is shown at any width."""
    for args in (["attempts"], ["trace", trace_id(1).hex()], ["--help"]):
        shown = commands().run(*args, width=width)
        assert (shown.code, b"Traceback" in shown.stdout) == (0, False), shown.stdout


def test_no_color_is_heeded(commands: Running) -> None:
    """With NO_COLOR a terminal gets no colours."""
    assert b"\x1b[1;31m" in commands().run("attempts", width=80).stdout
    assert b"\x1b[1;31m" not in commands(NO_COLOR="1").run("attempts", width=80).stdout


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_that_leaves_ends_the_command_quietly(data: Path, form: list[str]) -> None:
    """As `| head` does."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = quietly([*COMMAND, "attempts", *form], environment(data), output=gone)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("stream", ["1", "2"])
def test_closed_streams_are_no_mistake(data: Path, stream: str) -> None:
    """A caller may have closed either; no file of ours takes its place."""
    line = f'exec "$@" {stream}>&-'
    command = ["sh", "-c", line, "sh", *COMMAND, "attempts", "--json"]
    done = quietly(command, environment(data))
    assert (done.returncode, done.stderr) == (0, b"")
