-- Figures over the newest attempts and runs: ranges of indexes, each read to a bound at most.

-- name: attempts_now
-- How many attempts have a status, counted to a bound.
SELECT count(*) FROM (
    SELECT 1 FROM attempt WHERE tenant_no = :tenant AND status = :status LIMIT :most
);

-- name: runs_now
-- How many runs have a status, counted to a bound.
SELECT count(*) FROM (
    SELECT 1 FROM run WHERE tenant_no = :tenant AND status = :status LIMIT :most
);

-- name: ended
-- How many attempts ended with a status in each bucket of time, newest first, counted to a bound.
SELECT (ended_ns - :since) / :width AS bucket, count(*) AS attempts
FROM (
    SELECT ended_ns FROM attempt
    WHERE tenant_no = :tenant AND status = :status AND ended_ns >= :since AND ended_ns < :until
    ORDER BY ended_ns DESC LIMIT :most
)
GROUP BY bucket;

-- name: runs
-- How many of the newest runs have a status, and how many of these recovered, to a bound.
SELECT count(*), coalesce(sum(recovered), 0) FROM (
    SELECT recovered FROM run
    WHERE tenant_no = :tenant AND status = :status AND last_started_ns >= :since
    ORDER BY last_started_ns DESC LIMIT :most
);

-- name: durations
-- How long the newest completed attempts took.
SELECT ended_ns - started_ns FROM attempt
WHERE tenant_no = :tenant AND status = :status AND ended_ns >= :since AND ended_ns < :until
ORDER BY ended_ns DESC LIMIT :most;

-- name: waits
-- How long the newest attempts that were seen in a queue waited there.
SELECT started_ns - queued_ns FROM attempt
WHERE tenant_no = :tenant AND queued_ns IS NOT NULL AND queued_ns >= :since
ORDER BY queued_ns DESC LIMIT :most;
