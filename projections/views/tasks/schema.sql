-- One row a task: the state of its latest run (the one whose newest attempt started last) and
-- counters over all its runs. task_id: table task_key.
CREATE TABLE task (
    task_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    status INTEGER NOT NULL,
    run_no INTEGER NOT NULL,  -- the latest run
    last_started_ns INTEGER NOT NULL,  -- of the latest run: the lists' order
    lead_ns INTEGER NOT NULL,  -- how long before that its first attempt of all started
    updated_ns INTEGER NOT NULL,  -- the latest run's newest end or start
    runs INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    recovered_runs INTEGER NOT NULL,
    backfilled_runs INTEGER NOT NULL,
    executor_no INTEGER,  -- of the newest attempt of the latest run, as source_no
    source_no INTEGER,  -- of the newest attempt of the latest run
    name TEXT
) STRICT;
