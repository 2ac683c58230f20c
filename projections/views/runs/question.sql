-- Rows of runs and tasks, looked up by the keys that an index range gave.

-- name: runs
-- The runs with these (last_started_ns, run_no) that pass the filters.
SELECT
    r.last_started_ns, r.run_no, k.task_id, t.name AS task_name, rk.run_id, r.group_id, r.status, r.attempts,
    r.left_out, r.recovered, r.backfilled, r.first_started_ns, r.last_ended_ns, r.total_execution_ns,
    r.wall_clock_ns, r.idle_ns, r.overlap_ns, r.queued_ns, r.progress, x.trace_ids, r.parents,
    r.causes, e.executor, s.tool, s.model, s.planner, s.host, s.component, f.stack_hash,
    f.fingerprint, g.content AS signature, m.text AS error_message
FROM json_each(:keys) AS wanted
CROSS JOIN run_summary AS r ON r.run_no = wanted.value ->> 1
CROSS JOIN run_traces AS x ON x.run_no = r.run_no
CROSS JOIN task_key AS k ON k.task_no = r.task_no
CROSS JOIN run_key AS rk ON rk.run_no = r.run_no
LEFT JOIN task AS t ON t.task_no = r.task_no
LEFT JOIN source AS s ON s.source_no = r.source_no
LEFT JOIN executor AS e ON e.executor_no = s.executor_no
LEFT JOIN signature AS g ON g.error_no = r.error_no
LEFT JOIN fingerprint AS f ON f.fingerprint_no = g.error_no >> 16
LEFT JOIN message AS m ON m.message_no = r.message_no
WHERE (:task IS NULL OR r.task_no = :task)
    AND (:run IS NULL OR rk.run_id IN (SELECT value FROM json_each(:run)))
    AND (:status IS NULL OR r.status = :status)
    AND (:executor IS NULL OR s.executor_no = :executor)
    AND (:model IS NULL OR s.model = :model)
    AND (:component IS NULL OR s.component = :component)
    AND (:backfilled IS NULL OR r.backfilled = :backfilled)
    AND (:min_attempts IS NULL OR r.attempts >= :min_attempts)
    AND (
        :q IS NULL OR substr(k.task_id, 1, length(:q)) = :q OR substr(t.name, 1, length(:q)) = :q
    );

-- name: runs_by_attempt
-- Of these (started_ns, attempt_key), the newest attempts of their runs, as run numbers.
SELECT a.started_ns, a.attempt_key, r.run_no
FROM json_each(:keys) AS wanted
CROSS JOIN attempt AS a ON a.attempt_key = wanted.value ->> 1
CROSS JOIN run AS r ON r.run_no = a.attempt_key >> 20 AND r.last_started_ns = a.started_ns
WHERE NOT EXISTS (
    SELECT 1 FROM attempt AS b
    WHERE b.attempt_key > a.attempt_key AND b.attempt_key < (r.run_no + 1) << 20
        AND b.started_ns = a.started_ns
);

-- name: some_tasks
-- Tasks of a tenant, at most so many.
SELECT k.task_id FROM task AS t CROSS JOIN task_key AS k ON k.task_no = t.task_no
WHERE t.tenant_no = ? LIMIT ?;
