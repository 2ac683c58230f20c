"""Posting one request: to an address that was checked, in bounded time; what the answer means."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

import httpx

from service.alerts.sending.guard import Network, NotAllowed, resolve
from service.alerts.sending.shapes import Request
from service.forward.backoff import asked_s

Verdict = Literal["taken", "later", "refused", "unreadable"]
_ANSWER_BYTES: Final = 2_048
_LATER: Final = frozenset({408, 425, 429, 502, 503, 504})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Answer(NamedTuple):
    """What came of a request: *taken*; *later*: the receiver is not there or asks to wait;
    *refused*: it answered, and did not take it; *unreadable*: there is no request to be made of
    what the outbox holds."""

    verdict: Verdict
    message: str = ""
    retry_after_s: float = 0.0


class Sender:
    """Posts to receivers; one for each task that delivers. No proxy is asked, and no redirect
    followed: either would lead to addresses that nobody checked."""

    def __init__(self, allowed: Sequence[Network], timeout_s: float) -> None:
        self._allowed = allowed
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(timeout=timeout_s, trust_env=False)

    async def post(self, request: Request) -> Answer:
        """Send once, and wait for the answer; never raises for a bad one."""
        try:
            async with asyncio.timeout(self._timeout_s):  # all of it: name, answer, each byte
                return await self._post(request)
        except NotAllowed as exc:
            return Answer("later", str(exc))
        except TimeoutError:
            return Answer("later", f"no answer within {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as exc:
            return Answer("later", f"{type(exc).__name__}: {exc}".rstrip(": "))

    async def _post(self, request: Request) -> Answer:
        parts = urlsplit(request.url)
        host = (parts.hostname or "").encode("idna").decode("ascii")  # headers are ASCII
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        *others, last = await resolve(host, port, self._allowed)
        connect_s = self._timeout_s / (len(others) + 1)
        shown = f"[{host}]" if ":" in host else host

        def to(address: str) -> httpx.Request:
            return self._client.build_request(
                "POST",
                parts._replace(netloc=_netloc(address, port), fragment="").geturl(),
                content=request.body,
                headers={**request.headers, "host": f"{shown}:{port}" if parts.port else shown},
                extensions={"sni_hostname": host},  # the certificate is that of the name
                timeout=httpx.Timeout(self._timeout_s, connect=connect_s),
            )

        for address in others:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):  # nothing was sent
                return await self._answer(to(address))
        return await self._answer(to(last))

    async def _answer(self, request: httpx.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            body = b""
            async for part in response.aiter_raw():
                body += part
                if len(body) >= _ANSWER_BYTES:
                    break
        finally:
            await response.aclose()
        return read(response, body[:_ANSWER_BYTES])

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()


def _netloc(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def read(response: httpx.Response, body: bytes) -> Answer:
    """What an answer means."""
    if response.is_success:
        return Answer("taken")
    said = body.decode("utf-8", "replace").strip() or response.reason_phrase
    message = f"HTTP {response.status_code}: {said}"
    if response.status_code in _LATER:
        return Answer("later", message, asked_s(response.headers.get("retry-after")))
    if response.is_redirect:
        message = f"HTTP {response.status_code}: redirects are not followed; give the URL it means"
    return Answer("refused", message)
