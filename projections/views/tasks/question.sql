-- Rows of tasks, looked up by the keys that an index range gave.

-- name: tasks
-- The tasks with these (last_started_ns, task_no) that pass the filters.
SELECT
    t.last_started_ns, t.task_no, k.task_id, t.name, t.status, t.runs, t.attempts, t.retries,
    t.recovered_runs, t.backfilled_runs, t.last_started_ns - t.lead_ns AS first_started_ns, t.updated_ns, rk.run_id,
    r.last_ended_ns, r.total_execution_ns, r.status AS run_status, e.executor, s.tool, s.model, s.planner,
    s.host, s.component, f.stack_hash,
    f.fingerprint, g.content AS signature, m.text AS error_message
FROM json_each(:keys) AS wanted
CROSS JOIN task AS t ON t.task_no = wanted.value ->> 1
CROSS JOIN task_key AS k ON k.task_no = t.task_no
CROSS JOIN run_key AS rk ON rk.run_no = t.run_no
LEFT JOIN run_summary AS r ON r.run_no = t.run_no
LEFT JOIN source AS s ON s.source_no = t.source_no
LEFT JOIN executor AS e ON e.executor_no = s.executor_no
LEFT JOIN signature AS g ON g.error_no = r.error_no
LEFT JOIN fingerprint AS f ON f.fingerprint_no = g.error_no >> 16
LEFT JOIN message AS m ON m.message_no = r.message_no
WHERE (:task IS NULL OR t.task_no = :task)
    AND (:status IS NULL OR t.status = :status)
    AND (:executor IS NULL OR s.executor_no = :executor)
    AND (:model IS NULL OR s.model = :model)
    AND (:component IS NULL OR s.component = :component)
    AND (:backfilled IS NULL OR (t.backfilled_runs > 0) = :backfilled)
    AND (:min_attempts IS NULL OR t.attempts >= :min_attempts)
    AND (
        :q IS NULL OR substr(k.task_id, 1, length(:q)) = :q OR substr(t.name, 1, length(:q)) = :q
    );

-- name: task_key
-- The list key of one task.
SELECT last_started_ns, task_no FROM task WHERE task_no = :task;
