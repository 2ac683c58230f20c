"""Task runs and attempts as OpenTelemetry spans.

One trace a run, whose id follows from tenant, task id and run id; one span an attempt. The guide
is `docs/sdk.md`. Nothing here raises into the program that uses it.
"""

from spanledger_sdk.attempts import Attempt, current_attempt
from spanledger_sdk.carried import AttemptContext
from spanledger_sdk.configuration import Telemetry, configure
from spanledger_sdk.current import (
    causes,
    cost,
    executor,
    io,
    parents,
    progress,
    retrieval,
    review,
)
from spanledger_sdk.ids import trace_id_of
from spanledger_sdk.lifecycle.processor import LifecycleProcessor
from spanledger_sdk.names import VERSION as __version__
from spanledger_sdk.runs import Run, attempt, enqueue, run
from spanledger_sdk.tasks import resume, task

__all__ = [
    "Attempt",
    "AttemptContext",
    "LifecycleProcessor",
    "Run",
    "Telemetry",
    "__version__",
    "attempt",
    "causes",
    "configure",
    "cost",
    "current_attempt",
    "enqueue",
    "executor",
    "io",
    "parents",
    "progress",
    "resume",
    "retrieval",
    "review",
    "run",
    "task",
    "trace_id_of",
]
