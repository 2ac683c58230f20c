-- Counters that can be added and subtracted. scope 0: the whole task (key 0); 1: key = executor_no
-- (0: not known); 2: key = hour since 1970 of the attempt's start; 3: key = day since 1970.
--
-- Most tasks meet one executor and one hour. Then only the scope 0 row is stored, with
-- only_executor_no / only_hour set, and the view `task_metric` shows the others. Read the view.
CREATE TABLE metric (
    task_no INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    key INTEGER NOT NULL,
    only_executor_no INTEGER,
    only_hour INTEGER,
    executions INTEGER NOT NULL,  -- ended attempts
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    timed_out INTEGER NOT NULL,
    abandoned INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    runs INTEGER NOT NULL,  -- runs with an ended attempt in this scope
    completed_runs INTEGER NOT NULL,
    failed_runs INTEGER NOT NULL,  -- failed, timed_out or abandoned
    recovered_runs INTEGER NOT NULL,
    anomalies INTEGER NOT NULL,  -- negative durations and waits, which are not in the sums
    wait_count INTEGER NOT NULL DEFAULT 0,
    duration_count INTEGER NOT NULL,
    wait_sum_ns INTEGER NOT NULL DEFAULT 0,  -- from the queue to the start
    duration_sum_ns INTEGER NOT NULL,
    waits BLOB NOT NULL DEFAULT x'',  -- as buckets
    buckets BLOB NOT NULL,  -- projections/storage/buckets.py: percentiles(), minimum and maximum
    PRIMARY KEY (task_no, scope, key)
) STRICT, WITHOUT ROWID;

CREATE VIEW task_metric AS
SELECT
    task_no, scope, key, executions, completed, failed, timed_out, abandoned, cancelled, skipped,
    retries, runs, completed_runs, failed_runs, recovered_runs, anomalies, wait_count,
    duration_count, wait_sum_ns, duration_sum_ns, waits, buckets
FROM metric
UNION ALL
SELECT
    task_no, 1, only_executor_no, executions, completed, failed, timed_out, abandoned, cancelled,
    skipped, retries, runs, completed_runs, failed_runs, recovered_runs, anomalies, wait_count,
    duration_count, wait_sum_ns, duration_sum_ns, waits, buckets
FROM metric WHERE scope = 0 AND only_executor_no IS NOT NULL
UNION ALL
SELECT
    task_no, 2, only_hour, executions, completed, failed, timed_out, abandoned, cancelled,
    skipped, retries, runs, completed_runs, failed_runs, recovered_runs, anomalies, wait_count,
    duration_count, wait_sum_ns, duration_sum_ns, waits, buckets
FROM metric WHERE scope = 0 AND only_hour IS NOT NULL
UNION ALL
SELECT
    task_no, 3, only_hour / 24, executions, completed, failed, timed_out, abandoned, cancelled,
    skipped, retries, runs, completed_runs, failed_runs, recovered_runs, anomalies, wait_count,
    duration_count, wait_sum_ns, duration_sum_ns, waits, buckets
FROM metric WHERE scope = 0 AND only_hour IS NOT NULL;
