"""Facts written through a whole service: durable when answered, whatever is killed then."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.serving import Service, clean_environment, serving, until

BODY: Final[dict[str, Any]] = {
    "kind": "acme.deployed", "subject": {"type": "run", "task_id": "build"},
    "payload": {"by": "bob@example.com"},
}  # fmt: skip


def write(service: Service, key: str) -> httpx.Response:
    """Append the fact of `key` by the API."""
    return httpx.post(
        f"http://{service.api}/api/v1/facts", json=BODY, headers={"idempotency-key": key},
        trust_env=False, timeout=30,
    )  # fmt: skip


def log(data: Path, *words: str) -> str:
    """What `spanledger log …` prints."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "service.cli.main", "log", *words, "--data", str(data)],
        capture_output=True, text=True, timeout=60, check=True, env=clean_environment(),
    ).stdout  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_an_answered_fact_survives_a_kill(tmp_path: Path, workers: int) -> None:
    """With the writer in the receiver's process and in its own: what was answered is there once,
    scrubbed, and is answered the same by the service that is started next."""
    with serving(tmp_path, "--workers", str(workers)) as service:
        answers = [write(service, f"k{n}") for n in range(5)]
        assert [answer.status_code for answer in answers] == [201] * 5, answers[0].text
        service.kill()
    with serving(tmp_path, "--workers", str(workers)) as service:
        again = [write(service, f"k{n}") for n in range(5)]
        assert [a.json() for a in again] == [a.json() for a in answers]
        data = tmp_path / "data"
        assert log(data, "append", "acme.seen", "-s", "type=run", "--key", "k").strip() == "6"
        lines = [json.loads(line) for line in log(data, "read", "--kind", "fact").splitlines()]
        assert [line["event"]["kind"] for line in lines] == ["acme.deployed"] * 5 + ["acme.seen"]
        assert lines[0]["event"]["payload"] == {"by": "[email]"}
        position = lines[-1]["position"]
        until(lambda: "items" in service.ask(f"/api/v1/tasks?min_position={position}"))
