"""The records of every answer; their texts are the OpenAPI document's.

Times come twice: RFC 3339 for people, `…_ns` (integer nanoseconds since 1970 UTC) for programs;
so do durations, in seconds and ns. A field that is not known is null.
"""

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")

Hex = Annotated[str, Meta(description="Lower-case hex digits")]
Ns = Annotated[int, Meta(description="Nanoseconds (times: since 1970 UTC)")]
Rfc3339 = Annotated[str, Meta(description="RFC 3339 time, UTC")]
PositionText = Annotated[
    str, Meta(description="A place in the log, opaque (embedded log: a decimal number)")
]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Part of a list."""

    items: list[T]
    next: Annotated[str, Meta(description="`cursor` that goes on here; null at the end")] | None
    position: Annotated[
        PositionText, Meta(description="What the views had seen of the log, at least")
    ]
    complete: Annotated[
        bool, Meta(description="False: the time budget ended; `next` searches on")
    ] = True


class RanBy(msgspec.Struct, frozen=True, kw_only=True):
    """What ran an attempt."""

    executor: (
        Annotated[
            str, Meta(description="The most exact that is known: id, tool, model, instance or host")
        ]
        | None
    )
    tool: str | None
    model: str | None
    planner: str | None
    host: str | None


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt failed."""

    type: str | None = None
    message: str | None = None
    stack_hash: Hex | None = None
    fingerprint: Annotated[Hex, Meta(description="Its pattern, see `errors/{fingerprint}`")] | (
        None
    ) = None


class Attempt(RanBy, frozen=True, kw_only=True):
    """One try of a task."""

    attempt_id: Hex
    task_id: str
    task_name: str | None
    run_id: str
    group_id: str | None
    attempt: Annotated[int, Meta(description="Number within the run, from 1")]
    status: str
    inferred: Annotated[list[str], Meta(description="Fields that were derived, not sent")]
    queued_at: Rfc3339 | None
    started_at: Rfc3339 | None
    ended_at: Rfc3339 | None
    queued_ns: Ns | None
    started_ns: Ns | None
    ended_ns: Ns | None
    duration_ns: Annotated[int, Meta(description="End - start; negative if clocks ran back")] | (
        None
    )
    duration_s: float | None
    queue: str | None
    component: Annotated[str, Meta(description="Service name of the sender")] | None
    error: Failure | None
    trace_id: Hex | None
    span_id: Hex | None
    retry_of: Annotated[str, Meta(description="`attempt_id` that this one tries again")] | None
    backfilled: bool
    system: Annotated[str, Meta(description="Orchestrator whose rules recognised it")] | None
    progress: Annotated[float, Meta(description="Share done, as last told")] | None = None
    max_attempts: int | None = None
    parents: list[str] = []
    causes: list[str] = []
    files_written: int | None = None
    retrieval_count: int | None = None
    retrieval_sources: list[str] = []


class Run(RanBy, frozen=True, kw_only=True):
    """One logical execution of a task; what ran it is that of its newest attempt."""

    run_id: str
    task_id: str
    task_name: str | None
    group_id: Annotated[str, Meta(description="DAG, flow or pipeline run")] | None
    status: str
    attempts: int
    retries: Annotated[int, Meta(description="Attempts - 1")]
    recovered: Annotated[bool, Meta(description="Completed after a failed attempt")]
    queued_at: Rfc3339 | None
    queued_ns: Ns | None
    first_started_at: Rfc3339 | None
    first_started_ns: Ns | None
    last_started_at: Annotated[str, Meta(description="Start of the newest attempt")] | None
    last_started_ns: Ns
    last_ended_at: Rfc3339 | None
    last_ended_ns: Ns | None
    total_execution_ns: Annotated[int, Meta(description="Durations of the attempts, summed")]
    total_execution_s: float
    wall_clock_ns: Annotated[int, Meta(description="Last end - first start")] | None
    wall_clock_s: float | None
    idle_ns: Annotated[int, Meta(description="Wall clock - execution, never below 0")] | None
    idle_s: float | None
    overlap_ns: Annotated[int, Meta(description="Execution beyond the wall clock")]
    progress: Annotated[float, Meta(description="Share done, as last told")] | None
    component: str | None
    error: Annotated[Failure, Meta(description="Of the newest attempt that failed")] | None
    backfilled: bool
    trace_ids: Annotated[list[Hex], Meta(description="In order of their first attempt")]
    parents: list[str]
    causes: list[str]


