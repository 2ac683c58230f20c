-- name: transitions
-- The transitions with these (at_ns, attempt_key, step) that pass the filters. step: 0 queued,
-- 1 running, 2 ended; a run that has no attempt was queued as number 0.
SELECT * FROM (
    SELECT
        wanted.value ->> 0 AS at_ns, wanted.value ->> 1 AS attempt_key, wanted.value ->> 2 AS step,
        k.task_id, rk.run_id,
        CASE wanted.value ->> 2 WHEN 0 THEN 8 WHEN 1 THEN 1 ELSE a.status END AS status,
        a.queued_ns, m.text AS error_message
    FROM json_each(:keys) AS wanted
    CROSS JOIN run_key AS rk ON rk.run_no = (wanted.value ->> 1) >> 20
    CROSS JOIN task_key AS k ON k.task_no = rk.task_no
    LEFT JOIN attempt AS a ON a.attempt_key = wanted.value ->> 1
    LEFT JOIN message AS m ON m.message_no = a.message_no
)
WHERE (:status IS NULL OR status = :status);
