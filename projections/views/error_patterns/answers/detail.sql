-- One error pattern in full, from its newest occurrences.

-- name: newest
-- The newest occurrences of a pattern, with where they ran and what became of their runs. Attempts
-- may be behind: then nothing is known of where; position 0.
SELECT
    o.seen_ns, o.attempt_key, coalesce(a.error_no, :fingerprint << 16) AS error_no,
    coalesce(a.position, 0) AS position, s.host, e.executor, rk.run_id, k.task_id,
    r.attempts AS run_attempts, r.status AS run_status, r.last_ended_ns
FROM (
    SELECT seen_ns, attempt_key FROM error_occurrence WHERE fingerprint_no = :fingerprint
    ORDER BY seen_ns DESC, attempt_key DESC LIMIT :limit
) AS o
CROSS JOIN run_key AS rk ON rk.run_no = o.attempt_key >> 20
CROSS JOIN task_key AS k ON k.task_no = rk.task_no
LEFT JOIN attempt AS a ON a.attempt_key = o.attempt_key
LEFT JOIN source AS s ON s.source_no = a.source_no
LEFT JOIN executor AS e ON e.executor_no = a.executor_no
LEFT JOIN run_summary AS r ON r.run_no = rk.run_no
ORDER BY o.seen_ns DESC, o.attempt_key DESC;

-- name: first
-- The first occurrence of a pattern.
SELECT
    o.seen_ns, o.attempt_key, coalesce(a.error_no, :fingerprint << 16) AS error_no,
    coalesce(a.position, 0) AS position, NULL AS host, NULL AS executor, rk.run_id,
    k.task_id, NULL AS run_attempts, NULL AS run_status, NULL AS last_ended_ns
FROM (
    SELECT seen_ns, attempt_key FROM error_occurrence WHERE fingerprint_no = :fingerprint
    ORDER BY seen_ns, attempt_key LIMIT 1
) AS o
CROSS JOIN run_key AS rk ON rk.run_no = o.attempt_key >> 20
CROSS JOIN task_key AS k ON k.task_no = rk.task_no
LEFT JOIN attempt AS a ON a.attempt_key = o.attempt_key;

-- name: passing
-- Where the newest completed attempts of a tenant stand in the log, those of tasks that the pattern
-- touched among them.
SELECT a.position, EXISTS (
    SELECT 1 FROM error_task AS et
    WHERE et.fingerprint_no = :fingerprint AND et.task_no = a.task_no
) AS is_touched
FROM (
    SELECT position, task_no FROM attempt WHERE tenant_no = :tenant AND status = 2
    ORDER BY started_ns DESC LIMIT :limit
) AS a;

-- name: signatures
-- Everything by which a pattern was met.
SELECT content FROM signature WHERE error_no BETWEEN :low AND :high;
