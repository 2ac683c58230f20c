-- name: load
SELECT projection, partition, version, position, hash, committed_ns, log_id, epoch, updated_ns
FROM checkpoint ORDER BY projection, partition

-- name: stage
SELECT position FROM stage.checkpoint WHERE projection = :projection AND partition = :partition

-- name: insert
INSERT INTO checkpoint
    (projection, partition, version, position, hash, committed_ns, log_id, epoch, updated_ns)
VALUES
    (:projection, :partition, :version, :position, :hash, :committed_ns, :log_id, :epoch,
     :updated_ns)

-- name: claim
UPDATE checkpoint SET epoch = (SELECT max(epoch) FROM checkpoint) + 1

-- name: advance
UPDATE checkpoint
SET position = :through, hash = :hash, committed_ns = :committed_ns, updated_ns = :updated_ns
WHERE projection = :projection AND partition = :partition
  AND position = :after AND epoch = :epoch