class Task(RanBy, frozen=True, kw_only=True):
    """A unit of work known by its id, with the state of its latest run and newest attempt."""

    task_id: str
    name: str | None
    status: str
    runs: int
    attempts: Annotated[int, Meta(description="Over all runs")]
    retries: Annotated[int, Meta(description="Over all runs")]
    recovered_runs: int
    backfilled: Annotated[bool, Meta(description="Any of its runs was imported")]
    total_execution_ns: Annotated[int, Meta(description="Of the latest run")] | None
    total_execution_s: float | None
    first_started_at: Rfc3339 | None
    first_started_ns: Ns
    last_started_at: Rfc3339 | None
    last_started_ns: Ns
    last_ended_at: Annotated[str, Meta(description="Last end in the latest run")] | None
    last_ended_ns: Ns | None
    updated_at: Rfc3339 | None
    updated_ns: Ns
    last_run_id: str
    last_run_status: str | None
    component: str | None
    error: Annotated[Failure, Meta(description="Newest failure of the latest run")] | None


class SpanEventOut(msgspec.Struct, frozen=True):
    """A timed annotation of a span."""

    time: Rfc3339 | None
    time_ns: Ns
    name: str
    attributes: dict[str, Any]
    dropped_attributes_count: int


class SpanLinkOut(msgspec.Struct, frozen=True):
    """A pointer to another span."""

    trace_id: Hex
    span_id: Hex
    trace_state: str
    attributes: dict[str, Any]
    dropped_attributes_count: int
    flags: int


class ResourceOut(msgspec.Struct, frozen=True):
    """What sent a span."""

    attributes: dict[str, Any]
    dropped_attributes_count: int
    schema_url: str


class ScopeOut(msgspec.Struct, frozen=True):
    """The instrumentation that made a span."""

    name: str
    version: str
    attributes: dict[str, Any]
    dropped_attributes_count: int
    schema_url: str


class SpanOut(msgspec.Struct, frozen=True, kw_only=True):
    """One span as it was stored; bytes are base64, not-a-number and infinities are texts."""

    position: PositionText
    partition: int
    event_id: Hex
    trace_id: Hex
    span_id: Hex
    parent_span_id: Hex | None
    trace_state: str
    flags: int
    name: str
    kind: Annotated[str, Meta(description="unspecified|internal|server|client|producer|consumer")]
    started_at: Rfc3339 | None
    start_ns: Ns
    ended_at: Rfc3339 | None
    end_ns: Annotated[int, Meta(description="Nanoseconds since 1970 UTC; 0 while it runs")]
    duration_ns: int | None
    status_code: Annotated[int, Meta(description="0 unset, 1 ok, 2 error")]
    status_message: str
    attributes: dict[str, Any]
    dropped_attributes_count: int
    events: list[SpanEventOut]
    dropped_events_count: int
    links: list[SpanLinkOut]
    dropped_links_count: int
    resource: ResourceOut
    scope: ScopeOut
    received_at: Rfc3339 | None
    scrubbed: Annotated[list[str], Meta(description="Kinds of private data that were replaced")]
    cut: Annotated[list[str], Meta(description="What was shortened")]


