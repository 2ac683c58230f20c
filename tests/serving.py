"""A real service in its own process, for tests: `with serving(folder, "--workers", "2") as it:`."""

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from service.control.socket import call

READY_S: Final = 90.0
STOP_S: Final = 60.0
SERVE: Final = [sys.executable, "-P", "-m", "service.cli.main", "serve"]


class NotServing(RuntimeError):
    """The service did not get ready, or would not end; the message carries what it printed."""


def clean_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of ours, changed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPANLEDGER_", "PROMETHEUS_"))}
    return kept | dict(changes or {})


@dataclass
class Service:
    """A running `spanledger serve`; ports as `host:port`. `tls` asks its API over https."""

    data: Path
    process: "subprocess.Popen[bytes]"
    output: Path
    grpc: str = ""
    http: str = ""
    api: str = ""
    jaeger: str = ""
    tls: ssl.SSLContext | None = None

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        return self.process.pid

    def said(self) -> str:
        """All that it printed and logged."""
        return self.output.read_text(errors="replace")

    def endpoints(self) -> dict[str, Any] | None:
        """What stands in endpoints.json."""
        with contextlib.suppress(FileNotFoundError):
            found: dict[str, Any] = json.loads((self.data / "endpoints.json").read_text())
            return found
        return None

    def children(self) -> dict[str, int]:
        """The process ids of its children, by instance."""
        status = call(self.data, "supervisor", "status")
        return {child["instance"]: child["pid"] for child in status if child["pid"]}

    def ask(self, path: str, *, timeout_s: float = 30.0, **headers: str) -> Any:
        """The JSON document that the API answers to GET `path`."""
        scheme = "https" if self.tls else "http"
        request = urllib.request.Request(f"{scheme}://{self.api}{path}", headers=headers)
        secure = urllib.request.HTTPSHandler(context=self.tls)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), secure)
        with opener.open(request, timeout=timeout_s) as answer:
            return json.loads(answer.read())

    def wait_ready(self, within_s: float = READY_S) -> "Service":
        """Wait until the API says that everything works.

        Raises:
            NotServing: it ended, or the time is over.
        """
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            if self.process.poll() is not None:
                break
            found = self.endpoints()
            if found and found["pid"] == self.pid:
                self.grpc, self.http, self.api = found["grpc"], found["http"], found["api"]
                self.jaeger = found.get("jaeger", "")
                with contextlib.suppress(OSError):
                    self.ask("/api/v1/health/ready")
                    return self
            time.sleep(0.05)
        raise NotServing(f"not ready (exit code {self.process.poll()}):\n{self.said()[-6000:]}")

    def terminate(self, within_s: float = STOP_S) -> int:
        """End it by SIGTERM; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired as exc:
            self.kill()
            raise NotServing(f"it did not end:\n{self.said()[-6000:]}") from exc

    def kill(self) -> None:
        """Kill the supervisor alone; its children are to notice."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def text_of(service: Service, path: str) -> str:
    """The text that the API answers to GET `path`."""
    with _direct.open(f"http://{service.api}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def metric_of(service: Service, name: str, **labels: str) -> float:
    """A metric, summed over the samples with these labels."""
    families = text_string_to_metric_families(text_of(service, "/metrics"))
    return sum(
        sample.value for family in families for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )  # fmt: skip


def open_stream(service: Service, path: str) -> Any:
    """An answer that does not end, such as the live tail; the caller closes it."""
    return _direct.open(f"http://{service.api}{path}", timeout=30)


def addresses_of(role: Service, *labels: str, within_s: float = READY_S) -> list[str]:
    """The addresses that a role run by itself prints behind `labels`, as `host:port`."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s and role.process.poll() is None:
        lines = [line.split() for line in role.said().splitlines()]
        found = {line[0]: line[1].rpartition("/")[2] for line in lines if len(line) > 1}
        if all(label in found for label in labels):
            return [found[label] for label in labels]
        time.sleep(0.05)
    raise NotServing(f"{labels} not printed:\n{role.said()[-6000:]}")


def until(condition: Callable[[], Any], within_s: float = 60.0) -> None:
    """Wait until `condition` holds."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to be"
        time.sleep(0.05)


def start(
    data: Path, *args: str, env: Mapping[str, str] | None = None, output: str = ""
) -> Service:
    """Start a service on free ports without waiting for it; the caller ends it by its pid.

    Args:
        output: name of the file, beside `data`, of what it prints; several may share one.
    """
    data.mkdir(parents=True, exist_ok=True)
    printed = data.parent / f"{output or data.name}.log"
    off = ["--mcp-port", "off", "--jaeger-port", "off"]
    ports = ["--grpc-port", "0", "--http-port", "0", "--api-port", "0", *off]
    with printed.open("ab") as file:
        process = subprocess.Popen(
            [*SERVE, "--data", str(data), *ports, *args], stdin=subprocess.DEVNULL, stdout=file,
            stderr=file, env=clean_environment(env), cwd=data.parent,
        )  # fmt: skip
    return Service(data, process, printed)


@contextlib.contextmanager
def serving(
    folder: Path,
    *args: str,
    env: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Service]:
    """A ready service on `folder / "data"`, with free ports; ended by its pid at the end.

    Args:
        args: further options of `spanledger serve`; later ones win over the free ports.
        env: further environment variables.
        tls: what to ask a service with that serves TLS.

    Raises:
        NotServing: it did not get ready, or did not end in time.
    """
    service = start(folder / "data", *args, env=env)
    service.tls = tls
    try:
        yield service.wait_ready()
    except BaseException:
        service.kill()
        raise
    service.terminate()
