-- Runs that an event of the log may have ended.

-- name: told
-- The run with this number, as its list knows it, and the last event that tells of its attempts.
SELECT r.last_started_ns, r.run_no, r.status, (
        SELECT max(a.position) FROM attempt AS a
        WHERE a.attempt_key BETWEEN :run << 20 AND (:run << 20) + 1048575
    ) AS position
FROM run AS r
WHERE r.run_no = :run AND r.tenant_no = :tenant;

-- name: first_seen
-- When a pattern was seen first.
SELECT first_seen_ns FROM error_pattern WHERE fingerprint_no = :fingerprint;
