-- State transitions of a task's attempts. step: 0 queued, 1 running, 2 ended.
-- The SQL view `execution_history` (projections/views/sqlviews.sql) shows it in the former schema.
CREATE TABLE transition (
    task_no INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    attempt_key INTEGER NOT NULL,  -- run_no * 1048576 + attempt number (0: the run was queued)
    step INTEGER NOT NULL,
    tenant_no INTEGER NOT NULL,
    status INTEGER NOT NULL,
    PRIMARY KEY (task_no, at_ns, attempt_key, step)
) STRICT, WITHOUT ROWID;
