-- One row a run that has an attempt or is queued. run_id: table run_key. Times that follow from
-- others are not stored, nor is the trace of a run that lies in one, which its attempts say: read
-- the views run_summary and run_traces.
CREATE TABLE run (
    run_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    task_no INTEGER NOT NULL,
    is_first INTEGER NOT NULL,  -- 1: the first run of its task, which table task_key names
    status INTEGER NOT NULL,
    attempts INTEGER NOT NULL,  -- retries = max(attempts - 1, 0)
    left_out INTEGER NOT NULL DEFAULT 0,  -- of these, how many have no row: beyond the limit of a run
    recovered INTEGER NOT NULL,
    backfilled INTEGER NOT NULL,
    last_started_ns INTEGER NOT NULL,  -- start of the newest attempt, else queued: the lists' order
    lead_ns INTEGER,  -- how long before that the first attempt started; NULL: there is none
    queued_ns INTEGER,
    wall_clock_ns INTEGER,  -- from the first start to the last end
    idle_ns INTEGER,
    overlap_ns INTEGER NOT NULL,
    progress REAL,
    source_no INTEGER,  -- of the newest attempt
    error_no INTEGER,  -- of the newest failure
    message_no INTEGER,  -- of the newest failure
    group_id TEXT,
    trace_ids BLOB NOT NULL,  -- of several: the first 100 in order of the first attempt in it
    parents TEXT,  -- JSON list of the first 100
    causes TEXT  -- JSON list of the first 100
) STRICT;

CREATE VIEW run_summary AS
SELECT
    *,
    last_started_ns - lead_ns AS first_started_ns,
    last_started_ns - lead_ns + wall_clock_ns AS last_ended_ns,
    max(coalesce(wall_clock_ns, 0), 0) - coalesce(idle_ns, 0) + overlap_ns AS total_execution_ns
FROM run;

-- The traces of a run, 16 bytes each.
CREATE VIEW run_traces AS
SELECT
    run_no,
    CASE WHEN trace_ids <> x'' THEN trace_ids ELSE coalesce((
        SELECT trace_id FROM attempt
        WHERE attempt_key > run_no << 20 AND attempt_key < (run_no + 1) << 20 LIMIT 1
    ), x'') END AS trace_ids
FROM run;
