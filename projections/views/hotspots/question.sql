-- Ended attempts of a time, by where they ran.

-- name: attempts
-- How many of the newest attempts of one status each place had; :limit bounds what is looked at.
SELECT
    CASE :by
        WHEN 'component' THEN s.component
        WHEN 'host' THEN s.host
        WHEN 'executor' THEN e.executor
        ELSE k.task_id
    END AS key,
    count(*) AS attempts,
    count(DISTINCT a.error_no >> 16) AS patterns,
    max(coalesce(a.ended_ns, a.started_ns)) AS last_ns
FROM (
    SELECT source_no, task_no, executor_no, error_no, started_ns, ended_ns FROM attempt
    WHERE tenant_no = :tenant AND status = :status AND started_ns >= :since AND started_ns < :until
    ORDER BY started_ns DESC LIMIT :limit
) AS a
CROSS JOIN source AS s ON s.source_no = a.source_no
CROSS JOIN task_key AS k ON k.task_no = a.task_no
LEFT JOIN executor AS e ON e.executor_no = a.executor_no
GROUP BY key;

-- name: places
-- Where the newest attempts of one status stand in the log.
SELECT position, error_no >> 16 AS pattern, coalesce(ended_ns, started_ns) AS seen_ns FROM attempt
WHERE tenant_no = :tenant AND status = :status AND started_ns >= :since AND started_ns < :until
ORDER BY started_ns DESC LIMIT :limit;
