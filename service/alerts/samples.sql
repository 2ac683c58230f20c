-- What rules are evaluated on. Every statement goes by an index and is bounded.

-- name: attempts
-- Attempts, newest first, and what became of their runs; filled in is which (samples.py).
SELECT
    k.task_id, s.component, e.executor, f.fingerprint, g.content AS signature, m.text AS message,
    a.status, a.started_ns, a.ended_ns, a.attempt_key & 1048575 AS number, a.max_attempts,
    rk.run_id, r.status AS run_status, t.status AS task_status,
    NOT EXISTS (
        SELECT 1 FROM attempt AS b
        WHERE b.attempt_key > a.attempt_key AND b.attempt_key < ((a.attempt_key >> 20) + 1) << 20
    ) AS is_last
FROM {chosen}
CROSS JOIN task_key AS k ON k.task_no = a.task_no
CROSS JOIN run_key AS rk ON rk.run_no = a.attempt_key >> 20
LEFT JOIN run AS r ON r.run_no = a.attempt_key >> 20
LEFT JOIN task AS t ON t.task_no = a.task_no
LEFT JOIN source AS s ON s.source_no = a.source_no
LEFT JOIN executor AS e ON e.executor_no = a.executor_no
LEFT JOIN signature AS g ON g.error_no = a.error_no
LEFT JOIN fingerprint AS f ON f.fingerprint_no = a.error_no >> 16
LEFT JOIN message AS m ON m.message_no = a.message_no
WHERE {which}
    AND a.flags & 8 = 0  -- imported later, not seen live
    AND (:task IS NULL OR k.task_id GLOB :task)
    AND (:component IS NULL OR s.component = :component)
    AND (:executor IS NULL OR e.executor = :executor)
ORDER BY {moment} DESC
LIMIT :limit;

-- name: waited
-- How long the newest attempts that were queued since waited for their start.
SELECT k.task_id, s.component, e.executor, a.started_ns - a.queued_ns AS wait_ns
FROM attempt AS a
CROSS JOIN task_key AS k ON k.task_no = a.task_no
LEFT JOIN source AS s ON s.source_no = a.source_no
LEFT JOIN executor AS e ON e.executor_no = a.executor_no
WHERE a.tenant_no = :tenant AND a.queued_ns >= :since
    AND a.flags & 8 = 0
    AND (:task IS NULL OR k.task_id GLOB :task)
    AND (:component IS NULL OR s.component = :component)
    AND (:executor IS NULL OR e.executor = :executor)
ORDER BY a.queued_ns DESC
LIMIT :limit;

-- name: waiting
-- The runs that are queued and have no attempt yet; nobody knows what will run them.
SELECT k.task_id, NULL AS component, NULL AS executor, :now - r.queued_ns AS wait_ns
FROM run AS r
CROSS JOIN task_key AS k ON k.task_no = r.task_no
WHERE r.tenant_no = :tenant AND r.status = 8 AND r.attempts = 0
    AND r.queued_ns BETWEEN :since AND :now
    AND (:task IS NULL OR k.task_id GLOB :task)
    AND :component IS NULL AND :executor IS NULL
ORDER BY r.last_started_ns DESC
LIMIT :limit;

-- name: heard
-- The task of one status that was heard last.
SELECT k.task_id, max(t.updated_ns, t.last_started_ns) AS heard_ns
FROM task AS t
CROSS JOIN task_key AS k ON k.task_no = t.task_no
LEFT JOIN source AS s ON s.source_no = t.source_no
LEFT JOIN executor AS e ON e.executor_no = t.executor_no
WHERE t.tenant_no = :tenant AND t.status = :status
    AND (:task IS NULL OR k.task_id GLOB :task)
    AND (:component IS NULL OR s.component = :component)
    AND (:executor IS NULL OR e.executor = :executor)
ORDER BY t.last_started_ns DESC
LIMIT :limit;

-- name: task_statuses
SELECT DISTINCT status FROM task WHERE tenant_no = :tenant;

-- name: patterns
-- The error patterns that occurred since, latest first; when each occurred first in that time, and
-- last before it.
SELECT
    p.fingerprint_no, f.fingerprint, p.first_seen_ns, p.last_seen_ns, p.occurrences,
    (
        SELECT min(o.seen_ns) FROM error_occurrence AS o
        WHERE o.fingerprint_no = p.fingerprint_no AND o.seen_ns >= :since
    ) AS first_ns,
    (
        SELECT max(o.seen_ns) FROM error_occurrence AS o
        WHERE o.fingerprint_no = p.fingerprint_no AND o.seen_ns < :since
    ) AS before_ns
FROM error_pattern AS p
CROSS JOIN fingerprint AS f ON f.fingerprint_no = p.fingerprint_no
WHERE p.tenant_no = :tenant AND p.last_seen_ns >= :since
ORDER BY p.last_seen_ns DESC
LIMIT :limit;

-- name: lags
-- How far each projection has come.
SELECT projection, max(position) AS position FROM checkpoint WHERE partition = 0 GROUP BY projection;
