-- The search index: blocks of as many positions each, filters over many blocks, and the names that
-- a user chooses from. What the blobs hold stands in blocks.py and filters.py.

CREATE TABLE search_block (
    partition INTEGER NOT NULL,
    block_no INTEGER NOT NULL,     -- position - 1, divided by the positions of a block
    first_ns INTEGER NOT NULL,     -- the earliest start of its spans
    last_ns INTEGER NOT NULL,      -- the latest
    longest_ns INTEGER NOT NULL,
    PRIMARY KEY (partition, block_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE search_content (
    content_no INTEGER PRIMARY KEY,  -- partition * 2^40 + block_no
    tokens BLOB NOT NULL,
    postings BLOB NOT NULL
) STRICT;

CREATE TABLE search_filter (
    partition INTEGER NOT NULL,
    filter_no INTEGER NOT NULL,    -- block_no, divided by the blocks of a filter
    words INTEGER NOT NULL,
    PRIMARY KEY (partition, filter_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE search_filter_part (
    part_no INTEGER PRIMARY KEY,   -- (partition * 2^30 + filter_no) * 2^20 + the part's number
    words BLOB NOT NULL
) STRICT;

CREATE TABLE search_service (
    service_no INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (tenant, name)
) STRICT;

CREATE TABLE search_operation (
    service_no INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,         -- as OTLP numbers it
    PRIMARY KEY (service_no, name, kind)
) STRICT, WITHOUT ROWID;
