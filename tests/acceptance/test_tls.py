"""TLS and client certificates on every port of a service, as its clients meet them."""

import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tests.certificates import Certificate, make_certificate
from tests.peers.sink import Sink
from tests.sending import make_spans, send
from tests.serving import Service, clean_environment, serving, until

SPANLEDGER = [sys.executable, "-P", "-m", "service.cli.main"]


@dataclass(frozen=True)
class Authority:
    """A CA, what it signed for the service and for its clients, and one that nobody trusts."""

    ca: Certificate
    server: Certificate
    client: Certificate
    stranger: Certificate

    def options(self, *, mutual: bool = False) -> list[str]:
        """Of a service that serves TLS."""
        files = ["--tls-cert", self.server.certificate, "--tls-key", self.server.key]
        return [str(part) for part in (*files, *self._mutual(mutual))]

    def _mutual(self, mutual: bool) -> list[Any]:
        return ["--tls-client-ca", self.ca.certificate] if mutual else []


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of the HTTP exporter would prefer these to the file that it is given."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One for all tests of this file."""
    folder = tmp_path_factory.mktemp("certificates")
    ca = make_certificate(folder, "ca")
    return Authority(
        ca,
        make_certificate(folder, "server", ca),
        make_certificate(folder, "client", ca),
        make_certificate(folder, "stranger"),
    )


@pytest.fixture(scope="module")
def secure(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Authority]]:
    """A service that serves TLS."""
    with _serving(tmp_path_factory.mktemp("secure"), authority) as service:
        yield service, authority


@pytest.fixture(scope="module")
def mutual(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Authority]]:
    """A service that asks its clients for a certificate."""
    with _serving(tmp_path_factory.mktemp("mutual"), authority, mutual=True) as service:
        yield service, authority


def _serving(folder: Path, authority: Authority, *, mutual: bool = False, args: Any = ()) -> Any:
    client = authority.client if mutual else None
    return serving(
        folder, *authority.options(mutual=mutual), *args, tls=trust(authority.ca, client)
    )


def trust(ca: Certificate, client: Certificate | None = None) -> ssl.SSLContext:
    """What a client connects with."""
    context = ssl.create_default_context(cafile=ca.certificate)
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    return context


def make_exporter(
    service: Service, transport: str, ca: Certificate, client: Certificate | None = None
) -> SpanExporter:
    """The SDK's exporter over TLS; it gives up soon."""
    if transport == "grpc":
        credentials = grpc.ssl_channel_credentials(
            ca.certificate.read_bytes(),
            client.key.read_bytes() if client else None,
            client.certificate.read_bytes() if client else None,
        )
        return GrpcExporter(endpoint=f"https://{service.grpc}", credentials=credentials, timeout=2)
    return HttpExporter(
        endpoint=f"https://{service.http}/v1/traces", certificate_file=str(ca.certificate),
        client_certificate_file=str(client.certificate) if client else None,
        client_key_file=str(client.key) if client else None, timeout=2,
    )  # fmt: skip


def export(sender: SpanExporter, task_id: str) -> SpanExportResult:
    """Send one attempt."""
    try:
        return sender.export(make_spans([task_id]))
    finally:
        sender.shutdown()


