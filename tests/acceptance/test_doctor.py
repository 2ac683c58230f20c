"""`spanledger doctor`: what it finds, and what it makes of it."""

import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from events.errors import Unavailable
from events.log.writer import LogWriter
from service.access.tokens import TokenStore
from service.installation.sqlite_version import may_lose_wal, require_sqlite
from tests.ports import free_port
from tests.serving import clean_environment, serving

FREE = ["--grpc-port", "0", "--http-port", "0", "--api-port", "0"]


def diagnose(data: Path, *args: str, **env: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the checks by name."""
    command = [sys.executable, "-P", "-m", "service.cli.main", "doctor", "--json"]
    found = subprocess.run(
        [*command, "--data", str(data), *args], capture_output=True, text=True, timeout=60,
        env=clean_environment(env), check=False,
    )  # fmt: skip
    document = json.loads(found.stdout)
    assert document["ok"] == (found.returncode == 0)
    return found.returncode, {check["name"]: check for check in document["checks"]}


def test_nothing_there_yet(tmp_path: Path) -> None:
    """Before the first start all is well, and nothing is made."""
    code, checks = diagnose(tmp_path / "data", *FREE)
    assert code == 0
    assert checks["log"]["found"].startswith("none yet")
    assert {"python", "sqlite", "grpc", "packages", "data", "clock", "tokens"} <= set(checks)
    assert not (tmp_path / "data").exists()


def test_what_fails_is_named(tmp_path: Path) -> None:
    """A taken port and a target that does not answer fail, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        target = f"otlp+grpc://127.0.0.1:{free_port()}?name=jaeger"
        code, checks = diagnose(tmp_path, *FREE, "--api-port", port, "--forward", target)
    assert code == 1
    assert checks["port api"]["state"] == "failed"
    assert "--api-port" in checks["port api"]["found"]
    assert checks["forward jaeger"]["state"] == "failed"
    assert checks["port grpc"]["state"] == "ok"


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    """Bad settings are a check that failed; the others are made all the same."""
    code, checks = diagnose(tmp_path, SPANLEDGER_WORKERS="none")
    assert code == 1
    assert "SPANLEDGER_WORKERS" in checks["settings"]["found"]
    assert checks["sync"]["state"] in ("ok", "warning")


def test_tokens_open_to_others(tmp_path: Path) -> None:
    """A token file that others may read is warned of."""
    TokenStore(tmp_path / "tokens.json").add("a", "read")
    (tmp_path / "tokens.json").chmod(0o644)
    code, checks = diagnose(tmp_path, *FREE)
    assert code == 0
    assert checks["tokens"]["state"] == "warning"


def test_a_log_open_to_others() -> None:
    """A log that every user of the machine can read is warned of, until its folder is closed."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        LogWriter(data).close()
        for mode, state in ((0o755, "warning"), (0o750, "ok")):
            data.chmod(mode)
            (data / "ledger.db").chmod(0o644)
            code, checks = diagnose(data, *FREE)
            assert code == 0
            assert checks["privacy"]["state"] == state


def test_beside_a_running_service(tmp_path: Path) -> None:
    """The ports of the service itself are no trouble, and its log is readable."""
    with serving(tmp_path) as service:
        code, checks = diagnose(service.data, *FREE)
        assert code == 0
        assert f"of our service (process {service.pid})" in checks["port grpc"]["found"]
        assert checks["log"]["found"].startswith("head ")


@pytest.mark.parametrize(
    ("version", "at_risk"),
    [
        ((3, 40, 1), True), ((3, 44, 5), True), ((3, 44, 6), False), ((3, 45, 0), True),
        ((3, 50, 6), True), ((3, 50, 7), False), ((3, 51, 2), True), ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)  # fmt: skip
def test_wal_reset_bug(version: tuple[int, int, int], at_risk: bool) -> None:
    """The bug was repaired in 3.51.3, and before that in two older lines."""
    assert may_lose_wal(version) == at_risk


def test_sqlite_that_is_too_old() -> None:
    """Without STRICT tables nothing starts."""
    with pytest.raises(Unavailable, match=r"3\.36\.0 is too old, 3\.37\.0 or newer"):
        require_sqlite((3, 36, 0))
    require_sqlite((3, 37, 0))
