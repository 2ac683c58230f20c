-- One row a decision about an error, as a fact in the log said it. It names an occurrence (task, run
-- and attempt), so that it is found again when another version of fingerprints takes the error for
-- another pattern.
CREATE TABLE triage (
    tenant TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    position INTEGER NOT NULL,
    version INTEGER NOT NULL,  -- of the fingerprint
    actor TEXT NOT NULL,
    action TEXT,  -- resolve, ignore, reopen; NULL: only a note or an owner
    until_ns INTEGER,  -- of ignore
    note TEXT,
    owner TEXT,
    task_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (tenant, fingerprint, time_ns, partition, position)
) STRICT, WITHOUT ROWID;
