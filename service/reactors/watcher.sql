-- name: silent
-- Running attempts that once sent a heartbeat and were last heard at or before a position, the
-- longest silent first.
SELECT attempt.attempt_key & 1048575, attempt.heard, attempt.signs, attempt.heartbeat_ns,
    tenant.name, task_key.task_id, run_key.run_id, attempt.trace_id, attempt.span_id
FROM attempt INDEXED BY attempt_heard
CROSS JOIN run_key ON run_key.run_no = attempt.attempt_key >> 20
CROSS JOIN task_key ON task_key.task_no = attempt.task_no
CROSS JOIN tenant ON tenant.tenant_no = attempt.tenant_no
WHERE attempt.heard > :after AND attempt.heard <= :heard
ORDER BY attempt.heard
LIMIT :limit

-- name: position
SELECT position FROM checkpoint WHERE projection = 'attempts' AND partition = 0
