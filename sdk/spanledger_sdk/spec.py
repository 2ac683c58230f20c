"""What is the same for all attempts of a task or run: said once, used by each."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.trace import SpanKind

from spanledger_sdk import names, settings
from spanledger_sdk.carried import AttemptContext
from spanledger_sdk.guard import complain
from spanledger_sdk.ids import TraceIds
from spanledger_sdk.settings import Sample, Settings, Usage


class Spec:
    """A task, and how its attempts are recorded.

    Args:
        task_id: what is done; the same for all runs.
        name: for people; without it the task id stands alone.
        group_id: run of the flow, DAG or pipeline that this belongs to.
        queue: where attempts wait before they are made.
        max_attempts: how many there may be.
        tenant: part of the trace id; by default that of the settings.
        sample: `always` records attempts whatever the provider's sampler says.
        usage: what is measured of each attempt.
        kind: INTERNAL, or CONSUMER where a queue is named.
        attributes: further ones, set at each start.
    """

    __slots__ = (
        "_trace_ids", "always", "attributes", "given_tenant", "group_id", "kind",
        "max_attempts", "name", "queue", "task_id", "usage",
    )  # fmt: skip

    def __init__(
        self,
        task_id: str,
        *,
        name: str | None = None,
        group_id: str | None = None,
        queue: str | None = None,
        max_attempts: int | None = None,
        tenant: str | None = None,
        sample: Sample | None = None,
        usage: Usage | None = None,
        kind: SpanKind | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        if type(task_id) is not str or not task_id:
            complain("a task id must be a text that is not empty", repr(task_id))
            task_id = str(task_id) or "unnamed"
        self.task_id = task_id
        self.name, self.group_id, self.queue = name, group_id, queue
        self.max_attempts = max_attempts
        self.given_tenant = tenant
        self.always = None if sample is None else sample == "always"
        self.usage = usage
        self.kind = kind or (SpanKind.CONSUMER if queue else SpanKind.INTERNAL)
        self.attributes: dict[str, Any] = dict(attributes or {})
        self.attributes[names.TASK_ID] = task_id
        pairs = (
            (names.TASK_NAME, name), (names.TASK_GROUP_ID, group_id), (names.TASK_QUEUE, queue),
            (names.TASK_MAX_ATTEMPTS, max_attempts),
        )  # fmt: skip
        self.attributes.update((key, value) for key, value in pairs if value is not None)

        self._trace_ids = TraceIds(self.tenant, task_id)

    def trace_id(self, run_id: str, force: Settings) -> int:
        """The trace id of a run of this task, by the settings in force."""
        tenant = self.given_tenant or force.tenant
        if tenant != self._trace_ids.tenant:  # the settings came after the task
            self._trace_ids = TraceIds(tenant, self.task_id)
        return self._trace_ids(run_id)

    @property
    def tenant(self) -> str:
        """Whose runs these are."""
        return self.given_tenant or settings.current().tenant

    def with_context(self, context: AttemptContext) -> "Spec":
        """This task, with what a carried context says of it: tenant, queue, and so on."""
        wanted = (
            context.name or self.name, context.group_id or self.group_id,
            context.queue or self.queue, context.max_attempts or self.max_attempts,
            context.tenant or self.given_tenant,
        )  # fmt: skip
        own = (self.name, self.group_id, self.queue, self.max_attempts, self.given_tenant)
        if wanted == own and context.task_id == self.task_id:
            return self
        name, group_id, queue, max_attempts, tenant = wanted
        return Spec(
            context.task_id, name=name, group_id=group_id, queue=queue,
            max_attempts=max_attempts, tenant=tenant, kind=self.kind, usage=self.usage,
            sample=None if self.always is None else "always" if self.always else "provider",
            attributes=self.attributes,
        )  # fmt: skip

    def context(
        self,
        run_id: str,
        attempt: int,
        previous_span_id: int = 0,
        queued_at_ns: int | None = None,
    ) -> AttemptContext:
        """What a message carries for an attempt of this task."""
        return AttemptContext(
            self.task_id, run_id, attempt, self.given_tenant,
            f"{previous_span_id:016x}" if previous_span_id else None,
            self.name, self.group_id, self.queue, queued_at_ns, self.max_attempts,
        )  # fmt: skip


@lru_cache(256)
def spec_of(
    task_id: str,
    name: str | None,
    group_id: str | None,
    queue: str | None,
    max_attempts: int | None,
    tenant: str | None,
    sample: Sample | None,
    usage: Usage | None,
    kind: SpanKind | None,
) -> Spec:
    """One `Spec` for all attempts that say the same: to make one costs more than to look it up."""
    return Spec(
        task_id, name=name, group_id=group_id, queue=queue, max_attempts=max_attempts,
        tenant=tenant, sample=sample, usage=usage, kind=kind,
    )  # fmt: skip
