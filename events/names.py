"""Every name that crosses a wire or is stored: event tags and attribute keys.

Grouped by where the name appears. Nothing else in the product spells these strings.
"""

from typing import Final

# Event tags: literal and versioned; stored bytes keep them for good.
SPAN: Final = "span.v1"
LOG_RECORD: Final = "log.v1"
ATTEMPT_ABANDONED: Final = "attempt_abandoned.v1"
FACT: Final = "fact.v1"

# Kinds of the facts of our own: `namespace.name`. Nobody else writes in our namespace.
OWN_NAMESPACE: Final = "spanledger"
FACT_ABANDONED: Final = "spanledger.attempt_abandoned"
FACT_POLICIES: Final = "spanledger.policies_applied"
FACT_ALERT_FIRED: Final = "spanledger.alert.fired"
FACT_ALERT_RESOLVED: Final = "spanledger.alert.resolved"
FACT_TRIAGED: Final = "spanledger.error_triaged"

# A recovery: an event of an attempt's span, or the kind of a fact.
RECOVERY_EVENT: Final = "task.recovery"
RECOVERY_ACTION: Final = "task.recovery.action"
RECOVERY_OUTCOME: Final = "task.recovery.outcome"
RECOVERY_DURATION: Final = "task.recovery.duration"
RECOVERY_CATEGORY: Final = "task.recovery.category"

# Tenants and positions on the wire.
TENANT_HEADER: Final = "x-scope-orgid"
POSITION_HEADER: Final = "spanledger-position"
IDEMPOTENCY_HEADER: Final = "idempotency-key"
DEFAULT_TENANT: Final = "default"

# Who says a fact, where no token does: nobody else may be called so.
ACTOR_LOCAL: Final = "local"
ACTOR_WATCHER: Final = "watcher"
ACTOR_START: Final = "start"
ACTOR_SIGHUP: Final = "sighup"
ACTOR_ALERTS: Final = "alerts"

# Attributes that identify a task, a run and an attempt.
TASK_ID: Final = "task.id"
TASK_NAME: Final = "task.name"
TASK_RUN_ID: Final = "task.run.id"
TASK_GROUP_ID: Final = "task.group.id"
TASK_ATTEMPT: Final = "task.attempt"
TASK_RETRY_OF: Final = "task.retry_of"
TASK_MAX_ATTEMPTS: Final = "task.max_attempts"
TASK_RESULT: Final = "task.result"
TASK_WILL_RETRY: Final = "task.will_retry"
TASK_QUEUE: Final = "task.queue"
TASK_QUEUED_AT: Final = "task.queued_at"
TASK_EXECUTOR_ID: Final = "task.executor.id"
TASK_EXECUTOR_TOOL: Final = "task.executor.tool"
TASK_EXECUTOR_MODEL: Final = "task.executor.model"
TASK_EXECUTOR_PLANNER: Final = "task.executor.planner"
TASK_BACKFILLED: Final = "task.backfilled"
TASK_PARENTS: Final = "task.parents"
TASK_CAUSES: Final = "task.causes"
TASK_PROGRESS: Final = "task.progress"
TASK_IDEMPOTENCY_KEY: Final = "task.idempotency_key"
TASK_IO_FILES_WRITTEN: Final = "task.io.files_written"
TASK_RETRIEVAL_COUNT: Final = "task.retrieval.count"
TASK_RETRIEVAL_SOURCES: Final = "task.retrieval.sources"
TASK_COST_USD: Final = "task.cost.usd"

# Attributes of the exception conventions.
EXCEPTION_EVENT: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
ERROR_TYPE: Final = "error.type"

# On what is forwarded under the stable trace id of its run.
ORIGINAL_TRACE_ID: Final = "spanledger.original_trace_id"

# Logfire's marks: a pending span is a placeholder that its final span replaces.
LOGFIRE_SPAN_TYPE: Final = "logfire.span_type"
LOGFIRE_PENDING: Final = "pending_span"

# Attributes of the resource.
SERVICE_NAME: Final = "service.name"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
HOST_NAME: Final = "host.name"
ENVIRONMENT: Final = "deployment.environment.name"
OLDER_ENVIRONMENT: Final = "deployment.environment"

# Lifecycle log records (LogRecord.event_name).
EVENT_NAME: Final = "event.name"  # where the sender's API has no event_name field
ATTEMPT_STARTED: Final = "task.attempt.started"
ATTEMPT_HEARTBEAT: Final = "task.attempt.heartbeat"
ATTEMPT_PROGRESS: Final = "task.attempt.progress"
ATTEMPT_ENDED: Final = "task.attempt.ended"
