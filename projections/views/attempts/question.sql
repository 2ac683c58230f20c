-- Rows of attempts, looked up by the keys that an index range gave.

-- name: attempts
-- The attempts with these (started_ns, attempt_key) that pass the filters.
SELECT
    a.started_ns, a.attempt_key, k.task_id, t.name AS task_name, rk.run_id, r.group_id, a.status, a.flags,
    a.ended_ns, a.queued_ns, a.retry_of, a.max_attempts, e.executor, s.queue, s.tool, s.model,
    s.planner, s.host, s.component, s.environment, s.system, s.rule, f.stack_hash,
    f.fingerprint, g.content AS signature, m.text AS error_message,
    a.trace_id, a.span_id, a.extra, a.progress, a.position
FROM json_each(:keys) AS wanted
CROSS JOIN attempt AS a ON a.attempt_key = wanted.value ->> 1
CROSS JOIN task_key AS k ON k.task_no = a.task_no
CROSS JOIN source AS s ON s.source_no = a.source_no
CROSS JOIN run_key AS rk ON rk.run_no = a.attempt_key >> 20
LEFT JOIN task AS t ON t.task_no = a.task_no
LEFT JOIN run AS r ON r.run_no = rk.run_no
LEFT JOIN executor AS e ON e.executor_no = a.executor_no
LEFT JOIN signature AS g ON g.error_no = a.error_no
LEFT JOIN fingerprint AS f ON f.fingerprint_no = g.error_no >> 16
LEFT JOIN message AS m ON m.message_no = a.message_no
WHERE (:task IS NULL OR a.task_no = :task)
    AND (:status IS NULL OR a.status = :status)
    AND (:executor IS NULL OR a.executor_no = :executor)
    AND (:model IS NULL OR s.model = :model)
    AND (:component IS NULL OR s.component = :component)
    AND (:environment IS NULL OR s.environment = :environment)
    AND (:backfilled IS NULL OR a.flags >> 3 & 1 = :backfilled)
    AND (
        :q IS NULL OR substr(k.task_id, 1, length(:q)) = :q OR substr(t.name, 1, length(:q)) = :q
    );

-- name: of_run_in_trace
-- Keys of the attempts of one run that lie in one trace, and where the event is that says most.
SELECT started_ns, attempt_key, position FROM attempt
WHERE attempt_key BETWEEN :run << 20 AND (:run << 20) + 1048575 AND trace_id = :trace
    AND +tenant_no = :tenant;  -- +: by the key, not by an index of the tenant

-- name: of_run_elsewhere
-- The same of its first attempts that lie in other traces, with these.
SELECT started_ns, attempt_key, position, trace_id FROM attempt
WHERE attempt_key BETWEEN :run << 20 AND (:run << 20) + 1048575 AND trace_id <> :trace
    AND +tenant_no = :tenant
ORDER BY attempt_key
LIMIT :limit;
