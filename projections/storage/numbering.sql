-- Rows of the shared stage that give a text another number in one file than in the other; the
-- tables of a projection can be moved between two files only if there are none.

-- name: tenant
SELECT count(*) FROM main.tenant AS a LEFT JOIN replayed.tenant AS b USING (tenant_no)
WHERE a.name IS NOT b.name

-- name: task_key
SELECT count(*) FROM main.task_key AS a LEFT JOIN replayed.task_key AS b USING (task_no)
WHERE (a.tenant_no, a.task_id) IS NOT (b.tenant_no, b.task_id)

-- name: run_key
SELECT count(*) FROM main.run_key AS a LEFT JOIN replayed.run_key AS b USING (run_no)
WHERE (a.task_no, a.run_id) IS NOT (b.task_no, b.run_id)

-- name: executor
SELECT count(*) FROM main.executor AS a LEFT JOIN replayed.executor AS b USING (executor_no)
WHERE (a.tenant_no, a.executor) IS NOT (b.tenant_no, b.executor)

-- name: source
SELECT count(*) FROM main.source AS a LEFT JOIN replayed.source AS b USING (source_no)
WHERE (a.tenant_no, a.hash) IS NOT (b.tenant_no, b.hash)

-- name: message
SELECT count(*) FROM main.message AS a JOIN replayed.message AS b USING (message_no)
WHERE a.text <> b.text

-- name: fingerprint
SELECT count(*) FROM main.fingerprint AS a LEFT JOIN replayed.fingerprint AS b
USING (fingerprint_no)
WHERE (a.tenant_no, a.fingerprint) IS NOT (b.tenant_no, b.fingerprint)

-- name: signature
SELECT count(*) FROM main.signature AS a LEFT JOIN replayed.signature AS b USING (error_no)
WHERE a.hash IS NOT b.hash
