-- Counters that can be added and subtracted. scope 0: the whole task (key 0); 1: key = executor_no
-- (0: not known); 2: key = hour since 1970 of the attempt's start; 3: key = day since 1970.
--
-- Most tasks meet one executor and one hour. Then only the scope 0 row is stored, with
-- only_executor_no / only_hour set, and the view `task_metric` shows the others. Of a task with one
-- ended attempt table `metric_one` has the row. Read the view.
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

-- A task with one ended attempt that did not wait in a queue: each counter is 0 or 1, and the bucket
-- follows from the duration.
CREATE TABLE metric_one (
    task_no INTEGER PRIMARY KEY,
    executor_no INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    told INTEGER NOT NULL,  -- a bit for each counter from `executions` to `duration_count`, in order
    duration_ns INTEGER NOT NULL
) STRICT;

-- buckets: NULL where they are the one of duration_sum_ns.
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
FROM metric WHERE scope = 0 AND only_hour IS NOT NULL
UNION ALL
SELECT
    task_no, scope,
    CASE scope WHEN 0 THEN 0 WHEN 1 THEN executor_no WHEN 2 THEN hour ELSE hour / 24 END,
    told & 1, told >> 1 & 1, told >> 2 & 1, told >> 3 & 1, told >> 4 & 1, told >> 5 & 1,
    told >> 6 & 1, told >> 7 & 1, told >> 8 & 1, told >> 9 & 1, told >> 10 & 1, told >> 11 & 1,
    told >> 12 & 1, 0, told >> 14 & 1, 0, duration_ns, x'', iif(told >> 14 & 1, NULL, x'')
FROM metric_one
CROSS JOIN (SELECT 0 AS scope UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3);
