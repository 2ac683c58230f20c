"""Building a peer once: a lock while it is built, a rename when it is whole."""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path


class CannotBuild(RuntimeError):
    """The peer is not in the cache and cannot be built here; the message says why."""


def cache_folder() -> Path:
    """Where built peers are kept, outside any checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spanledger-peers"


def cached(name: str, version: str, build: Callable[[Path], Path]) -> Path:
    """The binary `name` of `version`; `build(folder)` makes it in a scratch folder if missing."""
    folder = cache_folder() / f"{name}-{version}"
    binary = folder / name
    if binary.exists():
        return binary
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                build(Path(scratch)).replace(binary)
    return binary


def go(*arguments: str, **environment: str) -> str:
    """Run the Go command and return what it printed."""
    return run(["go", *arguments], **environment)


def run(command: Sequence[str | Path], **environment: str) -> str:
    """Run a build command and return what it printed."""
    try:
        done = subprocess.run(
            command, env=os.environ | environment, check=True, capture_output=True, text=True
        )
    except FileNotFoundError as exc:
        raise CannotBuild(f"{command[0]} is not installed; the peers are built with Go") from exc
    except subprocess.CalledProcessError as exc:
        said = exc.stderr.strip() or exc.stdout.strip()
        raise CannotBuild(f"{command[0]} {command[1]} failed: {said[-2000:]}") from exc
    return done.stdout
