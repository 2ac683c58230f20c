-- name: transitions
-- The transitions with these (at_ns, task_no, attempt_key, step) that pass the filters.
SELECT
    n.at_ns, n.task_no, n.attempt_key, n.step, k.task_id, rk.run_id, n.status, a.queued_ns,
    m.text AS error_message
FROM json_each(:keys) AS wanted
CROSS JOIN transition AS n ON n.task_no = wanted.value ->> 1 AND n.at_ns = wanted.value ->> 0
    AND n.attempt_key = wanted.value ->> 2 AND n.step = wanted.value ->> 3
CROSS JOIN task_key AS k ON k.task_no = n.task_no
CROSS JOIN run_key AS rk ON rk.run_no = n.attempt_key >> 20
LEFT JOIN attempt AS a ON a.attempt_key = n.attempt_key
LEFT JOIN message AS m ON m.message_no = a.message_no
WHERE (:status IS NULL OR n.status = :status);
