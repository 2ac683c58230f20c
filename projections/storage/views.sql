-- What every views file holds beside the tables of its projections. What is new
-- here is added to files of older releases when they are opened (generation.py `complete`).

-- One row: which generation this file is. Times are NULL until it happened.
CREATE TABLE IF NOT EXISTS generation (
    number INTEGER PRIMARY KEY,
    created_ns INTEGER NOT NULL,
    activated_ns INTEGER,
    retired_ns INTEGER,
    as_of INTEGER NOT NULL  -- 1: a view of the past, never fed again
) STRICT;

-- How far each projection has come. Those told by changes of runs move with the shared stage,
-- and what one of them missed lies in `spool`.
CREATE TABLE IF NOT EXISTS checkpoint (
    projection TEXT NOT NULL,
    partition INTEGER NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,  -- of the segment that holds the position
    committed_ns INTEGER NOT NULL,  -- when that segment was committed
    log_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    updated_ns INTEGER NOT NULL,
    PRIMARY KEY (projection, partition)
) STRICT;

-- What a projection goes without: an event (run_no 0), or the changes of a run. Then `change` holds
-- the run as the projection has it and as it should have it, and `position` is the end of the page
-- that could not be applied last; NULL: nothing is held, rebuilds may leave the run out.
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY,
    projection TEXT NOT NULL,
    partition INTEGER NOT NULL,
    position INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    error TEXT NOT NULL,
    parked_ns INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('parked', 'discarded')),
    run_no INTEGER NOT NULL DEFAULT 0,
    change BLOB,
    UNIQUE (projection, partition, position, run_no)
) STRICT;

-- The changes of the pages that some projection has not applied yet, oldest first.
CREATE TABLE IF NOT EXISTS spool (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    after INTEGER NOT NULL,
    through INTEGER NOT NULL,
    hash BLOB NOT NULL,  -- of the segment that holds `through`
    committed_ns INTEGER NOT NULL,  -- when that segment was committed
    oldest_ns INTEGER NOT NULL,  -- when the page's first segment was committed
    changes BLOB NOT NULL  -- a list of lists of changes, msgpack, zstd
) STRICT;

-- Projections that do not simply follow the log: what they do instead, since when, and why.
CREATE TABLE IF NOT EXISTS projection_state (
    projection TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('behind', 'paused', 'rebuilding', 'stopped')),
    since_ns INTEGER NOT NULL,
    reason TEXT  -- of a pause
) STRICT, WITHOUT ROWID;

-- The configuration that each projection's tables are made with, as JSON.
CREATE TABLE IF NOT EXISTS configuration (
    projection TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    content TEXT NOT NULL
) STRICT, WITHOUT ROWID;
