"""What a program really did: a JSON line when a try starts, and one when it ends.

The programs write it in their own environments, so it needs Python alone; the tests read it. A try
whose process was killed has a start and no end.
"""

import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

FILE = "TRUTH"
"""The variable that names the file; all processes of a program append to the same."""


@dataclass(frozen=True)
class Try:
    """One try; `outcome` is `returned` or `raised`, or empty if nobody lived to tell."""

    task: str
    run: str
    n: int
    start_ns: int
    outcome: str = ""
    error_type: str = ""
    error: str = ""
    end_ns: int = 0


@contextlib.contextmanager
def trying(task: str, run: str, n: int) -> Iterator[None]:
    """Log the try in this block; `n` counts from 1."""
    mark = uuid.uuid4().hex
    _write(mark, task=task, run=run, n=n, start_ns=time.time_ns())
    try:
        yield
    except BaseException as exc:
        kind = type(exc)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        error_type = f"{module}{kind.__qualname__}"
        _write(mark, outcome="raised", error_type=error_type, error=str(exc), end_ns=time.time_ns())
        raise
    _write(mark, outcome="returned", end_ns=time.time_ns())


def _write(mark: str, **facts: str | int) -> None:
    line = json.dumps({"mark": mark, **facts}) + "\n"
    file = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def read(path: Path) -> list[Try]:
    """The tries of all processes, by task, run and number."""
    found: dict[str, Try] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        facts = json.loads(line)
        mark = facts.pop("mark")
        found[mark] = replace(found[mark], **facts) if mark in found else Try(**facts)
    return sorted(found.values(), key=lambda one: (one.task, one.run, one.n))
