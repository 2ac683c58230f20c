"""Jaeger's own suite for storages, run on a service of this checkout: exit code 0 if it passes.

    python -m tests.peers.certification

Not a test of the gate: the suite links every storage of Jaeger, which takes minutes to build the
first time. What it needs is internal to Jaeger's module, so it is built in a copy of that.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.peers.build import cached, go
from tests.peers.jaeger import VERSION
from tests.serving import serving

_SUITE = Path("internal") / "storage" / "integration"
_OURS = Path(__file__).with_suffix(".go")


def suite_binary() -> Path:
    """The suite as a program, built if it is not there."""

    def build(scratch: Path) -> Path:
        name = f"github.com/jaegertracing/jaeger@{VERSION}"
        module = json.loads(go("mod", "download", "-json", name))
        copy = scratch / "jaeger"
        shutil.copytree(module["Dir"], copy)
        for path in (copy, *copy.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)  # the module cache is read-only
        shutil.copy(_OURS, copy / _SUITE / "spanledger_test.go")
        go("test", "-C", str(copy), "-c", "-o", str(scratch / "suite"), f"./{_SUITE}")
        return scratch / "suite"

    return cached("suite", VERSION, build)


def main() -> int:
    """Run it; what it says goes to standard output."""
    binary = suite_binary()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "data", "--jaeger-port", "0") as service,
    ):
        environment = {
            "STORAGE": "spanledger", "REMOTE_STORAGE_ENDPOINT": service.jaeger,
            "REMOTE_STORAGE_WRITER_ENDPOINT": service.grpc,
        }  # fmt: skip
        command = [str(binary), "-test.v", "-test.run", "TestSpanledger"]
        return subprocess.run(command, env=environment, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
