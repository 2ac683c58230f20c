"""Answers of a running service, over its HTTP API."""

import http.client
import ipaddress
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from events import names
from events.errors import BadInput, NotFound, Unavailable
from service.cli.output.exits import Failed
from service.network.tls import HUNG_UP, told

TIMEOUT_S: Final = 60.0
_PREFIX: Final = "/api/v1/"
_GIVE: Final = "give one with --cert-file and --key-file"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The API never redirects; whoever does must not be given the token."""

    def redirect_request(self, *_: Any) -> None:
        return None


class RemoteSource:
    """Asks `url`; the answers are the API's documents as they are."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        tenant: str | None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(parts):
            raise BadInput(f"--url {url}: write http://HOST:PORT or https://HOST:PORT")
        self.where = f"{parts.scheme}://{parts.netloc}"
        self._base = self.where + parts.path.rstrip("/")
        self._headers = {"accept": "application/json"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"
        if tenant:
            self._headers[names.TENANT_HEADER] = tenant
        # A proxy of the environment cannot reach this machine's loopback.
        proxies = [urllib.request.ProxyHandler({})] if _is_loopback(parts.hostname) else []
        secure = urllib.request.HTTPSHandler(context=tls)
        self._opener = urllib.request.build_opener(_NoRedirect, secure, *proxies)

    def ask(self, resource: str, filters: Mapping[str, Any]) -> dict[str, Any]:
        """The document at `resource` (below /api/v1), filters as query parameters.

        Raises:
            NotFound, BadInput, Unavailable, Failed: as the service answered, in its words.
        """
        path = "/".join(urllib.parse.quote(part, safe="") for part in resource.split("/"))
        query = urllib.parse.urlencode(
            {name: _parameter(value) for name, value in filters.items() if value is not None}
        )
        address = f"{self._base}{_PREFIX}{path}" + (f"?{query}" if query else "")
        return self._answer(urllib.request.Request(address, headers=self._headers))

    def send(
        self, resource: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Write `body` to `resource` (below /api/v1); the service's answer.

        Raises:
            BadInput, Unavailable, Failed: as the service answered, in its words.
        """
        return self._answer(
            urllib.request.Request(
                f"{self._base}{_PREFIX}{resource}",
                data=json.dumps(body).encode(),
                headers={**self._headers, **headers, "content-type": "application/json"},
            )
        )

    def _answer(self, request: urllib.request.Request) -> dict[str, Any]:
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                body = answer.read()
        except urllib.error.HTTPError as exc:
            raise self._refusal(exc) from exc
        except (OSError, http.client.HTTPException) as exc:
            reason = getattr(exc, "reason", exc)
            if isinstance(reason, ssl.SSLError):
                raise Failed(f"{self.where}: {_tls_refusal(reason)}") from exc
            if isinstance(reason, ConnectionResetError) and self.where.startswith("https:"):
                reason = f"{HUNG_UP} ({_GIVE})"
            raise Unavailable(f"{self.where} does not answer: {reason}") from exc
        return self._document(body)

    def close(self) -> None:
        self._opener.close()

    def _document(self, body: bytes) -> dict[str, Any]:
        try:
            document = json.loads(body)
        except ValueError as exc:
            raise Failed(f"{self.where} answered no JSON: is this Spanledger's API port?") from exc
        if not isinstance(document, dict):
            raise Failed(f"{self.where} answered no document: is this Spanledger's API port?")
        return document

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        try:
            problem = json.loads(error.read())
            detail = str(problem.get("detail") or problem.get("title") or error.reason)
        except (ValueError, AttributeError, OSError):
            detail = str(error.reason)
        message = f"{self.where}: {detail}"
        if error.code == 404:
            return NotFound(message)
        if error.code in (401, 403):
            return Failed(f"{message} (give a token with --token or SPANLEDGER_TOKEN)")
        if error.code in (429, 502, 503, 504):
            return Unavailable(message)
        return BadInput(message) if 400 <= error.code < 500 else Failed(message)


def tls_context(
    ca_file: Path | None, cert_file: Path | None, key_file: Path | None
) -> ssl.SSLContext:
    """What an https:// address is asked with.

    Raises:
        BadInput: a file cannot be used; the message names it.
    """
    if key_file is not None and cert_file is None:
        raise BadInput("--key-file needs --cert-file")
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as exc:  # ssl.SSLError is one
        raise BadInput(f"--ca-file {ca_file} cannot be used: {exc.strerror or exc}") from exc
    if cert_file is not None:
        try:
            context.load_cert_chain(cert_file, key_file)
        except OSError as exc:
            files = f"--cert-file {cert_file}" + (f" --key-file {key_file}" if key_file else "")
            raise BadInput(f"{files} cannot be used: {exc.strerror or exc}") from exc
    return context


def _tls_refusal(error: ssl.SSLError) -> str:
    """Why there is no TLS connection, and what to give."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{told(error)} (give its CA with --ca-file)"
    return f"{told(error)} ({_GIVE})"


def _parameter(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _has_port(parts: urllib.parse.SplitResult) -> bool:
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
