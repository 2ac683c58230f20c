-- name: runs
SELECT run_no, state, entries, base, blocks, target, next_block, next_entry
FROM trace_run WHERE partition = :partition ORDER BY run_no

-- name: live
SELECT run_no, base FROM trace_run WHERE partition = :partition AND state = 0

-- name: last_run
SELECT coalesce(max(run_no), 0) FROM trace_run

-- name: add_run
INSERT INTO trace_run
    (run_no, partition, state, entries, base, blocks, target, next_block, next_entry)
VALUES (:run_no, :partition, :state, :entries, :base, :blocks, NULL, 0, 0)

-- name: add_block
INSERT INTO trace_block (block_no, run_no, first_hash, hashes, offsets) VALUES (?, ?, ?, ?, ?)

-- name: blocks
SELECT hashes, offsets FROM trace_block
WHERE block_no >= :first ORDER BY block_no LIMIT :limit

-- name: find
SELECT hashes, offsets FROM trace_block
WHERE run_no = :run_no AND first_hash <= :hash
  AND first_hash >= coalesce(
    (SELECT max(first_hash) FROM trace_block WHERE run_no = :run_no AND first_hash < :hash), 0)

-- name: give_target
UPDATE trace_run SET target = :target WHERE run_no = :run_no

-- name: advance
UPDATE trace_run SET next_block = :next_block, next_entry = :next_entry WHERE run_no = :run_no

-- name: grow
UPDATE trace_run SET entries = entries + :entries, blocks = blocks + :blocks WHERE run_no = :run_no

-- name: finish
UPDATE trace_run SET state = 0 WHERE run_no = :run_no

-- name: doom
UPDATE trace_run SET state = 2, next_block = 0 WHERE target = :run_no

-- name: remove_blocks
DELETE FROM trace_block WHERE block_no >= :first AND block_no < :end

-- name: remove_run
DELETE FROM trace_run WHERE run_no = :run_no
