"""Every name that the SDK puts on the wire: attribute keys, event names, headers.

Those that the ledger reads are spelt as in its `events/names.py` (a test compares them); the
others are passed on and shown with the span.
"""

from typing import Final

SCOPE: Final = "spanledger_sdk"
VERSION: Final = "0.1.0"  # of the distribution, too: a test compares them
TENANT_HEADER: Final = "x-scope-orgid"
ATTEMPT_HEADER: Final = "spanledger-attempt"
DEFAULT_TENANT: Final = "default"

# Set when an attempt starts.
TASK_ID: Final = "task.id"
TASK_NAME: Final = "task.name"
TASK_RUN_ID: Final = "task.run.id"
TASK_GROUP_ID: Final = "task.group.id"
TASK_ATTEMPT: Final = "task.attempt"
TASK_RETRY_OF: Final = "task.retry_of"
TASK_MAX_ATTEMPTS: Final = "task.max_attempts"
TASK_QUEUE: Final = "task.queue"
TASK_QUEUED_AT: Final = "task.queued_at"

# Said while it runs, or at its end.
TASK_RESULT: Final = "task.result"
TASK_WILL_RETRY: Final = "task.will_retry"
TASK_RETRY_DELAY: Final = "task.retry.delay"  # seconds
TASK_PROGRESS: Final = "task.progress"
TASK_PROGRESS_MESSAGE: Final = "task.progress.message"
TASK_PARENTS: Final = "task.parents"
TASK_CAUSES: Final = "task.causes"
TASK_EXECUTOR_ID: Final = "task.executor.id"
TASK_EXECUTOR_TOOL: Final = "task.executor.tool"
TASK_EXECUTOR_MODEL: Final = "task.executor.model"
TASK_EXECUTOR_PLANNER: Final = "task.executor.planner"
TASK_IO_FILES_READ: Final = "task.io.files_read"
TASK_IO_FILES_WRITTEN: Final = "task.io.files_written"
TASK_IO_BYTES_READ: Final = "task.io.bytes_read"
TASK_IO_BYTES_WRITTEN: Final = "task.io.bytes_written"
TASK_RETRIEVAL_COUNT: Final = "task.retrieval.count"
TASK_RETRIEVAL_SOURCES: Final = "task.retrieval.sources"
TASK_COST_USD: Final = "task.cost.usd"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"

# A review is an event of the attempt's span.
REVIEW_EVENT: Final = "task.review"
REVIEW_NAME: Final = "task.review.name"
REVIEW_APPROVED: Final = "task.review.approved"
REVIEW_NOTES: Final = "task.review.notes"

# A recovery is an event of the span of the attempt that failed, or, a retry, of the one it made.
RECOVERY_EVENT: Final = "task.recovery"
RECOVERY_ACTION: Final = "task.recovery.action"
RECOVERY_OUTCOME: Final = "task.recovery.outcome"  # succeeded, failed, skipped
RECOVERY_DURATION: Final = "task.recovery.duration"  # seconds
RECOVERY_CATEGORY: Final = "task.recovery.category"
RECOVERY_REASON: Final = "task.recovery.reason"  # why this, in words

# What an attempt used, where the platform tells.
TASK_USAGE_CPU: Final = "task.usage.cpu"  # seconds
TASK_USAGE_PEAK_MEMORY: Final = "task.usage.peak_memory"  # bytes
TASK_USAGE_READ: Final = "task.usage.read"  # bytes from storage
TASK_USAGE_WRITTEN: Final = "task.usage.written"  # bytes to storage

# The conventions of OpenTelemetry.
EXCEPTION_EVENT: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
ERROR_TYPE: Final = "error.type"
PROCESS_EXIT_CODE: Final = "process.exit.code"

# Why a span links to another: `task.link` of the link.
LINK: Final = "task.link"
LINK_RETRY_OF: Final = "retry_of"
LINK_CALLER: Final = "caller"

# Lifecycle log records (LogRecord.event_name).
ATTEMPT_STARTED: Final = "task.attempt.started"
ATTEMPT_HEARTBEAT: Final = "task.attempt.heartbeat"
ATTEMPT_PROGRESS: Final = "task.attempt.progress"
ATTEMPT_ENDED: Final = "task.attempt.ended"
