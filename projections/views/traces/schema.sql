-- Sorted runs of (digest of tenant and trace id -> position): one a page, merged as they grow.
-- state: 0 live (searched), 1 being written by a merge, 2 merged into another and being removed.
CREATE TABLE trace_run (
    run_no INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    state INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    base INTEGER NOT NULL,  -- offsets count from this position
    blocks INTEGER NOT NULL,
    target INTEGER,  -- the run that this one is merged into
    next_block INTEGER NOT NULL,  -- the first block not merged or removed yet
    next_entry INTEGER NOT NULL  -- the first entry of it not merged yet
) STRICT;

-- block_no = run_no * 2^24 + the block's number in its run; hashes: 8 bytes an entry, ascending;
-- offsets: 4 bytes an entry.
CREATE TABLE trace_block (
    block_no INTEGER PRIMARY KEY,
    run_no INTEGER NOT NULL,
    first_hash INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    offsets BLOB NOT NULL
) STRICT;
