"""Commands of the command line, each in a process of its own that is forked from one that has
loaded everything: what a command does on its streams, without half a second of imports each.

`python -m tests.forked_commands` answers on standard output, a JSON line each, what is asked on
standard input. Its environment is that of all commands, `PYTHONIOENCODING` included.
"""

import base64
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from service.cli import main as command_line

_ROOT: Final = Path(__file__).parents[1]
_LOADED: Final = ("errors", "log", "serve", "status", "trace")


class Done(NamedTuple):
    """A command that has ended; on a terminal `stdout` is all that it wrote."""

    code: int
    stdout: bytes
    stderr: bytes


class ForkedCommands:
    """Runs commands in one environment; ends with its `with` block."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], env={**env, "TERM": "xterm"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT,
        )  # fmt: skip

    def __enter__(self) -> "ForkedCommands":
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def run(self, *args: str, width: int | None = None) -> Done:
        """A command in pipes, or on a terminal of this width."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"args": args, "width": width}).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Done(
            answer["code"], base64.b64decode(answer["out"]), base64.b64decode(answer["err"])
        )


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    errors, errors_in = os.pipe()
    out, out_in = os.pipe()
    pid, terminal = (os.fork(), out) if asked["width"] is None else pty.fork()
    if pid == 0:
        if asked["width"] is None:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out_in, 1)
            os.dup2(errors_in, 2)
        else:
            size = struct.pack("HHHH", 24, asked["width"], 0, 0)
            fcntl.ioctl(1, termios.TIOCSWINSZ, size)
        os.closerange(3, 256)
        _command(asked["args"])
    os.close(out_in)
    os.close(errors_in)
    said, complained = _all_of(terminal), _all_of(errors)
    if terminal != out:
        os.close(out)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {
        "code": code, "out": base64.b64encode(said).decode(),
        "err": base64.b64encode(complained).decode(),
    }  # fmt: skip


def _command(args: list[str]) -> None:
    """Be the command, and end as the interpreter would."""
    code: Any = 0
    try:
        sys.argv[1:] = args
        for number, name in ((1, "stdout"), (2, "stderr")):  # anew: they were made of other files
            old = getattr(sys, name)
            new = open(number, "w", encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
            setattr(sys, name, new)
        command_line.main()
    except SystemExit as exc:
        code = exc.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _all_of(descriptor: int) -> bytes:
    """All that is written until the other end is closed."""
    parts = []
    while True:
        try:
            part = os.read(descriptor, 1 << 16)
        except OSError:  # a terminal on Linux says so at the end
            break
        if not part:
            break
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts)


def _load() -> None:
    """What commands load when they are called for."""
    import_module("service.cli.lists")
    for name in _LOADED:
        import_module(f"service.cli.commands.{command_line.COMMANDS[name].module}")


if __name__ == "__main__":
    _load()
    for line in sys.stdin.buffer:
        os.write(1, json.dumps(_answer(json.loads(line))).encode() + b"\n")
