"""Which spans of other instrumentations are attempts: what can be known when they start.

Most instrumentations set their attributes at the end, so scope, kind and name have to tell. The
list follows the ledger's built-in rules (a test compares them), which make attempts of these spans
in the end; where it is too generous, a sign of life too many does no harm.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from opentelemetry.trace import SpanKind


class Foreign(NamedTuple):
    """A kind of span that is an attempt; `*` and `?` in scope and name stand for anything."""

    system: str
    scope: str
    kind: SpanKind | None = None
    name: str = "*"


FOREIGN: Final[tuple[Foreign, ...]] = (
    Foreign("celery", "opentelemetry.instrumentation.celery", SpanKind.CONSUMER, "run/*"),
    Foreign("taskiq", "taskiq.middlewares.opentelemetry_middleware", SpanKind.CONSUMER),
    Foreign("dramatiq", "opentelemetry_instrumentor_dramatiq.src", SpanKind.CONSUMER),
    Foreign("remoulade", "opentelemetry.instrumentation.remoulade", SpanKind.CONSUMER),
    Foreign("rq", "opentelemetry_instrumentation_rq.instrumentor", SpanKind.CLIENT, "perform"),
    Foreign("rq", "opentelemetry_instrumentation_rq.instrumentor", SpanKind.CONSUMER),
    Foreign("prefect", "prefect", SpanKind.INTERNAL),
    Foreign("docket", "docket.worker", SpanKind.CONSUMER),
    Foreign("temporal", "temporalio.contrib.opentelemetry*", SpanKind.SERVER, "RunActivity:*"),
    Foreign(
        "hatchet", "hatchet_sdk.opentelemetry.instrumentor", SpanKind.CONSUMER,
        "hatchet.start_step_run*",
    ),
    Foreign("airflow", "airflow.sdk.execution_time.task_runner", None, "worker.*"),
)  # fmt: skip
SCOPES_KEPT: Final = 1_000


class Matcher:
    """Says of a span that starts whether it is an attempt; costs a look-up for most scopes."""

    def __init__(self, rules: Sequence[Foreign] = FOREIGN) -> None:
        self._rules = tuple(rules)
        self._of_scope: dict[str, tuple[Foreign, ...]] = {}

    def matches(self, scope: str, kind: SpanKind, name: str) -> bool:
        """Whether any rule takes it for an attempt."""
        rules = self._of_scope.get(scope)
        if rules is None:
            if len(self._of_scope) >= SCOPES_KEPT:
                self._of_scope.clear()
            rules = tuple(rule for rule in self._rules if fnmatchcase(scope, rule.scope))
            self._of_scope[scope] = rules
        return any(
            rule.kind in (None, kind) and (rule.name == "*" or fnmatchcase(name, rule.name))
            for rule in rules
        )
