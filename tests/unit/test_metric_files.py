"""Room for shared metrics: real, for every kind there is, and not demanded of a full disk."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from events.metric_files import FOLDER_VARIABLE, KINDS, reserve, trim
from tests.serving import clean_environment

COUNT = """
from events import metrics
metrics.REFUSED.labels("traces", "too_large").inc(3)
print(metrics.REFUSED.labels("traces", "too_large")._value.get())
"""
TELL = """
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


def run(program: str, folder: Path) -> str:
    environment = clean_environment({FOLDER_VARIABLE: str(folder)})
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return done.stdout


def test_every_file_of_a_process_has_its_room(tmp_path: Path) -> None:
    """No other files are made than those that were reserved, and none has holes."""
    assert run(COUNT, tmp_path).strip() == "3.0"
    files = list(tmp_path.iterdir())
    assert {file.name.rpartition("_")[0] for file in files} == set(KINDS)
    for file in files:
        assert file.stat().st_blocks * 512 >= file.stat().st_size
    assert 'spanledger_refused_total{reason="too_large",signal="traces"} 3.0' in run(TELL, tmp_path)


def test_a_process_that_ended_leaves_only_what_it_counted(tmp_path: Path) -> None:
    """The rest of its room goes back to the disk, and the others still read its counts."""
    run(COUNT, tmp_path)
    before = run(TELL, tmp_path)
    (pid,) = {int(file.stem.rpartition("_")[2]) for file in tmp_path.iterdir()}
    trim(tmp_path, pid)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 8192
    assert run(TELL, tmp_path) == before


def test_a_process_goes_on_with_the_files_of_its_number(tmp_path: Path) -> None:
    """Numbers come again; what an earlier process counted stays."""
    assert reserve(tmp_path)
    counter = tmp_path / f"counter_{os.getpid()}.db"
    counter.write_bytes(b"kept")
    assert reserve(tmp_path)
    assert counter.read_bytes() == b"kept"


def test_without_room_a_process_counts_for_itself(tmp_path: Path) -> None:
    """It works as ever; others do not hear of it."""
    missing = tmp_path / "missing"
    assert not reserve(missing)
    assert run(COUNT, missing).strip() == "3.0"


def test_nothing_half_made_is_left_to_readers(tmp_path: Path) -> None:
    """A disk that is full amid a file leaves none under its name."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        assert not reserve(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.glob("*.db"))
