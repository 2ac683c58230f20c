-- Rows of error patterns, looked up by the keys that an index range gave.

-- name: patterns
-- The patterns with these (…, fingerprint_no) that pass the filters.
SELECT
    p.fingerprint_no, f.fingerprint, f.stack_hash,
    f.normal_message, f.sample_stack, p.occurrences, p.recovered, p.unrecovered, p.runs_lost, p.tasks,
    p.components, p.first_seen_ns, p.last_seen_ns,
    (
        SELECT m.text FROM error_occurrence AS o LEFT JOIN message AS m USING (message_no)
        WHERE o.fingerprint_no = p.fingerprint_no AND o.seen_ns = p.first_seen_ns
        ORDER BY m.text LIMIT 1
    ) AS error_message,  -- of the first occurrence
    f.signature,
    (
        SELECT nullif(ec.component, '') FROM error_component AS ec
        WHERE ec.fingerprint_no = p.fingerprint_no ORDER BY ec.occurrences DESC, ec.component LIMIT 1
    ) AS component
FROM json_each(:keys) AS wanted
CROSS JOIN error_pattern AS p ON p.fingerprint_no = wanted.value ->> 1
CROSS JOIN fingerprint AS f ON f.fingerprint_no = p.fingerprint_no
WHERE (
        :task IS NULL OR EXISTS (
            SELECT 1 FROM error_task AS et
            WHERE et.fingerprint_no = p.fingerprint_no AND et.task_no = :task
        )
    )
    AND (
        :component IS NULL OR EXISTS (
            SELECT 1 FROM error_component AS ec
            WHERE ec.fingerprint_no = p.fingerprint_no AND ec.component = :component
        )
    )
    AND (:since IS NULL OR p.last_seen_ns >= :since)
    AND (:until IS NULL OR p.last_seen_ns < :until)
    AND (:recovered IS NULL OR (p.recovered > 0) = :recovered)
    AND (
        :q IS NULL OR (
            replace(:q, '-', '') <> ''
            AND substr(f.fingerprint, 1, length(replace(:q, '-', ''))) = lower(replace(:q, '-', ''))
        )
        OR substr(f.error_type, 1, length(:q)) = :q
    );

-- name: components
-- The components that a pattern touched most.
SELECT component FROM error_component WHERE fingerprint_no = :fingerprint
ORDER BY occurrences DESC, component LIMIT 20;

-- name: tasks
-- Some of the tasks that a pattern touched, in order of first appearance.
SELECT k.task_id
FROM (SELECT task_no FROM error_task WHERE fingerprint_no = :fingerprint LIMIT 10) AS et
CROSS JOIN task_key AS k ON k.task_no = et.task_no;

-- name: examples
-- The newest occurrences of a pattern.
SELECT k.task_id, rk.run_id, o.attempt_key
FROM (
    SELECT attempt_key FROM error_occurrence WHERE fingerprint_no = :fingerprint
    ORDER BY seen_ns DESC, attempt_key DESC LIMIT 5
) AS o
CROSS JOIN run_key AS rk ON rk.run_no = o.attempt_key >> 20
CROSS JOIN task_key AS k ON k.task_no = rk.task_no;

-- name: occurrences
-- The failures with these (seen_ns, attempt_key) of one fingerprint, their attempts' starts, and
-- whether their runs completed.
SELECT o.seen_ns, o.attempt_key, a.started_ns, coalesce(r.status = 2, 0) AS recovered
FROM json_each(:keys) AS wanted
CROSS JOIN error_occurrence AS o ON o.fingerprint_no = :fingerprint
    AND o.seen_ns = wanted.value ->> 0 AND o.attempt_key = wanted.value ->> 1
CROSS JOIN attempt AS a ON a.attempt_key = o.attempt_key
LEFT JOIN run AS r ON r.run_no = o.attempt_key >> 20;
