"""Metrics of a whole service: one answer for all its processes, whatever becomes of them."""

import os
import signal
import time
from pathlib import Path

import pytest

from service.control.socket import call
from tests import serving as running
from tests.sending import send, wait_for_tasks
from tests.serving import Service, metric_of, serving, until

EVENTS = "spanledger_events_total"
REQUESTS = "spanledger_requests_total"


def end(service: Service, instance: str, how: signal.Signals) -> None:
    """End a child by a signal, and wait until another one is ready in its place."""
    pid = service.children()[instance]
    os.kill(pid, how)
    until(
        lambda: any(
            child["instance"] == instance and child["ready"] and child["pid"] != pid
            for child in call(service.data, "supervisor", "status")
        )
    )


def test_killed_processes_make_no_sum_fall(tmp_path: Path) -> None:
    """kill -9 of the receiver, then of the API: what was told once is told on, and goes on."""
    with serving(tmp_path) as service:
        send(service, ["a", "b"])
        wait_for_tasks(service, {"a", "b"})
        assert metric_of(service, EVENTS) == 2
        commits = metric_of(service, "spanledger_commit_seconds_count")
        end(service, "receiver", signal.SIGKILL)
        assert metric_of(service, EVENTS) == 2
        end(service, "api", signal.SIGKILL)
        send(service, ["c"], "http")
        until(lambda: metric_of(service, EVENTS) == 3)
        assert metric_of(service, "spanledger_commit_seconds_count") > commits
        assert metric_of(service, "spanledger_log_head_position") == 3
        assert metric_of(service, "spanledger_process_up", process="receiver") == 1
        assert not (service.data / "run" / "metrics").exists()


def test_a_process_that_ends_in_order_loses_nothing(tmp_path: Path) -> None:
    """Its last breath tells what it counted since it was asked."""
    with serving(tmp_path) as service:
        pid = service.children()["receiver"]
        send(service, ["a"])
        os.kill(pid, signal.SIGTERM)
        until(lambda: service.children().get("receiver") not in (pid, None))
        until(lambda: metric_of(service, EVENTS) == 1)


def test_a_process_that_hangs_stands_still(tmp_path: Path) -> None:
    """A stopped projector holds nobody up for long; its figures stay, and the lack is told."""
    with serving(tmp_path) as service:
        send(service, ["a"])
        wait_for_tasks(service, {"a"})
        pid = service.children()["projector"]
        until(lambda: metric_of(service, "spanledger_projected_events_total") == 1)
        os.kill(pid, signal.SIGSTOP)
        try:
            started_s = time.monotonic()
            assert metric_of(service, "spanledger_projected_events_total") == 1
            assert metric_of(service, "spanledger_process_up", process="projector") == 0
            assert time.monotonic() - started_s < 10
        finally:
            os.kill(pid, signal.SIGCONT)
        until(lambda: metric_of(service, "spanledger_process_up", process="projector") == 1)


@pytest.mark.slow
def test_roles_one_by_one_are_one_answer(tmp_path: Path) -> None:
    """Without a supervisor the API asks the roles itself, and keeps what ended ones counted."""
    data = tmp_path / "data"
    started: list[Service] = []
    try:
        for role in ("writer", "projector", "receiver", "api"):
            started.append(running.start(data, "--role", role, output=role))
        receiver, api = started[2:]
        addresses = running.addresses_of(receiver, "OTLP/gRPC", "OTLP/HTTP")
        service = Service(
            data, api.process, api.output, *addresses, *running.addresses_of(api, "API")
        )
        send(service, ["a"])
        until(lambda: metric_of(service, REQUESTS, signal="traces") == 1)
        receiver.kill()
        assert metric_of(service, REQUESTS, signal="traces") == 1
        assert metric_of(service, "spanledger_process_up", process="receiver-1") == 0
        started.append(running.start(data, "--role", "receiver", output="again"))
        service.grpc, service.http = running.addresses_of(started[-1], "OTLP/gRPC", "OTLP/HTTP")
        send(service, ["b"])
        until(lambda: metric_of(service, REQUESTS, signal="traces") == 2)
    finally:
        for one in started:
            one.kill()
