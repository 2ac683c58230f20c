-- One row a fingerprint that has occurred; type, stack hash and sample stack: table fingerprint.
CREATE TABLE error_pattern (
    fingerprint_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    occurrences INTEGER NOT NULL,
    recovered INTEGER NOT NULL,  -- occurrences in runs that completed later
    unrecovered INTEGER NOT NULL,
    runs_lost INTEGER NOT NULL,  -- runs that ended so: their newest failure is one of these
    tasks INTEGER NOT NULL,  -- distinct tasks
    components INTEGER NOT NULL,  -- distinct components (service.name)
    first_seen_ns INTEGER NOT NULL,
    last_seen_ns INTEGER NOT NULL
) STRICT;

-- One row a failed, timed out or abandoned attempt; seen at its end. It was recovered if its run
-- completed: table run.
CREATE TABLE error_occurrence (
    fingerprint_no INTEGER NOT NULL,
    seen_ns INTEGER NOT NULL,
    attempt_key INTEGER NOT NULL,  -- table attempt
    message_no INTEGER,  -- table message
    PRIMARY KEY (fingerprint_no, seen_ns, attempt_key)
) STRICT, WITHOUT ROWID;

-- How many were seen in each hour since 1970.
CREATE TABLE error_hour (
    fingerprint_no INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    occurrences INTEGER NOT NULL,
    PRIMARY KEY (fingerprint_no, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE error_task (
    fingerprint_no INTEGER NOT NULL,
    task_no INTEGER NOT NULL,
    occurrences INTEGER NOT NULL,
    PRIMARY KEY (fingerprint_no, task_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE error_component (
    fingerprint_no INTEGER NOT NULL,
    component TEXT NOT NULL,
    occurrences INTEGER NOT NULL,
    PRIMARY KEY (fingerprint_no, component)
) STRICT, WITHOUT ROWID;
