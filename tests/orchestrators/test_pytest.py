"""pytest-opentelemetry on a part of this project's own tests, and on two that fail."""

import dataclasses
from pathlib import Path

import pytest

from tests.invariants import wait_views
from tests.orchestrators.comparison import attempts_of, compare, usual
from tests.orchestrators.play import PROGRAMS, Play, ProgramFailed
from tests.serving import serving

pytestmark = pytest.mark.orchestrators

ROOT = Path(__file__).parents[2]


def test_reruns_are_attempts_of_a_test(tmp_path: Path) -> None:
    """Each call of each test, also those that pytest-rerunfailures adds, with its error."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    with serving(tmp_path) as service:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{service.grpc}",
            "OTEL_EXPORTER_OTLP_INSECURE": "true",
            "PYTHONPATH": f"{ROOT}:{PROGRAMS}",
        }
        play = Play("pytest", tmp_path / "play", service.http, environment)
        with pytest.raises(ProgramFailed, match="1 failed"):
            play.run(
                "-m", "pytest", "-c", str(tmp_path / "pytest.ini"), "--rootdir", str(ROOT),
                "--import-mode=importlib", "-p", "truth_plugin", "-p", "no:cacheprovider",
                "--export-traces", "--reruns", "2", str(ROOT / "tests/unit/test_backoff.py"),
                str(ROOT / "tests/unit/test_times.py"), str(PROGRAMS / "flaky_tests.py"),
            )  # fmt: skip
        tried = play.truth
        wait_views(service)  # all was sent when pytest ended; a run may be another one before
        runs = {task: run for task, run, _ in attempts_of(service)}
        told = [dataclasses.replace(one, run=runs.get(one.task, "")) for one in tried]
        attempts = compare(service, told, usual)
    assert {attempt["system"] for attempt in attempts.values()} == {"pytest"}
    assert {one.n for one in tried} == {1, 2, 3}
