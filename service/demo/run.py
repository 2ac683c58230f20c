"""Starts the service, runs the orchestrator against it, and shows what happens."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from events.errors import Unavailable
from service.demo.orchestrator import JOBS, Orchestrator
from service.demo.show import Api, next_steps, screen
from service.endpoints import read_endpoints

READY_S = 60.0
ROUND_S = 1.5
ROUNDS = 8


def run_demo(data: Path, *, keep: bool, console: Console) -> None:
    """Serve `data`, run a few rounds of jobs, then keep serving until Ctrl-C if `keep`.

    Raises:
        Unavailable: the service did not come up; its own message was printed.
    """
    with _service(data) as endpoints:
        api = Api(f"http://{endpoints['api']}")
        orchestrator = Orchestrator(endpoints["grpc"])
        try:
            _show(orchestrator, api, console)
            console.print(next_steps(endpoints, _command()))
            while keep:
                _submit(orchestrator)
                time.sleep(ROUND_S * 4)
        except KeyboardInterrupt:
            console.print("Stopping …")
        finally:
            orchestrator.close()


def _show(orchestrator: Orchestrator, api: Api, console: Console) -> None:
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        for _ in range(ROUNDS):
            _submit(orchestrator)
            until = time.monotonic() + ROUND_S
            while time.monotonic() < until:
                time.sleep(0.3)
                try:
                    live.update(screen(api))
                except (urllib.error.URLError, TimeoutError):
                    continue  # the API is just being restarted: the next look will tell


def _submit(orchestrator: Orchestrator) -> None:
    for job in JOBS:
        if job.task_id != "model.train" or random.random() < 0.3:
            orchestrator.submit(job)


@contextmanager
def _service(data: Path) -> Iterator[dict[str, str]]:
    """`spanledger serve` on its default ports, or on free ones where those are taken."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "service.cli.main", "serve", "--data", str(data),
         *_free_ports(), "--log-level", "warning"],
        start_new_session=True,  # Ctrl-C is ours: the service is stopped after the orchestrator
    )  # fmt: skip
    try:
        yield _wait_ready(process, data)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait_ready(process: subprocess.Popen[bytes], data: Path) -> dict[str, str]:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        endpoints = read_endpoints(data)
        if endpoints is not None:
            try:
                Api(f"http://{endpoints['api']}").get("health/ready")
            except (urllib.error.URLError, TimeoutError, json.JSONDecodeError):
                pass  # not ready yet
            else:
                return endpoints
        time.sleep(0.1)
    raise Unavailable(f"the service did not become ready within {READY_S:g} s; see its message")


def _free_ports() -> list[str]:
    """Options that move a port to a free one where the usual one is taken."""
    options = []
    for option, port in (("--grpc-port", 4317), ("--http-port", 4318), ("--api-port", 8000)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                options += [option, "0"]
    return options


def _command() -> str:
    """How the reader can call `spanledger`: by its path where it is in no search path."""
    script = Path(sys.argv[0])
    return "spanledger" if shutil.which("spanledger") else os.path.relpath(script)
