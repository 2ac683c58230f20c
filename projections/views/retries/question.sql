-- What came after failed attempts: read where error patterns and attempts are kept.

-- name: patterns
-- The patterns of a tenant that occurred last, at most so many.
SELECT p.fingerprint_no, f.fingerprint, f.signature
FROM error_pattern AS p
CROSS JOIN fingerprint AS f ON f.fingerprint_no = p.fingerprint_no
WHERE p.tenant_no = :tenant AND p.last_seen_ns >= :since
ORDER BY p.last_seen_ns DESC, p.fingerprint_no DESC LIMIT :patterns;

-- name: retries
-- The attempts that followed the last occurrences of a pattern, those that have ended. status: 2
-- completed, 3 failed, 4 timed out, 7 abandoned.
SELECT
    a.attempt_key & 1048575 AS attempt, a.status, a.started_ns - o.seen_ns AS waited_ns,
    coalesce(s.component, '') AS component
FROM (
    SELECT attempt_key, seen_ns FROM error_occurrence
    WHERE fingerprint_no = :fingerprint AND seen_ns >= :since
    ORDER BY seen_ns DESC, attempt_key DESC LIMIT :occurrences
) AS o
CROSS JOIN attempt AS a ON a.attempt_key = o.attempt_key + 1
CROSS JOIN source AS s ON s.source_no = a.source_no
WHERE a.status IN (2, 3, 4, 7)
    AND (:component IS NULL OR s.component = :component);

-- name: more
-- Whether a pattern has older occurrences than those.
SELECT 1 FROM error_occurrence
WHERE fingerprint_no = :fingerprint AND seen_ns >= :since
LIMIT 1 OFFSET :occurrences;
