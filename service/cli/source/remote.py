"""Answers of a running service, over its HTTP API."""

import ipaddress
import json
import ssl
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from events import names
from events.errors import BadInput, NotFound, Unavailable
from service.cli.output.exits import Failed
from service.network.tls import HUNG_UP, reason_of

TIMEOUT_S: Final = 60.0
_PREFIX: Final = "/api/v1/"
_GIVE: Final = "give one with --cert-file and --key-file"


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
            self._headers["authorization"] = f"Bearer {sendable('--token', token)}"
        if tenant:
            self._headers[names.TENANT_HEADER] = sendable("--tenant", tenant)
        try:
            # Redirects are not followed: the API makes none, and whoever does must not be given
            # the token. A proxy of the environment cannot reach this machine's loopback.
            self._client = httpx.Client(
                headers=self._headers,
                verify=True if tls is None else tls,
                timeout=TIMEOUT_S,
                trust_env=not _is_loopback(parts.hostname),
            )
        except (ValueError, ImportError) as exc:
            raise BadInput(f"the proxy that the environment names cannot be used: {exc}") from exc

    def ask(self, resource: str, filters: Mapping[str, Any]) -> dict[str, Any]:
        """The document at `resource` (below /api/v1, see `path_of`), filters as query parameters.

        Raises:
            NotFound, BadInput, Unavailable, Failed: as the service answered, in its words.
        """
        query = urllib.parse.urlencode(
            {name: _parameter(value) for name, value in filters.items() if value is not None}
        )
        address = f"{self._base}{_PREFIX}{resource}" + (f"?{query}" if query else "")
        return self._answer("GET", address)

    def send(
        self, resource: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Write `body` to `resource` (below /api/v1); the service's answer.

        Raises:
            BadInput, Unavailable, Failed: as the service answered, in its words.
        """
        return self._answer(
            "POST",
            f"{self._base}{_PREFIX}{resource}",
            content=json.dumps(body).encode(),
            headers={**headers, "content-type": "application/json"},
        )

    def _answer(self, method: str, address: str, **sent: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, address, **sent)
        except httpx.HTTPError as exc:
            raise self._silence(exc) from exc
        if not answer.is_success:
            raise self._refusal(answer)
        return self._document(answer.content)

    def _silence(self, error: httpx.HTTPError) -> Failed | Unavailable:
        """What to say of a service that gave no answer."""
        reason: BaseException | str = _cause(error, ssl.SSLError) or error
        if isinstance(reason, ssl.SSLError):
            return Failed(f"{self.where}: {_tls_refusal(reason)}")
        is_cut = isinstance(error, httpx.RemoteProtocolError) or _cause(error, ConnectionResetError)
        if is_cut and self.where.startswith("https:"):
            reason = f"{HUNG_UP} ({_GIVE})"
        return Unavailable(f"{self.where} does not answer: {reason}")

    def close(self) -> None:
        self._client.close()

    def _document(self, body: bytes) -> dict[str, Any]:
        try:
            document = json.loads(body)
        except ValueError as exc:
            raise Failed(f"{self.where} answered no JSON: is this Spanledger's API port?") from exc
        if not isinstance(document, dict):
            raise Failed(f"{self.where} answered no document: is this Spanledger's API port?")
        return document

    def _refusal(self, answer: httpx.Response) -> Exception:
        code, reason = answer.status_code, answer.reason_phrase
        try:
            problem = answer.json()
            detail = str(problem.get("detail") or problem.get("title") or reason)
        except (ValueError, AttributeError):
            detail = reason
        message = f"{self.where}: {detail}"
        if code == 404:
            return NotFound(message)
        if code == 401:
            return Failed(f"{message} (give a token with --token or SPANLEDGER_TOKEN)")
        if code == 403:
            return Failed(message)  # it says what token is needed
        if code in (429, 502, 503, 504):
            return Unavailable(message)
        return BadInput(message) if 400 <= code < 500 else Failed(message)


def sendable(option: str, value: str) -> str:
    """`value`, if it can stand in a header of HTTP as it is.

    Raises:
        BadInput: it cannot; the message does not show what may be a secret.
    """
    if not (value.isascii() and value.isprintable() and value == value.strip()):
        raise BadInput(
            f"{option}: give printable ASCII characters, no space at either end: it is sent as a "
            "header of HTTP"
        )
    return value


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


def _cause(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """The error of `kind` that led to `error`, if one did."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, kind):
        found = found.__cause__ or found.__context__
    return found


def _tls_refusal(error: ssl.SSLError) -> str:
    """Why there is no TLS connection, and what to give."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{reason_of(error)} (give its CA with --ca-file)"
    return f"{reason_of(error)} ({_GIVE})"


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
