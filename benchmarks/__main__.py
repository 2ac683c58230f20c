"""Run benchmarks, each in a process of its own, and show their figures."""

import argparse
import importlib
import inspect
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import figures, machine
from benchmarks.figures import Figure

NAMES: Final = (
    "acked", "workers", "keeping", "processor", "single", "large", "wide", "growth", "rebuild",
    "projector", "long_run", "fairness", "hostile", "errors", "sdk", "search",
    "live",
)  # fmt: skip
LONG: Final = ("scale", "doors")
"""Only run when named: they take minutes."""


def main() -> int:
    """Returns the exit code: 1 if a benchmark failed. A floor that is missed is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join((*NAMES, *LONG)))
    parser.add_argument("--json", action="store_true", help="figures as JSON instead of a table")
    parser.add_argument("--quick", action="store_true", help="short runs, no repetitions")
    parser.add_argument("--data", type=Path, help="folder of large logs: made once, used again")
    parser.add_argument("--events", type=int, help="size of large logs")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    unknown = set(given.names) - {*NAMES, *LONG}
    if unknown:
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}")
    if given.one:
        found = _measure(given.names[0], given)
        print(msgspec.json.encode(found).decode())
        return 0
    return _run_each(given.names or list(NAMES), given)


def _measure(name: str, given: argparse.Namespace) -> list[Figure]:
    run = importlib.import_module(f"benchmarks.{name}").run
    taken = inspect.signature(run).parameters
    found: list[Figure] = run(**{option: getattr(given, option) for option in taken})
    return found


def _run_each(names: list[str], given: argparse.Namespace) -> int:
    options = ["--quick"] * given.quick
    for option in ("data", "events"):
        if (value := getattr(given, option)) is not None:
            options += [f"--{option}", str(value)]
    found: list[Figure] = []
    failed = []
    for name in names:
        started_s, busy = time.monotonic(), machine.load_average()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", "--one", name, *options],
            stdout=subprocess.PIPE, check=False,
        )  # fmt: skip
        took_s = time.monotonic() - started_s
        print(f"{name}: {took_s:.0f} s, load average {busy:.1f} before", file=sys.stderr)
        if done.returncode:
            failed.append(name)
        else:
            found += msgspec.json.decode(done.stdout, type=list[Figure])
    if given.json:
        shown = [figures.as_json(figure) for figure in found]
        print(json.dumps({"machine": machine.describe(), "figures": shown}, indent=1))
    else:
        print(machine.describe())
        figures.show(found)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
