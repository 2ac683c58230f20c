-- One row a run that has an attempt or is queued. run_id: table run_key.
CREATE TABLE run (
    run_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    task_no INTEGER NOT NULL,
    status INTEGER NOT NULL,
    attempts INTEGER NOT NULL,  -- retries = max(attempts - 1, 0)
    left_out INTEGER NOT NULL,  -- of these, how many have no row: beyond the limit of a run
    recovered INTEGER NOT NULL,
    backfilled INTEGER NOT NULL,
    last_started_ns INTEGER NOT NULL,  -- start of the newest attempt, else queued: the lists' order
    first_started_ns INTEGER,
    last_ended_ns INTEGER,
    queued_ns INTEGER,
    total_execution_ns INTEGER NOT NULL,
    wall_clock_ns INTEGER,
    idle_ns INTEGER,
    overlap_ns INTEGER NOT NULL,
    progress REAL,
    source_no INTEGER,  -- of the newest attempt
    fingerprint_no INTEGER,  -- of the newest failure
    message_no INTEGER,  -- of the newest failure
    group_id TEXT,
    trace_ids BLOB NOT NULL,  -- 16 bytes each, the first 100 in order of the first attempt in it
    parents TEXT,  -- JSON list of the first 100
    causes TEXT  -- JSON list of the first 100
) STRICT;
