"""The command line in a process of its own."""

import subprocess

from tests.serving import SERVE, clean_environment


def said_by(*words: str, code: int = 0) -> str:
    """All that `spanledger WORDS` says; it must end with this exit code."""
    done = subprocess.run(
        [*SERVE[:-1], *words], capture_output=True, text=True, timeout=120,
        env=clean_environment(), check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr
