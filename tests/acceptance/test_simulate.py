"""A simulated stream, from the command to the answers of a service."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.invariants import wait_views
from tests.serving import SERVE, clean_environment, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_simulated_stream_is_recorded_properly(tmp_path: Path) -> None:
    """All its attempts arrive, with the failures that were asked for, and validate to 100."""
    with serving(tmp_path) as service:
        words = [
            "simulate", "--endpoint", f"http://{service.http}", "--runs", "60", "--rate", "200",
            "--failures", "0.5", "--seed", "3", "--json",
        ]  # fmt: skip
        done = subprocess.run(
            [*SERVE[:-1], *words], capture_output=True, text=True, timeout=120, check=True,
            env=clean_environment({"XDG_STATE_HOME": str(tmp_path)}), cwd=tmp_path,
        )  # fmt: skip
        told = json.loads(done.stdout)
        wait_views(service)
        page = service.ask("/api/v1/attempts?limit=1000")
        assert len(page["items"]) == told["attempts"]
        assert {item["component"] for item in page["items"]} == {"simulation"}
        failed = [item for item in page["items"] if item["error"]]
        assert len({item["error"]["category"] for item in failed}) >= 5
        runs = service.ask("/api/v1/runs?status=completed&limit=1000")["items"]
        assert len(runs) == told["completed"]
        (tmp_path / "attempts.json").write_text(json.dumps(page))
    checked = subprocess.run(
        [*SERVE[:-1], "validate", str(tmp_path / "attempts.json"), "--json"],
        capture_output=True, text=True, timeout=60, check=True, env=clean_environment(),
    )  # fmt: skip
    assert json.loads(checked.stdout)["score"] == 100.0
