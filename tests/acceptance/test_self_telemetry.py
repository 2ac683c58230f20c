"""The service's own spans: sent where they are asked for, and never about themselves."""

import time
from pathlib import Path

import pytest

from tests.peers.sink import Sink
from tests.sending import send, wait_for_tasks
from tests.serving import Service, clean_environment, start, until

QUIET_S = 6.0
"""Longer than the SDK gathers spans before it sends them."""


def resources(sink: Sink) -> set[str]:
    """The instances that sent spans."""
    return {
        attribute.value.string_value
        for request in sink.taken for resource in request.message.resource_spans
        for attribute in resource.resource.attributes if attribute.key == "service.instance.id"
    }  # fmt: skip


@pytest.mark.slow
def test_own_spans_are_sent(tmp_path: Path) -> None:
    """A span for each batch appended and each page folded, named and measured."""
    with Sink() as sink:
        service = start(tmp_path / "data", "--telemetry-endpoint", sink.grpc)
        try:
            service.wait_ready()
            send(service, ["a", "b"])
            wait_for_tasks(service, {"a", "b"})
            until(lambda: {"append", "fold"} <= set(sink.names()))
            assert {"receiver", "projector"} <= resources(sink)
            (append,) = [
                span for request in sink.taken for resource in request.message.resource_spans
                for scope in resource.scope_spans for span in scope.spans if span.name == "append"
            ]  # fmt: skip
            measured = {pair.key: pair.value.int_value for pair in append.attributes}
            assert measured["spanledger.events"] == measured["spanledger.stored"] == 2
        finally:
            assert service.terminate() == 0


@pytest.mark.slow
def test_a_service_that_observes_itself(tmp_path: Path) -> None:
    """Its own spans are stored like others, and call forth no more: after a while it is quiet."""
    first = start(tmp_path / "data")
    try:
        first.wait_ready()
        port = first.grpc.rpartition(":")[2]
    finally:
        first.terminate()
    target = f"127.0.0.1:{port}"
    service = start(tmp_path / "data", "--grpc-port", port, "--telemetry-endpoint", target)
    try:
        service.wait_ready()
        for number in range(3):
            send(service, [f"task-{number}"])
        until(lambda: head(service) > 3)  # its own spans have arrived
        time.sleep(QUIET_S)
        settled = head(service)
        assert settled < 3 + 20
        time.sleep(QUIET_S)
        assert head(service) == settled
    finally:
        assert service.terminate() == 0


@pytest.mark.slow
def test_two_services_that_observe_each_other(tmp_path: Path) -> None:
    """Spans about spans of the other do not go back and forth for ever."""
    services: list[Service] = []
    try:
        ports = []
        for name in ("one", "two"):
            service = start(tmp_path / name)
            services.append(service.wait_ready())
            ports.append(service.grpc.rpartition(":")[2])
            service.terminate()
        services = [
            start(tmp_path / name, "--grpc-port", own, "--telemetry-endpoint", f"127.0.0.1:{other}")
            for name, own, other in (("one", *ports), ("two", *ports[::-1]))
        ]
        for service in services:
            service.wait_ready()
        send(services[0], ["a"])
        until(lambda: head(services[1]) > 0)
        time.sleep(QUIET_S)
        settled = [head(service) for service in services]
        time.sleep(QUIET_S)
        assert [head(service) for service in services] == settled
    finally:
        for service in services:
            service.terminate()


@pytest.mark.slow
def test_an_endpoint_that_is_away_harms_nothing(tmp_path: Path) -> None:
    """Spans that cannot be sent are dropped; the service works and ends in time."""
    assert "SPANLEDGER_TELEMETRY_ENDPOINT" not in clean_environment()
    service = start(tmp_path / "data", "--telemetry-endpoint", "127.0.0.1:1")
    try:
        service.wait_ready()
        send(service, ["a"])
        wait_for_tasks(service, {"a"})
    finally:
        started_s = time.monotonic()
        assert service.terminate() == 0
        assert time.monotonic() - started_s < 8  # of a drain that may take ten seconds


def head(service: Service) -> int:
    """The end of the log."""
    return int(service.ask("/api/v1/log/head")["position"])
