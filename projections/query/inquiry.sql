-- name: statuses
-- The statuses that occur in a table, each found by one step in its index by status.
WITH RECURSIVE held(status) AS (
    SELECT min(status) FROM {table} WHERE tenant_no = :tenant
    UNION ALL
    SELECT (SELECT min(status) FROM {table} WHERE tenant_no = :tenant AND status > held.status)
    FROM held WHERE held.status IS NOT NULL
)
SELECT status FROM held WHERE status IS NOT NULL;
