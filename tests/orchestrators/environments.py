"""One virtual environment for each orchestrator, made once a machine from a lock of our own.

`locks/NAME.in` says what is wanted and `locks/NAME.txt` holds every package of it with its
hashes, for all platforms. To renew one, with `uv` at hand:

    uv pip compile --universal --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --python-version 3.11 NAME.in -o NAME.txt
"""

import hashlib
import sys
from pathlib import Path
from typing import Final

from tests.peers.build import cached, run

LOCKS: Final = Path(__file__).with_name("locks")
NAMES: Final = tuple(sorted(path.stem for path in LOCKS.glob("*.txt")))


def environment(name: str) -> Path:
    """The folder of the environment of one orchestrator, made if it is not there.

    Raises:
        CannotBuild: it cannot be made here; the message carries what pip said.
    """
    lock = LOCKS / f"{name}.txt"
    version = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]

    def build(scratch: Path) -> Path:
        made = scratch.parent / "venv"  # an environment cannot be moved, its stamp can
        run([sys.executable, "-m", "venv", "--clear", made])
        pip = [made / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
        run([*pip, "install", "--quiet", "--require-hashes", "--requirement", lock])
        stamp = scratch / name
        stamp.touch()
        return stamp

    return cached(name, version, build).parent / "venv"


def python_of(name: str) -> str:
    """The Python of the environment of one orchestrator."""
    return str(environment(name) / "bin" / "python")
