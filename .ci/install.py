"""Makes the virtual environment that `make` works in, with nothing but a Python.

`python3 .ci/install.py VENV` leaves VENV with Spanledger in it (editable, with what the tests
need), whatever stood there before: nothing, a finished one, a half-finished one, one whose Python
is gone, one of a folder that was moved. A finished one is left alone.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)
CANDIDATES = [f"python3.{minor}" for minor in range(19, OLDEST[1] - 1, -1)]
MADE_FROM = (
    "pyproject.toml",
    "sdk/pyproject.toml",
    "hatch_build.py",
    "events/log/native/*",
    "service/otlp/decode/native/*",
)


def main() -> None:
    """Make, mend or leave alone the environment named on the command line."""
    if sys.version_info < OLDEST:  # this file runs on older ones too, to be able to say so
        go_on_in_another_python()
    venv = Path(sys.argv[1]).absolute()
    stamp = venv / "installed"
    wanted = fingerprint()
    try:
        if usable(venv):
            if stamp.is_file() and stamp.read_text() == wanted:
                return
        else:
            create(venv)
        install(venv)
        stamp.write_text(wanted)
    except OSError as exc:
        end(f"{exc}\nTo put the environment elsewhere: make VENV=/some/folder …")


def go_on_in_another_python() -> None:
    """Replace this process by a new enough Python, if this machine has one."""
    for path in filter(None, map(shutil.which, CANDIDATES)):
        if subprocess.call([path, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            os.execv(path, [path, *sys.argv])
    end(
        f"Spanledger needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}. "
        "With one elsewhere: make PYTHON=/path/to/python3.11 …"
    )


def fingerprint() -> str:
    """What a finished environment was made from: this folder and the files it was built from."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in MADE_FROM for file in ROOT.glob(pattern)):
        digest.update(file.read_bytes())
    return f"{ROOT}\n{digest.hexdigest()}\n"


def usable(venv: Path) -> bool:
    """Whether its Python runs, is new enough, and has pip."""
    check = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
    try:
        return subprocess.call([python(venv), "-c", check], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def python(venv: Path) -> str:
    """The Python of an environment."""
    return str(venv / "bin" / "python")


def create(venv: Path) -> None:
    """Make an empty environment in place of whatever is there."""
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if made.returncode:
        shutil.rmtree(venv, ignore_errors=True)
        end(
            f"{made.stdout.decode(errors='replace').strip()}\n"
            f"Could not make a virtual environment in {venv} with {sys.executable}.\n"
            "If ensurepip or venv is missing, on Debian and Ubuntu: apt-get install python3-venv\n"
            "To put the environment elsewhere: make VENV=/some/folder …"
        )


def install(venv: Path) -> None:
    """Install, saying on one line how far it is; pip's own words are kept for when it fails."""
    print(f"Installing into {os.path.relpath(venv)}: once, one to two minutes …", flush=True)
    log = venv / "install.log"
    command = [python(venv), "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", "--editable", ".[test]"]
    command += ["--editable", "./sdk[usage]"]
    started_s = time.monotonic()
    with (
        log.open("wb") as kept,
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as pip,
    ):
        for line in pip.stdout or ():
            kept.write(line)
            show(line.decode(errors="replace"))
    show("")
    if pip.returncode:
        words = log.read_text(errors="replace").splitlines()[-15:]
        end("\n".join([*words, f"pip failed; all it said is in {log}"]))
    print(f"Installed in {time.monotonic() - started_s:.0f} s.{without_native(venv)}", flush=True)


def without_native(venv: Path) -> str:
    """A sentence about the optional modules, if they could not be compiled."""
    command = [python(venv), "-P", "-c", "import events.log._table, service.otlp.decode._native"]
    if subprocess.call(command, stderr=subprocess.DEVNULL) == 0:
        return ""
    return " There is no C compiler: spans are decoded in Python, with the same results, slower."


def show(line: str) -> None:
    """On a terminal, replace the last line by the package that pip is at."""
    words = line.split()[:2]
    if sys.stdout.isatty() and (not line or words[:1] in (["Collecting"], ["Building"])):
        print(f"\r\033[K  {' '.join(words)[:70]}" if words else "\r\033[K", end="", flush=True)
    elif sys.stdout.isatty() and words[:1] == ["Installing"]:
        print("\r\033[K  Unpacking", end="", flush=True)


def end(message: str) -> None:
    """Say why it did not work, and end."""
    print(message, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
