-- What was decided of errors.

-- name: decisions
-- All decisions of a tenant.
SELECT tenant, fingerprint, time_ns, partition, position, version, actor, action, until_ns, note,
    owner, task_id, run_id, attempt
FROM triage WHERE tenant = :tenant;

-- name: seen_after
-- When a pattern was seen first after a moment.
SELECT min(seen_ns) FROM error_occurrence WHERE fingerprint_no = :fingerprint AND seen_ns > :after;

-- name: pattern_of
-- The fingerprint that an attempt's error has now.
SELECT f.fingerprint FROM attempt AS a
CROSS JOIN fingerprint AS f ON f.fingerprint_no = a.error_no >> 16
WHERE a.attempt_key = :attempt;

-- name: hours
-- How often a pattern was seen in each hour from :since on.
SELECT hour, occurrences FROM error_hour WHERE fingerprint_no = :fingerprint AND hour >= :since
ORDER BY hour;
