"""Every Prometheus metric of the product: what this process counts, in a registry of its own.

`service.telemetry` asks each process of a service for its registry and tells all of them as one:
counters and histograms are summed, gauges by their rule.
"""

from collections.abc import Sequence
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Rule = Literal["sum", "max", "recent"]
"""How the gauges of several processes are one: of those that run, the sum; of all there were, the
largest, or that of the process which told it last."""

REGISTRY: Final = CollectorRegistry()
GAUGE_RULES: Final[dict[str, Rule]] = {}


def _counter(name: str, sentence: str, labels: Sequence[str] = ()) -> Counter:
    return Counter(name, sentence, labels, registry=REGISTRY)


def _gauge(name: str, sentence: str, labels: Sequence[str] = (), *, rule: Rule) -> Gauge:
    GAUGE_RULES[name] = rule
    return Gauge(name, sentence, labels, registry=REGISTRY)


EVENTS = _counter("spanledger_events_total", "Events stored in the log", ["signal"])
DUPLICATES = _counter("spanledger_duplicates_total", "Events that were in the log already")
CONFLICTS = _counter("spanledger_conflicts_total", "Keyed duplicates with other content")
REFUSED = _counter("spanledger_refused_total", "Events or requests refused", ["signal", "reason"])
DROPPED = _counter("spanledger_dropped_total", "Accepted and dropped, such as metrics", ["signal"])
CUT = _counter("spanledger_cut_total", "Strings and attributes cut by a limit", ["what"])
UNREAD = _counter(
    "spanledger_unread_bytes_total", "Bytes of requests in fields that are not known", ["signal"]
)
SCRUBBED = _counter("spanledger_scrubbed_total", "Events in which a kind was scrubbed", ["kind"])
REQUESTS = _counter(
    "spanledger_requests_total", "Requests answered", ["signal", "transport", "code"]
)
QUEUE_BYTES = _gauge("spanledger_queue_bytes", "Bytes waiting for a commit", rule="sum")
COMMIT_SECONDS = Histogram(
    "spanledger_commit_seconds",
    "Time of one group commit",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
    registry=REGISTRY,
)
LOG_BYTES = _counter("spanledger_log_bytes_total", "Payload bytes appended to the log")
LOG_HEAD = _gauge("spanledger_log_head_position", "Last committed position", rule="max")
PROJECTED = _counter("spanledger_projected_events_total", "Events applied to the views")
ATTEMPTS = _counter("spanledger_attempts_total", "Attempts that ended", ["status"])
FAILURES = _counter(
    "spanledger_failures_total", "Failed attempts by what the rules say of their error",
    ["category", "severity", "transient"],
)  # fmt: skip
ATTEMPT_SECONDS = _counter("spanledger_attempt_seconds_total", "Durations of these, summed")
RETRIES = _counter("spanledger_retries_total", "Ended attempts that repeat another")
QUEUE_WAITS = _counter("spanledger_queue_waits_total", "Ended attempts that were queued before")
QUEUE_WAIT_SECONDS = _counter("spanledger_queue_wait_seconds_total", "Waits of these, summed")
RUN_CHANGES = _counter(
    "spanledger_run_changes_total", "Times that a run came to a status", ["status"]
)
PROJECTION_LAG_EVENTS = _gauge(
    "spanledger_projection_lag_events", "Events behind the head", ["projection"],
    rule="recent",
)  # fmt: skip
PROJECTION_LAG_SECONDS = _gauge(
    "spanledger_projection_lag_seconds", "Age of the oldest event not applied", ["projection"],
    rule="recent",
)  # fmt: skip
DEAD_LETTERS = _gauge("spanledger_dead_letters", "Parked events", ["projection"], rule="recent")
FORWARDED = _counter("spanledger_forwarded_events_total", "Events sent on", ["target", "signal"])
FORWARD_PARKED = _counter("spanledger_forward_parked_total", "Events a target refused", ["target"])
FORWARD_LAG_EVENTS = _gauge(
    "spanledger_forward_lag_events", "Events a target is behind", ["target"],
    rule="recent",
)  # fmt: skip
ALERTS = _gauge(
    "spanledger_alerts", "Alerts by state and severity", ["state", "severity"], rule="recent"
)
ALERT_NOTICES = _counter(
    "spanledger_alert_notices_total", "Tries to tell a receiver", ["receiver", "result"]
)
ALERT_OUTBOX = _gauge(
    "spanledger_alert_outbox", "Notices that wait, or were given up", ["receiver", "state"],
    rule="recent",
)  # fmt: skip
ALERT_EVALUATIONS = _counter(
    "spanledger_alert_evaluations_total", "Evaluations of rules", ["result"]
)
MCP_CALLS = _counter("spanledger_mcp_calls_total", "Tool calls of agents", ["tool", "outcome"])
MCP_SECONDS = Histogram(
    "spanledger_mcp_call_seconds",
    "Time of one tool call",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    registry=REGISTRY,
)
CHILD_RESTARTS = _counter("spanledger_child_restarts_total", "Children restarted", ["role"])
PROCESS_UP = _gauge(
    "spanledger_process_up", "Whether a process told its metrics just now", ["process"],
    rule="recent",
)  # fmt: skip
