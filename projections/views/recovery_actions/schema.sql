-- One row a recovery action, as an event of an attempt's span or a fact told it. place: which event
-- of the span it is; 0 for a fact.
CREATE TABLE recovery_action (
    tenant TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    position INTEGER NOT NULL,
    place INTEGER NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,  -- succeeded, failed, skipped
    duration_ns INTEGER,
    category TEXT NOT NULL,
    component TEXT NOT NULL,
    task_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    attempt INTEGER,
    PRIMARY KEY (tenant, time_ns, partition, position, place)
) STRICT, WITHOUT ROWID;
