-- name: heartbeats
-- Running attempts that once sent a heartbeat.
SELECT attempt_key, heartbeat_ns FROM attempt INDEXED BY attempt_heartbeat
WHERE heartbeat_ns IS NOT NULL AND status = :running

-- name: attempt
SELECT tenant.name, task_key.task_id, run_key.run_id, run_key.facts,
    attempt.trace_id, attempt.span_id
FROM attempt
JOIN run_key ON run_key.run_no = attempt.attempt_key >> 20
JOIN task_key ON task_key.task_no = attempt.task_no
JOIN tenant ON tenant.tenant_no = attempt.tenant_no
WHERE attempt.attempt_key = :attempt_key

-- name: position
SELECT position FROM checkpoint WHERE projection = 'attempts' AND partition = 0
