"""One request of OTLP over HTTP, and what its answer means.

What may be well another time is told from what never will be, as OTLP has it. A wrong token or
path (401, 403, 404) counts as the former: somebody will mend it, and the spool keeps what waits.
"""

import email.utils
import time
from typing import Final, Literal, NamedTuple

import requests
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,  # what every exporter uses: there is no public name for it
    attach,
    detach,
    set_value,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanledger_sdk.handover.encode import Body
from spanledger_sdk.names import TENANT_HEADER
from spanledger_sdk.settings import Settings

REFUSED: Final = frozenset({400, 405, 406, 411, 413, 414, 415, 422, 431})
"""Answers that will be the same the next time."""
CONNECT_TIMEOUT_S: Final = 3.0
RETRY_AFTER_LIMIT_S: Final = 600.0
ANSWER_LIMIT_BYTES: Final = 64 << 10

Verdict = Literal["taken", "again", "refused"]


class Answer(NamedTuple):
    """What became of a request."""

    verdict: Verdict
    why: str = ""
    retry_after_s: float = 0.0
    refused: int = 0
    """Of a request that was taken: how many of it were not."""


class Poster:
    """Sends bodies to one endpoint, over a kept connection."""

    def __init__(self, settings: Settings) -> None:
        self._base = settings.endpoint.rstrip("/")
        self._timeout_s = (min(CONNECT_TIMEOUT_S, settings.timeout_s), settings.timeout_s)
        self._headers = {
            **dict(settings.headers),
            "content-type": "application/x-protobuf",
            TENANT_HEADER: settings.tenant,
        }
        if settings.token:
            self._headers["authorization"] = f"Bearer {settings.token}"
        self._session = requests.Session()

    def post(self, body: Body) -> Answer:
        """Send it; nothing is raised, whatever the other side does."""
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            with self._session.post(
                f"{self._base}/v1/{body.signal}", data=body.data, headers=self._headers,
                timeout=self._timeout_s, allow_redirects=False, stream=True,
            ) as response:  # fmt: skip
                data = response.raw.read(ANSWER_LIMIT_BYTES, decode_content=True) or b""
                return _answer(body, response.status_code, response.headers, data)
        except Exception as exc:  # of requests, urllib3, ssl, or a codec of a broken answer
            return Answer("again", f"{type(exc).__name__}: {exc}")
        finally:
            detach(token)

    def close(self) -> None:
        """Give the connection up."""
        self._session.close()


def _answer(
    body: Body, status: int, headers: "requests.structures.CaseInsensitiveDict[str]", data: bytes
) -> Answer:
    if 200 <= status < 300:
        refused, why = _partial(body, data)
        return Answer("taken", why, refused=refused)
    why = f"HTTP {status}"
    if status in REFUSED:
        return Answer("refused", why)
    return Answer("again", why, _retry_after_s(headers.get("retry-after", "")))


def _partial(body: Body, data: bytes) -> tuple[int, str]:
    """How many of a request were refused, and why."""
    try:
        if body.signal == "traces":
            spans = ExportTraceServiceResponse.FromString(data).partial_success
            return spans.rejected_spans, spans.error_message
        logs = ExportLogsServiceResponse.FromString(data).partial_success
    except Exception:  # an answer that is no protobuf: the status says that it was taken
        return 0, ""
    return logs.rejected_log_records, logs.error_message


def _retry_after_s(text: str) -> float:
    """Seconds, or the seconds until a date; 0 if nothing usable is said."""
    try:
        wait_s = float(text)
    except ValueError:
        try:
            wait_s = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(wait_s, RETRY_AFTER_LIMIT_S) if wait_s > 0 else 0.0
