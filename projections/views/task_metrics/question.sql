-- Figures of one task at a time, from the view `task_metric`.

-- name: figures
-- The figures of a task in one scope, ascending by key, with a key between two.
SELECT
    m.key, m.executions, m.completed, m.failed, m.timed_out, m.abandoned, m.cancelled, m.skipped,
    m.retries, m.runs, m.completed_runs, m.failed_runs, m.recovered_runs, m.wait_count,
    m.duration_count, m.wait_sum_ns, m.duration_sum_ns, m.waits, m.buckets, e.executor
FROM task_metric AS m
LEFT JOIN executor AS e ON m.scope = 1 AND e.executor_no = m.key
WHERE m.task_no = :task AND m.scope = :scope AND m.key > :above AND m.key < :below
ORDER BY m.key;

-- name: names
-- The tasks with these (…, task_no) that pass the filters.
SELECT wanted.value ->> 0 AS place, t.task_no, k.task_id
FROM json_each(:keys) AS wanted
CROSS JOIN task AS t ON t.task_no = wanted.value ->> 1
CROSS JOIN task_key AS k ON k.task_no = t.task_no
WHERE (
        :q IS NULL OR substr(k.task_id, 1, length(:q)) = :q OR substr(t.name, 1, length(:q)) = :q
    );
