"""The demo's Celery: real workers in processes of their own, and the producer in ours.

A folder stands in for a broker (Celery's file system transport), so there is nothing to install
but Celery.
"""

import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from events.errors import BadInput, Unavailable

TASKS: Final = "service.demo.celery_tasks"
OUTPUT: Final = "celery.log"
READY_S: Final = 30.0
STOP_S: Final = 10.0
_REINDEX_EVERY_ROUNDS: Final = 4


class CeleryShop:
    """Workers that report to an OTLP/HTTP endpoint (`host:port`), until `close`.

    Raises:
        Unavailable: the workers did not come up; the message holds what they said.
    """

    def __init__(self, endpoint: str, data: Path) -> None:
        folder = data / "celery"
        shutil.rmtree(folder, ignore_errors=True)  # messages of a demo that was killed
        for name in ("queue", "control"):
            (folder / name).mkdir(parents=True)
        os.environ |= {
            "DEMO_CELERY_FOLDER": str(folder),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{endpoint}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_SERVICE_NAME": "celery-shop",
        }
        self._tasks = tasks()
        self._tasks.instrument()
        self._orders = 0
        self._output = data / OUTPUT
        with self._output.open("wb") as output:
            self._worker = subprocess.Popen(
                [sys.executable, "-P", "-m", "celery", "-A", TASKS, "worker", "-c", "3",
                 "--without-gossip", "--without-mingle", "-l", "INFO"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C is ours
            )  # fmt: skip
        try:
            self._wait_ready()
        except BaseException:
            self.close()
            raise

    def _wait_ready(self) -> None:
        said, until_s = "", time.monotonic() + READY_S
        while time.monotonic() < until_s and self._worker.poll() is None:
            said = self._output.read_text(errors="replace")
            if " ready." in said:
                return
            time.sleep(0.1)
        raise Unavailable("\n".join(["Celery's worker did not come up:", *said.splitlines()[-10:]]))

    def play(self, number: int) -> None:
        """Submit what belongs to a round."""
        self._orders += 1
        self._tasks.charge.delay(self._orders)
        self._tasks.render.delay(self._orders)
        if number % _REINDEX_EVERY_ROUNDS == 0:
            self._tasks.reindex.delay()

    def close(self) -> None:
        """Let workers end what they are at, and send what is left."""
        self._worker.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._worker.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._worker.pid, signal.SIGKILL)
        self._worker.wait()


def require_celery() -> None:
    """Say what to install if Celery is not there.

    Raises:
        BadInput: it is not.
    """
    try:
        importlib.import_module("celery")
        importlib.import_module("opentelemetry.instrumentation.celery")
    except ImportError as exc:
        raise BadInput(
            f"--with celery: {exc.name} is not installed beside Spanledger; from a clone: "
            "pipx install --force '.[celery-demo]', or pip install '.[celery-demo]'"
        ) from exc


def tasks() -> Any:
    """The module of the tasks, which reads its folder from the environment when it is imported."""
    return importlib.import_module(TASKS)
