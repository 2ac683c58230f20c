-- One row an attempt. attempt_key = run_no * 1048576 + attempt number, so a run's attempts are
-- the range run_no << 20 .. (run_no << 20) + 1048575, in order. The public attempt id is computed
-- from (tenant, task id, run id, number): projections/runs/words.py attempt_id().
CREATE TABLE attempt (
    attempt_key INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    task_no INTEGER NOT NULL,
    is_first INTEGER NOT NULL,  -- 1: number 1 of the first run of its task; see index.sql
    status INTEGER NOT NULL,
    flags INTEGER NOT NULL,  -- projections/runs/words.py FLAG_*
    started_ns INTEGER NOT NULL,
    ended_ns INTEGER,  -- NULL while running; duration = ended_ns - started_ns, may be negative
    queued_ns INTEGER,
    retry_of INTEGER,  -- the number of the attempt that this one repeats
    max_attempts INTEGER,
    executor_no INTEGER,
    source_no INTEGER NOT NULL,
    error_no INTEGER,  -- error type and stack hash: table fingerprint
    message_no INTEGER,  -- table message
    heartbeat_ns INTEGER,  -- of the last heartbeat, while no end is known
    heard INTEGER,  -- while it runs and beats: position of the last sign of life to arrive,
    signs INTEGER,  -- and how many there are; for the watcher
    progress REAL,
    trace_id BLOB NOT NULL,
    span_id BLOB NOT NULL,
    partition INTEGER NOT NULL,
    position INTEGER NOT NULL,  -- of the event that says most: the span, else the start record
    extra BLOB NOT NULL  -- what few say: projections/runs/more.py extra_of(); mostly empty
) STRICT;
