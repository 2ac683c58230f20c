"""`localhost` is 127.0.0.1 and ::1: clients try either first."""

import socket
from contextlib import closing
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from events.errors import Unavailable
from service.network import addresses
from service.network.addresses import bind, ensure_free
from service.network.ports import Ports, PortTaken
from tests.ports import free_port
from tests.serving import NotServing, serving, start

BOTH = ("127.0.0.1", "::1")


def has_ipv6() -> bool:
    """Whether there is a loopback address of IPv6 here."""
    return addresses.addresses("localhost") == BOTH


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="there is no ::1 on this machine")


def hold(host: str) -> tuple[socket.socket, int]:
    """A socket that listens on one family only, and its port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    return listener, listener.getsockname()[1]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_all_ports_answer_on_both_families(tmp_path: Path, workers: str) -> None:
    """gRPC, OTLP/HTTP and API, one receiver or several; endpoints.json names IPv4."""
    with serving(tmp_path, "--workers", workers) as service:
        for address in (service.grpc, service.http, service.api):
            assert address.startswith("127.0.0.1:")
        for host in BOTH:
            shown = f"[{host}]" if ":" in host else host
            port = service.api.rpartition(":")[2]
            url = f"http://{shown}:{port}/api/v1/health/ready"
            assert httpx.get(url, trust_env=False).status_code == 200
            url = f"http://{shown}:{service.http.rpartition(':')[2]}/v1/traces"
            assert httpx.post(url, json={}, trust_env=False).status_code == 200
            target = f"{shown}:{service.grpc.rpartition(':')[2]}"
            with grpc.insecure_channel(target) as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                told = stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
                assert told.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("host", BOTH)
def test_a_port_taken_on_either_family_is_named(tmp_path: Path, host: str) -> None:
    """The start fails with the address and what to do."""
    taken, port = hold(host)
    with closing(taken):
        with pytest.raises(PortTaken, match=r"--api-port") as caught:
            Ports("localhost", {"api_port": port})
        assert f"port {port} on {host} cannot be used" in str(caught.value)
        service = start(tmp_path / "data", "--api-port", str(port))
        with pytest.raises(NotServing, match=f"port {port} on {host} cannot be used"):
            service.wait_ready()


@pytest.mark.parametrize(
    ("host", "listens"),
    [("localhost", BOTH), ("LOCALHOST.", BOTH), ("127.0.0.1", BOTH[:1]), ("::1", BOTH[1:]),
     ("[::1]", BOTH[1:])],
)  # fmt: skip
def test_a_host_means_its_addresses(host: str, listens: tuple[str, ...]) -> None:
    """`localhost` is both, an address is itself, brackets don't matter; one port for all."""
    listeners = bind(host, 0, shared=False)
    try:
        assert tuple(listener.getsockname()[0] for listener in listeners) == listens
        assert len({listener.getsockname()[1] for listener in listeners}) == 1
    finally:
        for listener in listeners:
            listener.close()


def test_workers_share_both() -> None:
    """Shared sockets may be bound again, others not."""
    port = free_port()
    shared = [*bind("localhost", port, shared=True), *bind("localhost", port, shared=True)]
    try:
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
            ensure_free("localhost", port)
        with pytest.raises(Unavailable, match="::1"):
            ensure_free("::1", port)
    finally:
        for listener in shared:
            listener.close()


def test_a_machine_without_ipv6_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that the machine has not is left out without a word."""
    monkeypatch.setattr(addresses, "_LOOPBACK", ("127.0.0.1", "2001:db8::1"))
    assert addresses.addresses("localhost") == ("127.0.0.1",)
    monkeypatch.setattr(addresses, "_LOOPBACK", ("192.0.2.1",))
    with pytest.raises(Unavailable, match="no loopback"):
        addresses.addresses("localhost")
