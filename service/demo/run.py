"""Starts the service, runs the orchestrator against it, and shows what happens."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import httpx
from rich.console import Console, RenderableType
from rich.live import Live

from events.errors import Unavailable
from events.private import make_private
from service.configuration.reading import FIELDS
from service.demo.celery_shop import CeleryShop, require_celery
from service.demo.orchestrator import Orchestrator
from service.demo.show import Api, print_next_steps, screen, totals
from service.network.addresses import LOCALHOST
from service.network.endpoints import read_endpoints
from service.network.ports import Ports, PortTaken
from service.roles.declaration import all_ports

READY_S = 60.0
STOP_S = 20.0
ROUND_S = 1.5
SHOWN_ROUNDS = 9
LATER_ROUND_S = 5.0
HEARTBEAT_INTERVAL_S = 3.0
OUTPUT = "service.log"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Shop(Protocol):
    """What runs tasks in the demo."""

    def play(self, number: int) -> None:
        """Submit the tasks of a round."""

    def close(self) -> None:
        """End, and send what is left."""


def run_demo(data: Path, *, keep: bool, console: Console, with_celery: bool = False) -> None:
    """Serve `data`, run a few rounds of jobs, then go on until Ctrl-C if `keep`.

    Raises:
        BadInput: there is no Celery here.
        Unavailable: the service did not come up; the message holds what it said.
    """
    if with_celery:
        require_celery()
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup asked for
            signal.signal(number, _stop_once)
    # In the background of a terminal that stops writers (`stty tostop`) it writes all the same.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with _service(data, console) as endpoints:
            shop: Shop = (
                CeleryShop(endpoints["http"], data) if with_celery
                else Orchestrator(endpoints["grpc"])
            )  # fmt: skip
            _play(shop, endpoints, data, keep, console)
    except KeyboardInterrupt:
        console.print("Stopped. What was acknowledged stays in the log.")


def _stop_once(number: int, frame: FrameType | None) -> None:
    """End the demo; what follows takes seconds and must be whole, so later signals are in vain.

    `timeout` and `make` both send one, at about the same moment.
    """
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _play(shop: Shop, endpoints: dict[str, Any], data: Path, keep: bool, console: Console) -> None:
    api = Api(f"http://{endpoints['api']}")
    console.print(f"Open http://{endpoints['api']}/ in a browser: the page moves by itself.")
    try:
        for number in _rounds(console, lambda: screen(api, console), ROUND_S, SHOWN_ROUNDS):
            shop.play(number)
        if not console.is_terminal:
            console.print()  # a live view ends its last line on terminals only
        if keep:
            print_next_steps(console, endpoints, _command(), str(data), str(data / OUTPUT))
            for number in _rounds(console, lambda: totals(api), LATER_ROUND_S):
                shop.play(number)
    except KeyboardInterrupt:
        console.print("Stopping …")
        raise
    finally:
        shop.close()


def _rounds(
    console: Console, look: Callable[[], RenderableType], every_s: float, rounds: int | None = None
) -> Iterator[int]:
    """Number the rounds, and between them keep showing what `look` gives."""
    parent = os.getppid()
    with Live(console=console, auto_refresh=False) as live:
        for number in itertools.count() if rounds is None else range(rounds):
            yield number
            until_s = time.monotonic() + every_s
            while time.monotonic() < until_s:
                if sys.stdin.isatty() and os.getppid() != parent:
                    raise KeyboardInterrupt  # `make` was ended, and Ctrl-C no longer reaches us
                time.sleep(0.3)
                try:
                    live.update(look(), refresh=True)
                except httpx.HTTPError:
                    continue  # the API is just being restarted: the next look will tell


@contextmanager
def _service(data: Path, console: Console) -> Iterator[dict[str, Any]]:
    """`spanledger serve` on its usual ports, or on free ones where those are taken."""
    running = read_endpoints(data)
    if running is not None:
        pid = running["pid"]
        console.print(f"Spanledger serves {data} already: joining it. `kill {pid}` stops it.")
        yield running
        return
    console.print(f"Starting Spanledger on {data} …")
    make_private(data)
    with (data / OUTPUT).open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "service.cli.main", "serve", "--data", str(data),
             "--heartbeat-interval-s", str(HEARTBEAT_INTERVAL_S), *_free_ports(console)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={k: v for k, v in os.environ.items() if not k.startswith("SPANLEDGER_")},
            start_new_session=True,  # Ctrl-C is ours: the orchestrator stops first
        )  # fmt: skip
    try:
        yield _wait_ready(process, data)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_ready(process: subprocess.Popen[bytes], data: Path) -> dict[str, Any]:
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s and process.poll() is None:
        endpoints = read_endpoints(data)
        if endpoints is not None and Api(f"http://{endpoints['api']}").is_ready():
            return endpoints
        time.sleep(0.1)
    last_lines = (data / OUTPUT).read_text(errors="replace").splitlines()[-10:]
    raise Unavailable("\n".join(["the service did not come up:", *last_lines]))


def _free_ports(console: Console) -> list[str]:
    """Options that move a port to a free one where the usual one is taken."""
    options = []
    for port in all_ports():
        setting = FIELDS[port.setting]
        if port.default is not None:
            continue  # the service leaves it out by itself
        try:
            Ports(LOCALHOST, {port.setting: setting.default}).close()
        except PortTaken:
            console.print(f"Port {setting.default} is taken: a free one is used in its place.")
            options += [setting.option, "0"]
    return options


def _command() -> str:
    """How the reader can call `spanledger`: by its path where it is in no search path."""
    script = Path(sys.argv[0])
    return "spanledger" if shutil.which("spanledger") else os.path.relpath(script)
