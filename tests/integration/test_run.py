"""`spanledger run` is not to be noticed by the command that it runs, nor by who runs it.

No service answers here: that must not be noticed either.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.serving import clean_environment, until
from tests.terminal import terminal

pytestmark = pytest.mark.slow

RUN = [sys.executable, "-P", "-m", "service.cli.main", "run"]
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nobody takes what is sent, and the spool is in the test's folder."""
    ours = {"SPANLEDGER_SDK_ENDPOINT": NOBODY, "SPANLEDGER_SDK_SPOOL": str(tmp_path / "spool")}
    return clean_environment(ours)


def run(
    environment: Mapping[str, str], *words: str | bytes, **more: Any
) -> "subprocess.CompletedProcess[bytes]":
    """Run it to its end, with what it wrote."""
    return subprocess.run(
        [*RUN, *words], capture_output=True, check=False, env=environment, timeout=60, **more
    )


@contextlib.contextmanager
def running(
    environment: Mapping[str, str], *words: str, **more: Any
) -> "Iterator[subprocess.Popen[bytes]]":
    """Run it while the block runs."""
    with subprocess.Popen(
        [*RUN, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment, bufsize=0, **more,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()


@pytest.mark.parametrize("code", [0, 1, 3, 126, 255])
def test_the_exit_code_is_the_commands(environment: dict[str, str], code: int) -> None:
    """Whatever it is, and nothing is written besides."""
    done = run(environment, "--", "sh", "-c", f"exit {code}")
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV"])
def test_a_command_that_a_signal_ended_is_128_and_its_number(
    environment: dict[str, str], name: str
) -> None:
    """As shells say it."""
    done = run(environment, "--", "sh", "-c", f"kill -{name[3:]} $$")
    assert done.returncode == 128 + signal.Signals[name]


def test_a_command_that_cannot_start_ends_as_in_a_shell(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """127 if it is not there, 126 if it may not be run, with the reason."""
    (tmp_path / "plain").write_text("no program")
    missing = run(environment, "--", "no-such-command")
    plain = run(environment, "--", str(tmp_path / "plain"))
    assert (missing.returncode, plain.returncode) == (127, 126)
    assert missing.stderr == b"spanledger: no-such-command: No such file or directory\n"
    assert plain.stderr.endswith(b"Permission denied\n")


def test_megabytes_of_anything_pass_through(environment: dict[str, str]) -> None:
    """Standard input, output and error carry every byte, in both directions at once."""
    sent = os.urandom(5_000_000)
    done = run(environment, "--", "tee", "/dev/stderr", input=sent)
    assert (done.returncode, done.stdout == sent, done.stderr == sent) == (0, True, True)


def test_output_comes_as_it_is_written(environment: dict[str, str]) -> None:
    """Nothing is held back until there is more of it, on either stream."""
    script = "printf out; printf err >&2; read line; printf more"
    with running(environment, "--", "sh", "-c", script) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert (process.stdout.read(3), process.stderr.read(3)) == (b"out", b"err")
        process.stdin.write(b"\n")
        assert process.stdout.read(4) == b"more"


def test_arguments_are_passed_as_bytes(environment: dict[str, str]) -> None:
    """Also those that are no text, and options and dashes of the command's own."""
    words = [b"--task", b"--", b"\xff\xfe", "é".encode(), b""]
    done = run(environment | {"LC_ALL": "C.ISO-8859-1"}, "--", "printf", "[%s]", *words)
    assert done.stdout == b"".join(b"[" + word + b"]" for word in words)


def test_options_behind_the_command_are_the_commands(environment: dict[str, str]) -> None:
    """The `--` may be left out."""
    done = run(environment, "--task", "mine", "printf", "%s", "--task")
    assert done.stdout == b"--task"


def test_umask_and_signal_handling_are_as_they_were(environment: dict[str, str]) -> None:
    """Files of the command are not made private, and a closed pipe ends it."""
    done = run(environment, "--", "sh", "-c", "umask; yes | head -n 1", umask=0o022)
    assert done.stdout == b"0022\ny\n"


def test_it_is_tried_until_it_is_well(environment: dict[str, str], tmp_path: Path) -> None:
    """As often as allowed, with what each try wrote."""
    script = 'echo x >> tries; n=$(wc -l < tries); echo "try $n" >&2; test "$n" -ge 3'
    tried = ("--retries", "5", "--retry-delay", "0.05s", "--", "sh", "-c", script)
    done = run(environment, *tried, cwd=tmp_path)
    assert done.returncode == 0
    assert [line.split() for line in done.stderr.splitlines()] == [
        [b"try", b"1"], [b"try", b"2"], [b"try", b"3"],
    ]  # fmt: skip


def test_the_last_try_says_the_exit_code(environment: dict[str, str], tmp_path: Path) -> None:
    """After as many tries as allowed."""
    script = "echo x >> tries; exit $(wc -l < tries)"
    tried = ("--retries", "2", "--retry-delay", "0.05", "--", "sh", "-c", script)
    assert run(environment, *tried, cwd=tmp_path).returncode == 3


def test_a_command_that_takes_too_long_is_told_and_then_killed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """SIGTERM to its whole group, then SIGKILL; 124, and nothing of it is left."""
    script = "trap '' TERM; sleep 60 & echo $! > pid; wait; sleep 60"
    began_s = time.monotonic()
    done = run(
        environment, "--timeout", "0.5", "--kill-after", "0.5", "--", "sh", "-c", script,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 124
    assert time.monotonic() - began_s < 20
    assert not _lives(int((tmp_path / "pid").read_text()))


def _lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signals_reach_the_command(environment: dict[str, str], tmp_path: Path, name: str) -> None:
    """It does with them what it likes, and says the exit code."""
    short = name[3:]
    script = f"trap 'echo got {short}; exit 7' {short}; touch ready; while :; do sleep 0.05; done"
    words = ("--retries", "3", "--", "sh", "-c", script)
    with running(environment, *words, cwd=tmp_path) as process:
        until((tmp_path / "ready").exists)
        process.send_signal(signal.Signals[name])
        assert process.stdout
        assert process.stdout.read() == f"got {short}\n".encode()
        assert process.wait(20) == 7


def test_a_signal_that_does_not_end_it_is_passed_on_too(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Programs write their state, or read their settings again, when such a one comes."""
    script = "trap 'echo got it' USR1; touch ready; while :; do sleep 0.05; done"
    with running(environment, "--", "sh", "-c", script, cwd=tmp_path) as process:
        until((tmp_path / "ready").exists)
        process.send_signal(signal.SIGUSR1)
        assert process.stdout
        assert process.stdout.readline() == b"got it\n"
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM


def test_a_signal_reaches_all_of_the_command(environment: dict[str, str], tmp_path: Path) -> None:
    """Not the shell alone, but what it started, too."""
    script = "sleep 60 & echo $! > pid; touch ready; wait"
    with running(environment, "--", "sh", "-c", script, cwd=tmp_path) as process:
        until((tmp_path / "ready").exists)
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not _lives(pid))


def test_a_signal_between_two_tries_ends_it(environment: dict[str, str], tmp_path: Path) -> None:
    """At once, with the exit code of the try before."""
    words = ("--retries", "3", "--retry-delay", "1h", "--", "sh", "-c", "touch tried; exit 5")
    with running(environment, *words, cwd=tmp_path) as process:
        until((tmp_path / "tried").exists)
        time.sleep(0.3)
        process.terminate()
        assert process.wait(20) == 5


def test_what_a_command_leaves_behind_does_not_hold_it(environment: dict[str, str]) -> None:
    """A process in the background that has standard error open is not waited for."""
    began_s = time.monotonic()
    done = run(environment, "--", "sh", "-c", "sleep 12 > /dev/null & echo done")
    assert done.stdout == b"done\n"
    assert time.monotonic() - began_s < 12


def test_a_terminal_stays_one(environment: dict[str, str]) -> None:
    """All three streams are terminals for the command, of the same size, and Ctrl-C reaches it."""
    script = (
        "trap : INT; stty rows 33 cols 99; "
        f"{sys.executable} -P -m service.cli.main run -- sh -c '"
        "for n in 0 1 2; do test -t $n && echo tty $n; done; stty size <&2; "
        'trap "echo caught; exit 9" INT; echo waiting >&2; while :; do sleep 0.05; done\'; '
        "echo code $?"
    )
    os.environ.update({k: environment[k] for k in environment if k.startswith("SPANLEDGER_SDK")})
    try:
        with terminal(script) as it:
            it.read_until("waiting")
            it.press(b"\x03")
            seen = it.read_until("code 9")
    finally:
        for name in [name for name in os.environ if name.startswith("SPANLEDGER_SDK")]:
            del os.environ[name]
    assert all(f"tty {n}" in seen for n in (0, 1, 2))
    assert "33 99" in seen
    assert "caught" in seen


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "", "--", "true"], "not empty"),
        (["--timeout", "soon", "--", "true"], "--timeout soon"),
        (["--retry-delay", "-1", "--", "true"], "--retry-delay -1"),
        (["--timeout", "0", "--", "true"], "--timeout 0"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_meant_is_said(
    environment: dict[str, str], words: list[str], said: str
) -> None:
    """Before anything is run."""
    done = run(environment, *words)
    assert done.returncode == 2
    assert said in done.stderr.decode()
