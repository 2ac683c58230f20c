-- name: append
INSERT INTO spool (partition, after, through, hash, committed_ns, oldest_ns, changes)
VALUES (:partition, :after, :through, :hash, :committed_ns, :oldest_ns, :changes)

-- name: next
SELECT after, through, hash, committed_ns, oldest_ns, changes FROM spool
WHERE partition = :partition AND after <= :position AND through > :position
ORDER BY id LIMIT 1

-- name: trim
DELETE FROM spool WHERE partition = :partition AND through <= :position

-- name: bytes
SELECT coalesce(sum(length(changes)), 0) FROM spool

-- name: clear
DELETE FROM spool
