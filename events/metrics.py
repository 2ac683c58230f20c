"""Every Prometheus metric of the product; one registry shared by all processes of a service.

Processes of one service share their samples through `PROMETHEUS_MULTIPROC_DIR`, which the
supervisor sets before any of them starts; alone, the ordinary registry is used. One that finds
the disk full when it starts keeps its samples to itself.
"""

import os
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram, values

from events.metric_files import FOLDER_VARIABLE, reserve

if FOLDER_VARIABLE in os.environ and not reserve(Path(os.environ[FOLDER_VARIABLE])):
    values.ValueClass = values.MutexValue

EVENTS = Counter("spanledger_events_total", "Events stored in the log", ["signal"])
DUPLICATES = Counter("spanledger_duplicates_total", "Events that were in the log already")
CONFLICTS = Counter("spanledger_conflicts_total", "Keyed duplicates with other content")
REFUSED = Counter("spanledger_refused_total", "Events or requests refused", ["signal", "reason"])
DROPPED = Counter("spanledger_dropped_total", "Accepted and dropped, such as metrics", ["signal"])
CUT = Counter("spanledger_cut_total", "Strings and attributes cut by a limit", ["what"])
SCRUBBED = Counter("spanledger_scrubbed_total", "Events in which a kind was scrubbed", ["kind"])
REQUESTS = Counter(
    "spanledger_requests_total", "Requests answered", ["signal", "transport", "code"]
)
QUEUE_BYTES = Gauge(
    "spanledger_queue_bytes", "Bytes waiting for a commit", multiprocess_mode="livesum"
)
COMMIT_SECONDS = Histogram(
    "spanledger_commit_seconds",
    "Time of one group commit",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
LOG_BYTES = Counter("spanledger_log_bytes_total", "Payload bytes appended to the log")
LOG_HEAD = Gauge("spanledger_log_head_position", "Last committed position", multiprocess_mode="max")
PROJECTED = Counter("spanledger_projected_events_total", "Events applied to the views")
PROJECTION_LAG_EVENTS = Gauge(
    "spanledger_projection_lag_events", "Events behind the head", ["projection"],
    multiprocess_mode="mostrecent",
)  # fmt: skip
PROJECTION_LAG_SECONDS = Gauge(
    "spanledger_projection_lag_seconds", "Age of the oldest event not applied", ["projection"],
    multiprocess_mode="mostrecent",
)  # fmt: skip
DEAD_LETTERS = Gauge(
    "spanledger_dead_letters", "Parked events", ["projection"], multiprocess_mode="mostrecent"
)
FORWARDED = Counter("spanledger_forwarded_events_total", "Events sent on", ["target", "signal"])
FORWARD_PARKED = Counter("spanledger_forward_parked_total", "Events a target refused", ["target"])
FORWARD_LAG_EVENTS = Gauge(
    "spanledger_forward_lag_events", "Events a target is behind", ["target"],
    multiprocess_mode="mostrecent",
)  # fmt: skip
CHILD_RESTARTS = Counter("spanledger_child_restarts_total", "Children restarted", ["role"])
