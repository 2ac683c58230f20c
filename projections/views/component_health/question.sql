-- How attempts and runs of components ended lately.

-- name: attempts
-- Of the newest attempts of one status: how many each component had, and how many since :recent.
SELECT
    s.component, :status AS status, count(*) AS attempts,
    sum(a.started_ns >= :recent) AS recent
FROM (
    SELECT source_no, started_ns FROM attempt
    WHERE tenant_no = :tenant AND status = :status AND started_ns >= :since
    ORDER BY started_ns DESC LIMIT :limit
) AS a
CROSS JOIN source AS s ON s.source_no = a.source_no
GROUP BY s.component;

-- name: runs
-- The same of runs.
SELECT s.component, :status AS status, count(*) AS attempts, 0 AS recent
FROM (
    SELECT source_no FROM run
    WHERE tenant_no = :tenant AND status = :status AND last_started_ns >= :since
    ORDER BY last_started_ns DESC LIMIT :limit
) AS r
CROSS JOIN source AS s ON s.source_no = r.source_no
GROUP BY s.component;

-- name: new_patterns
-- How many errors each component has that were seen first since :since.
SELECT ec.component, 0 AS status, count(*) AS attempts, 0 AS recent
FROM error_pattern AS p
CROSS JOIN error_component AS ec ON ec.fingerprint_no = p.fingerprint_no
WHERE p.tenant_no = :tenant AND p.last_seen_ns >= :since AND p.first_seen_ns >= :since
GROUP BY ec.component;
