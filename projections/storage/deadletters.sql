-- name: park
INSERT INTO dead_letter (projection, partition, position, event_id, error, parked_ns, state)
VALUES (:projection, :partition, :position, :event_id, :error, :parked_ns, 'parked')
ON CONFLICT (projection, partition, position)
DO UPDATE SET error = :error, parked_ns = :parked_ns

-- name: list
SELECT id, projection, partition, position, event_id, error, parked_ns, state FROM dead_letter
WHERE (:projection IS NULL OR projection = :projection) AND (:id IS NULL OR id = :id)
ORDER BY id

-- name: recent
SELECT count(DISTINCT position) FROM dead_letter
WHERE partition = :partition AND position > :position AND state = 'parked' AND id > :since

-- name: last_id
SELECT coalesce(max(id), 0) FROM dead_letter

-- name: counts
SELECT projection, count(*) FROM dead_letter WHERE state = 'parked' GROUP BY projection

-- name: discard
UPDATE dead_letter SET state = 'discarded'
WHERE projection = :projection AND partition = :partition AND position = :position

-- name: remove
DELETE FROM dead_letter WHERE id = :id
