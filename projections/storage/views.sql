-- What every views file holds beside the tables of its projections.

-- One row: which generation this file is. Times are NULL until it happened.
CREATE TABLE generation (
    number INTEGER PRIMARY KEY,
    created_ns INTEGER NOT NULL,
    activated_ns INTEGER,
    retired_ns INTEGER,
    as_of INTEGER NOT NULL  -- 1: a view of the past, never fed again
) STRICT;

CREATE TABLE checkpoint (
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

CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY,
    projection TEXT NOT NULL,
    partition INTEGER NOT NULL,
    position INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    error TEXT NOT NULL,
    parked_ns INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('parked', 'discarded')),
    UNIQUE (projection, partition, position)
) STRICT;
