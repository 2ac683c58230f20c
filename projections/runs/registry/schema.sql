-- The shared stage: numbers for texts, and every run's facts. Look-ups by text go through
-- projections/query/lookup.py, because the text -> number indexes are keyed by digests. Those of
-- tasks and spans are sorted runs (projections/storage/sorted_runs.sql): task_hash, run_hash (of all
-- runs but the first of each task, which task_key names), span, loose.
--
-- Numbers are given in order of first appearance in the log, so a rebuild gives the same ones.

-- Status numbers and their words (projections/runs/words.py holds the same list).
CREATE TABLE status_word (
    status INTEGER PRIMARY KEY,
    word TEXT NOT NULL
) STRICT;

CREATE TABLE tenant (
    tenant_no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE task_key (
    task_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    first_run_no INTEGER NOT NULL,  -- most tasks have no other
    task_id TEXT NOT NULL
) STRICT;

-- One row a run. run_id: `task.run.id`, else the trace id in hex. hash: 63-bit digest of
-- (tenant, task id, run id). facts: what derive() works on (msgpack, projections/runs/facts.py, to
-- be read with last_started_ns), empty if they have outgrown this row and have rows of their own.
CREATE TABLE run_key (
    run_no INTEGER PRIMARY KEY,
    task_no INTEGER NOT NULL,
    is_first INTEGER NOT NULL,  -- 1: the first run of its task
    hash INTEGER NOT NULL,
    lead_ns INTEGER,  -- last_started_ns less the start of its first attempt
    last_started_ns INTEGER,
    run_id TEXT NOT NULL,
    facts BLOB NOT NULL
) STRICT;

-- The runs of a task but the first, newest last: if its latest run moves back in time, another one
-- is. The first is found by its number: so the runs of tasks that have one are in no index by task.
CREATE INDEX run_key_task ON run_key (task_no, last_started_ns) WHERE is_first = 0;

-- The facts of a run that has many. kind: 0 span, 1 log record, 2 abandoned, 3 a span that is
-- left out (projections/runs/long/left_out.py).
CREATE TABLE run_fact (
    run_no INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    fact BLOB NOT NULL,
    PRIMARY KEY (run_no, event_id)
) STRICT, WITHOUT ROWID;

-- Spans and log records that a mapping rule may need again, with the values that rules name
-- (projections/mapping/observe/observation.py).
CREATE TABLE observation (
    observation_no INTEGER PRIMARY KEY,
    content BLOB NOT NULL
) STRICT;

-- How they are found, in order of start: by span, as children, as records of a span, by run key.
CREATE TABLE observation_key (
    key BLOB NOT NULL,
    start_ns INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    observation_no INTEGER NOT NULL,
    PRIMARY KEY (key, start_ns, event_id)
) STRICT, WITHOUT ROWID;

-- executor_no names one executor text of one tenant; it is never shared between tenants.
CREATE TABLE executor (
    executor_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    executor TEXT NOT NULL,
    UNIQUE (tenant_no, executor)
) STRICT;

-- Where an attempt ran: one row for each combination met. Absent parts are NULL.
CREATE TABLE source (
    source_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    hash INTEGER NOT NULL UNIQUE,
    executor_no INTEGER,
    queue TEXT,
    tool TEXT,
    model TEXT,
    planner TEXT,
    host TEXT,
    component TEXT,  -- service.name
    environment TEXT,  -- deployment.environment.name
    system TEXT NOT NULL,  -- which kind of orchestrator said so; 'native' = task.* attributes
    rule TEXT NOT NULL  -- the mapping rule that recognised it, with its version: id@version
) STRICT;

-- What an error said of itself. message_no: where its event stands, position + partition * 2^40;
-- below zero where an event has several; 0 is the message of all attempts that were abandoned.
CREATE TABLE message (
    message_no INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;

-- One row for each error identity of a tenant, with what one of its signatures says: the least, so
-- that the order of arrival does not matter. sample_stack is the frames that decide, one a line.
CREATE TABLE fingerprint (
    fingerprint_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,  -- 32 hex digits
    error_type TEXT,
    stack_hash TEXT,  -- 16 hex digits of the normalised stack; NULL without a stack
    normal_message TEXT NOT NULL,
    sample_stack TEXT NOT NULL,  -- empty without a stack
    signature BLOB NOT NULL,
    UNIQUE (tenant_no, fingerprint)
) STRICT;

-- Names that older releases gave to errors, and the patterns to which they lead now.
CREATE TABLE former_fingerprint (
    tenant_no INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    fingerprint_no INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, fingerprint)
) STRICT, WITHOUT ROWID;

-- What of an error decides, without what varies. error_no = fingerprint_no * 65536 + which of the
-- fingerprint's signatures it is, from 1. Category and suggestion are computed from the content
-- (msgpack, projections/errors/signature.py). hash: 63-bit digest of (tenant, content).
CREATE TABLE signature (
    error_no INTEGER PRIMARY KEY,
    hash INTEGER NOT NULL UNIQUE,
    content BLOB NOT NULL
) STRICT;
