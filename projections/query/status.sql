-- name: projections
-- Every projection with the number of events parked for it.
SELECT
    c.projection, c.version, c.partition, c.position, c.committed_ns, c.updated_ns,
    (
        SELECT count(*) FROM dead_letter AS d
        WHERE d.projection = c.projection AND d.partition = c.partition AND d.state = 'parked'
    )
FROM checkpoint AS c
ORDER BY c.projection, c.partition;

-- name: has_states
-- Whether this file says what its projections do.
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'projection_state';

-- name: counts
-- How many tasks, runs and attempts of a tenant there are, from its tasks up to a bound.
SELECT count(*), coalesce(sum(runs), 0), coalesce(sum(attempts), 0)
FROM (SELECT runs, attempts FROM task WHERE tenant_no = :tenant LIMIT 100000);