class LogOut(msgspec.Struct, frozen=True, kw_only=True):
    """One log record as it was stored."""

    position: PositionText
    partition: int
    event_id: Hex
    trace_id: Hex | None
    span_id: Hex | None
    event_name: str
    time: Rfc3339 | None
    time_ns: Ns
    observed_ns: Ns
    severity_number: int
    severity_text: str
    body: Any
    attributes: dict[str, Any]
    resource: ResourceOut
    scope: ScopeOut
    received_at: Rfc3339 | None
    scrubbed: list[str]
    cut: list[str]


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of one trace."""

    trace_id: Hex
    attempts: Annotated[list[Attempt], Meta(description="In order of start")]
    retry_count: Annotated[int, Meta(description="Retries of its runs: attempts - runs")]
    final_status: Annotated[str, Meta(description="Status of the last attempt")] | None
    spans: Annotated[
        list[SpanOut],
        Meta(description="In order of start; the attempts' own are on the first pages"),
    ]
    logs: list[LogOut]
    total: Annotated[int, Meta(description="Spans and log records of the trace, over all pages")]
    position: PositionText
    next: Annotated[str, Meta(description="`cursor` that goes on here; null at the end")] | None = (
        None
    )
    complete: Annotated[bool, Meta(description="False: more follows, `next` goes on")] = True


class ErrorPattern(msgspec.Struct, frozen=True, kw_only=True):
    """Failures that are the same error."""

    fingerprint: Hex
    type: str | None
    message: Annotated[str, Meta(description="Of the first occurrence")] | None
    normal_message: Annotated[str, Meta(description="Where it decides, not the stack")] | None
    stack_hash: Hex | None
    stack: Annotated[str, Meta(description="Normalised frames, one a line")] | None
    count: int
    recovered: Annotated[int, Meta(description="Occurrences whose run completed later")]
    unrecovered: int
    tasks: Annotated[int, Meta(description="Number of tasks touched")]
    component_count: int
    first_seen: Rfc3339 | None
    first_seen_ns: Ns
    last_seen: Rfc3339 | None
    last_seen_ns: Ns
    components: Annotated[list[str], Meta(description="At most 20, most touched first")]
    task_ids: Annotated[list[str], Meta(description="At most 10 of the tasks touched")]
    examples: Annotated[list[str], Meta(description="`attempt_id`s of the newest occurrences")]


class Occurrence(Attempt, frozen=True, kw_only=True):
    """One failure of an error pattern: the attempt, and what became of its run."""

    seen_at: Annotated[str, Meta(description="End of the attempt, RFC 3339")] | None
    seen_ns: Ns
    recovered: Annotated[bool, Meta(description="Its run completed later")]


class Durations(msgspec.Struct, frozen=True):
    """Seconds; from log buckets with an error of at most 2 %."""

    avg: float | None = None
    min: float | None = None
    max: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class TaskMetric(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a task: over all executors, on one of them, or in one hour or day."""

    task_id: str
    executor: Annotated[str, Meta(description="Null: over all executors")] | None
    bucket: Annotated[str, Meta(description="`hour`, `day` or null: over all time")] | None
    bucket_start: Rfc3339 | None
    bucket_start_ns: Ns | None
    executions: Annotated[int, Meta(description="Ended attempts")]
    successes: int
    failures: Annotated[int, Meta(description="Failed, timed out and abandoned attempts")]
    failed: int
    timed_out: int
    abandoned: int
    cancelled: int
    skipped: int
    success_rate: Annotated[float, Meta(description="Per attempts: successes / ended ones")] | None
    runs: int
    completed_runs: int
    failed_runs: int
    run_success_rate: Annotated[float, Meta(description="Per runs")] | None
    recovered_runs: int
    retries: int
    duration_s: Durations


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change of state."""

    time: Rfc3339 | None
    time_ns: Ns
    task_id: str
    run_id: str | None
    attempt: int | None
    old_status: str | None
    new_status: str
    reason: str | None


class ProjectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a projection has followed the log."""

    name: str
    version: int
    partition: int
    position: PositionText
    lag_events: int
    lag_s: Annotated[float, Meta(description="Age of the oldest event not applied; 0 if none")]
    dead_letters: Annotated[int, Meta(description="Events parked because they failed")]
    committed_at: Annotated[str, Meta(description="When its last event was committed")] | None
    updated_at: Rfc3339 | None


class ProjectionList(msgspec.Struct, frozen=True):
    """Every projection of the view that answers."""

    items: list[ProjectionStatus]
    position: PositionText
    head: PositionText
    view: Annotated[str, Meta(description="File name of the view that answers")]
    next: None = None
    complete: bool = True


class LogHead(msgspec.Struct, frozen=True):
    """The end of the log."""

    position: PositionText
    partition: int
    hash: Hex
    anchor: Annotated[str, Meta(description="POSITION:HASH for `log verify --anchor`")]
    committed_at: Rfc3339 | None
    committed_ns: Ns | None
    log_id: str
