"""What both transports do with a request: who sends it, into the queue, counted when answered."""

import logging
import time
from functools import lru_cache
from typing import Final

from events import metrics
from events.errors import Unavailable
from service.access.tokens import TokenStore
from service.otlp.pipeline import Pipeline
from service.otlp.request import Answer, Encoding, Request, Signal
from service.otlp.transport.codes import INTERNAL, status_of

COMMIT_TIMEOUT_S: Final = 30.0

_requests = lru_cache(256)(metrics.REQUESTS.labels)  # `labels` costs more than `inc`
_log = logging.getLogger(__name__)


class Intake:
    """The way of a request into the pipeline. Safe for any number of threads."""

    def __init__(self, pipeline: Pipeline, tokens: TokenStore) -> None:
        self._pipeline = pipeline
        self._tokens = tokens

    def tenant(self, bearer: str | None, named: str | None) -> str:
        """The tenant that a sender acts for.

        Raises:
            Unauthenticated, Forbidden, BadInput: see `TokenStore.authorize`.
        """
        return self._tokens.authorize(bearer, "ingest", named)

    def take(
        self, signal: Signal, encoding: Encoding, tenant: str, body: bytes, coding: str = ""
    ) -> Answer:
        """The outcome of one request, once it is durable; `coding` is how its body is compressed.

        Raises:
            QueueFull, Closing: see `Pipeline.submit`.
        """
        request = Request(signal, encoding, tenant, time.time_ns(), body, coding)
        return self._pipeline.submit(request)


def too_late() -> Unavailable:
    """What a sender is told whose request was not committed in time."""
    return Unavailable(f"no commit within {COMMIT_TIMEOUT_S:g} s; send it again")


def count_answer(signal: str, transport: str, code: str) -> None:
    """Count one answered request."""
    _requests(signal, transport, code).inc()


def count_refusal(signal: str, error: BaseException) -> None:
    """Count a request that was refused whole; one that failed by our fault is logged."""
    status = status_of(error)
    metrics.REFUSED.labels(signal, status.reason).inc()
    if status is INTERNAL:
        _log.error("request failed", extra={"action": "receive"}, exc_info=error)
