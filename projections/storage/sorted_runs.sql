-- The statements of projections/storage/sorted_runs.py. `sorted_…` is replaced by the name of the
-- index, so that several indexes of one shape stand in one file.

-- name: create_runs
-- state: 0 live (searched), 1 being written by a merge, 2 merged into another and being removed.
-- base, top: the smallest and the largest value; cells: of the filter; target: the run that this
-- one is merged into; next_entry: the first entry that is not merged or removed yet.
CREATE TABLE sorted_run (
    run_no INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    state INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    base INTEGER NOT NULL,
    top INTEGER NOT NULL,
    cells INTEGER NOT NULL,
    target INTEGER,
    next_entry INTEGER NOT NULL
) STRICT

-- name: create_blocks
-- block_no = run_no * 2^24 + the block's number in its run. keys: 8 bytes an entry, ascending;
-- offsets: 4 bytes an entry, value - base.
CREATE TABLE sorted_block (
    block_no INTEGER PRIMARY KEY,
    run_no INTEGER NOT NULL,
    first_key INTEGER NOT NULL,
    keys BLOB NOT NULL,
    offsets BLOB NOT NULL
) STRICT

-- name: create_live
CREATE INDEX sorted_run_live ON sorted_run (partition, state)

-- name: create_fences
CREATE INDEX sorted_block_first ON sorted_block (run_no, first_key)

-- name: create_filters
-- part_no = run_no * 2^24 + the part's number; bits: projections/storage/key_filter.py.
CREATE TABLE sorted_filter (
    part_no INTEGER PRIMARY KEY,
    bits BLOB NOT NULL
) STRICT

-- name: runs
SELECT run_no, state, entries, base, top, cells, target, next_entry
FROM sorted_run WHERE partition = :partition ORDER BY run_no

-- name: partitions
SELECT DISTINCT partition FROM sorted_run ORDER BY partition

-- name: last_run
SELECT coalesce(max(run_no), 0) FROM sorted_run

-- name: add_run
INSERT INTO sorted_run (run_no, partition, state, entries, base, top, cells, target, next_entry)
VALUES (:run_no, :partition, :state, 0, :base, :top, :cells, NULL, 0)

-- name: add_block
INSERT OR REPLACE INTO sorted_block (block_no, run_no, first_key, keys, offsets) VALUES (?, ?, ?, ?, ?)

-- name: rewrite_run
UPDATE sorted_run SET entries = 0, base = :base, top = :top, cells = :cells WHERE run_no = :run_no

-- name: blocks
SELECT keys, offsets FROM sorted_block WHERE block_no >= :first ORDER BY block_no LIMIT :limit

-- name: some_blocks
SELECT block_no, keys, offsets FROM sorted_block WHERE block_no IN (:blocks)

-- name: fences
SELECT first_key FROM sorted_block WHERE run_no = :run_no ORDER BY first_key

-- name: between
-- Entries equal to :low may begin in the block before the first one that starts with it.
SELECT base, keys, offsets
FROM sorted_run AS run JOIN sorted_block AS block USING (run_no)
WHERE partition = :partition AND state = 0 AND first_key <= :high AND first_key >= coalesce(
    (SELECT max(first_key) FROM sorted_block WHERE run_no = run.run_no AND first_key < :low), 0)

-- name: write_filter
INSERT OR REPLACE INTO sorted_filter (part_no, bits) VALUES (?, ?)

-- name: filter_part
SELECT bits FROM sorted_filter WHERE part_no = ?

-- name: filter
SELECT part_no, bits FROM sorted_filter WHERE part_no >= :first AND part_no < :end

-- name: give_target
UPDATE sorted_run SET target = :target WHERE run_no = :run_no

-- name: advance
UPDATE sorted_run SET next_entry = :next_entry WHERE run_no = :run_no

-- name: grow
UPDATE sorted_run SET entries = entries + :entries WHERE run_no = :run_no

-- name: finish
UPDATE sorted_run SET state = 0 WHERE run_no = :run_no

-- name: doom
UPDATE sorted_run SET state = 2, next_entry = 0 WHERE target = :run_no

-- name: remove_blocks
DELETE FROM sorted_block WHERE block_no >= :first AND block_no < :end

-- name: remove_filter
DELETE FROM sorted_filter WHERE part_no >= :first AND part_no < :end

-- name: remove_run
DELETE FROM sorted_run WHERE run_no = :run_no