def ask(service: Service, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """`spanledger tasks --url` of the service over https."""
    return subprocess.run(
        [*SPANLEDGER, "tasks", "--url", f"https://{service.api}", "--json", *args],
        capture_output=True, text=True, timeout=120, env=clean_environment(env), check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_sdk_exporters_over_tls(secure: tuple[Service, Authority], transport: str) -> None:
    """Spans of the SDK arrive over TLS and are asked for over TLS."""
    service, authority = secure
    sender = make_exporter(service, transport, authority.ca)
    assert export(sender, f"over-{transport}") is SpanExportResult.SUCCESS
    head = service.ask("/api/v1/log/head")["position"]
    task = service.ask(f"/api/v1/tasks/over-{transport}?min_position={head}")
    assert task["status"] == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_a_sender_that_trusts_another_ca(secure: tuple[Service, Authority], transport: str) -> None:
    """It does not send, and the service goes on."""
    service, authority = secure
    sender = make_exporter(service, transport, authority.stranger)
    assert export(sender, "never") is SpanExportResult.FAILURE
    assert service.ask("/api/v1/health/ready")["status"] == "ready"


@pytest.mark.slow
def test_plain_text_at_tls_ports(secure: tuple[Service, Authority]) -> None:
    """Whoever speaks no TLS gets no answer, and in no log a trace of Python."""
    service, _ = secure
    for address in (service.http, service.api):
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://{address}/api/v1/health/ready", trust_env=False, timeout=5)
    channel = grpc.insecure_channel(service.grpc)
    with pytest.raises(grpc.FutureTimeoutError):
        grpc.channel_ready_future(channel).result(1)
    channel.close()
    assert "Traceback" not in service.said()


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_senders_with_certificates(mutual: tuple[Service, Authority], transport: str) -> None:
    """A certificate of the CA is let in; none, or one of somebody else, is not."""
    service, authority = mutual
    ca = authority.ca
    let_in = make_exporter(service, transport, ca, authority.client)
    assert export(let_in, f"known-{transport}") is SpanExportResult.SUCCESS
    for client in (None, authority.stranger):
        refused = make_exporter(service, transport, ca, client)
        assert export(refused, "never") is SpanExportResult.FAILURE
    head = service.ask("/api/v1/log/head")["position"]
    items = service.ask(f"/api/v1/tasks?min_position={head}")["items"]
    assert "never" not in {item["task_id"] for item in items}
    assert "Traceback" not in service.said()


@pytest.mark.slow
def test_api_with_certificates(mutual: tuple[Service, Authority]) -> None:
    """Also the API and its health checks ask for one."""
    service, authority = mutual
    for path in ("/api/v1/health/live", "/api/v1/tasks", "/metrics", "/docs"):
        url = f"https://{service.api}{path}"
        known = trust(authority.ca, authority.client)
        assert httpx.get(url, verify=known, trust_env=False).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(url, verify=trust(authority.ca), trust_env=False)
    handler = urllib.request.HTTPSHandler(context=trust(authority.ca, authority.client))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler)
    with opener.open(f"https://{service.api}/api/v1/health/ready", timeout=10) as answer:
        assert answer.status == 200


@pytest.mark.slow
def test_the_command_line_over_tls(
    secure: tuple[Service, Authority], mutual: tuple[Service, Authority], tmp_path: Path
) -> None:
    """A CA and a client certificate are given as options or variables; else it says what lacks."""
    service, authority = secure
    ca = str(authority.ca.certificate)
    found = ask(service, "--ca-file", ca)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["items"] is not None
    assert ask(service, SPANLEDGER_CA_FILE=ca).returncode == 0
    refusals = [
        (ask(service), "not trusted", "--ca-file"),
        (
            ask(service, "--ca-file", str(authority.stranger.certificate)),
            "not trusted",
            "--ca-file",
        ),
        (ask(service, "--ca-file", "/no/such.pem"), "/no/such.pem", "No such file"),
        (ask(service, "--key-file", "k"), "--key-file", "--cert-file"),
    ]
    service, _ = mutual
    client = authority.client
    pair = ["--cert-file", str(client.certificate), "--key-file", str(client.key)]
    assert ask(service, "--ca-file", ca, *pair).returncode == 0
    other = authority.stranger
    wrong = ["--cert-file", str(other.certificate), "--key-file", str(other.key)]
    refusals += [
        (ask(service, "--ca-file", ca), "client certificate", "--cert-file"),
        (ask(service, "--ca-file", ca, *wrong), "client certificate", "--cert-file"),
    ]
    for refused, *words in refusals:
        assert refused.returncode != 0, words
        assert all(word in refused.stderr for word in words), refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["otlp+grpcs", "otlp+https"])
def test_forwarding_to_a_tls_target(authority: Authority, scheme: str, tmp_path: Path) -> None:
    """The forwarder shows its certificate to a target that asks for one, and trusts its CA."""
    own = authority.server
    with Sink(
        tls=Certificate(own.certificate, own.key), client_ca=authority.ca.certificate
    ) as sink:
        address = sink.grpc if scheme == "otlp+grpcs" else sink.http
        files = {
            "ca_file": authority.ca.certificate, "cert_file": authority.client.certificate,
            "key_file": authority.client.key,
        }  # fmt: skip
        query = "&".join(f"{name}={path}" for name, path in files.items())
        target = f"{scheme}://{address}?{query}"
        with serving(tmp_path, "--forward", target) as service:
            send(service, ["a", "b"])
            until(lambda: len(sink.names()) == 2)
            assert doctor(service, "--forward", target)["forward " + address]["state"] == "ok"
            plain = f"{scheme}://{address}?ca_file={authority.stranger.certificate}"
            check = doctor(service, "--forward", plain)["forward " + address]
            assert check["state"] == "failed"
            assert "not trusted" in check["found"]


def doctor(service: Service, *args: str) -> dict[str, Any]:
    """The checks of `spanledger doctor` by name."""
    found = subprocess.run(
        [*SPANLEDGER, "doctor", "--data", str(service.data), "--json", *args],
        capture_output=True, text=True, timeout=120, env=clean_environment(), check=False,
    )  # fmt: skip
    return {check["name"]: check for check in json.loads(found.stdout)["checks"]}


@pytest.mark.slow
def test_doctor_of_a_tls_service(secure: tuple[Service, Authority]) -> None:
    """It knows the service's ports as ours, and tells until when the certificate is good."""
    service, authority = secure
    checks = doctor(service, *authority.options())
    assert checks["certificate"]["state"] == "warning"  # two days are few
    assert "days" in checks["certificate"]["found"]


def test_certificates_that_cannot_be_used(authority: Authority, tmp_path: Path) -> None:
    """A key of another certificate, and files that are none, stop the start with their names."""
    (tmp_path / "none.pem").write_text("nothing")
    server, other = authority.server, authority.client
    for certificate, key, ca in (
        (server.certificate, other.key, None),
        (tmp_path / "none.pem", server.key, None),
        (server.certificate, server.key, tmp_path / "none.pem"),
    ):
        options = ["--tls-cert", str(certificate), "--tls-key", str(key)]
        options += ["--tls-client-ca", str(ca)] if ca else []
        found = subprocess.run(
            [*SPANLEDGER, "serve", "--data", str(tmp_path / "data"), *options],
            capture_output=True, text=True, timeout=120, env=clean_environment(), check=False,
        )  # fmt: skip
        assert found.returncode == 2, found.stderr
        assert str(ca or certificate) in found.stderr
        assert "cannot be used" in found.stderr
        assert len(found.stderr.splitlines()) == 1
