-- Finding one attempt.

-- name: identities
-- What identifies the attempts of a tenant with keys in a range, perhaps of one task, newest runs
-- first.
SELECT a.attempt_key, k.task_id, rk.run_id, a.started_ns, a.position
FROM attempt AS a
CROSS JOIN run_key AS rk ON rk.run_no = a.attempt_key >> 20
CROSS JOIN task_key AS k ON k.task_no = a.task_no
WHERE a.attempt_key BETWEEN :low AND :high
    AND +a.tenant_no = :tenant
    AND (:task IS NULL OR +a.task_no = :task)
ORDER BY a.attempt_key DESC;

-- name: before
-- The key of the attempt before one in its run.
SELECT max(attempt_key) FROM attempt WHERE attempt_key >= :low AND attempt_key < :key;

-- name: after
-- The key of the attempt after one in its run.
SELECT min(attempt_key) FROM attempt WHERE attempt_key > :key AND attempt_key <= :high;
