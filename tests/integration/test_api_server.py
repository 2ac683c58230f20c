"""The API's server: TLS, client certificates, CORS, a taken port."""

import ssl
from pathlib import Path

import httpx
import pytest

from events.errors import Unavailable
from service.access.tokens import TokenStore
from service.api.server import ApiServer
from service.configuration.settings import Settings
from tests.api_service import everyone_answers, serving
from tests.certificates import make_certificate

LIVE = "/api/v1/health/live"


def make_server(data: Path, **settings: object) -> ApiServer:
    """A server that is not started."""
    given = {"data": data, "api_port": 0} | settings
    return ApiServer(Settings(**given), TokenStore(data / "tokens.json"), probe=everyone_answers)


def test_tls_and_client_certificates(tmp_path: Path) -> None:
    """With a client authority, only a client with its certificate is heard."""
    ours, theirs = make_certificate(tmp_path), make_certificate(tmp_path, "client")
    server = make_server(
        tmp_path, tls_cert=ours.certificate, tls_key=ours.key, tls_client_ca=theirs.certificate
    )
    url = f"https://{server.start()}{LIVE}"
    try:
        stranger = ssl.create_default_context(cafile=str(ours.certificate))
        known = ssl.create_default_context(cafile=str(ours.certificate))
        known.load_cert_chain(theirs.certificate, theirs.key)
        assert httpx.get(url, verify=known, trust_env=False).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(url, verify=stranger, trust_env=False)
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http"), trust_env=False)
    finally:
        server.close()


def test_other_origins_are_let_in_by_setting(tmp_path: Path) -> None:
    """Without the setting no CORS header is sent; with it, preflights are answered."""
    asking = {"origin": "https://board.example", "access-control-request-method": "GET"}
    with serving(tmp_path) as client:
        assert "access-control-allow-origin" not in client.get(LIVE, headers=asking).headers
    with serving(tmp_path, cors_origins=("https://board.example",)) as client:
        for answer in (client.get(LIVE, headers=asking), client.options(LIVE, headers=asking)):
            assert answer.headers["access-control-allow-origin"] == "https://board.example"
        other = client.get(LIVE, headers={"origin": "https://elsewhere.example"})
        assert other.headers.get("access-control-allow-origin") != "https://elsewhere.example"


def test_a_taken_port_is_said_to_be_taken(tmp_path: Path) -> None:
    """The second server on a port does not start, and the first goes on."""
    with serving(tmp_path) as client:
        second = make_server(tmp_path, api_port=client.base_url.port)
        with pytest.raises(Unavailable, match=f"{client.base_url.port}"):
            second.start()
        second.close()
        assert client.get(LIVE).status_code == 200


def test_closing_twice_does_no_harm(tmp_path: Path) -> None:
    """Neither before the start nor after the end."""
    server = make_server(tmp_path)
    server.close()
    server.start()
    server.close()
    server.close()
