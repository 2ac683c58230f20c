-- name: park
INSERT INTO dead_letter (projection, partition, position, event_id, error, parked_ns, state)
VALUES (:projection, :partition, :position, :event_id, :error, :parked_ns, 'parked')
ON CONFLICT (projection, partition, position, run_no)
DO UPDATE SET error = :error, parked_ns = :parked_ns

-- name: hold
INSERT INTO dead_letter
    (projection, partition, position, event_id, error, parked_ns, state, run_no, change)
VALUES
    (:projection, :partition, :position, x'', :error, :parked_ns, :state, :run_no, :change)

-- name: hold_again
UPDATE dead_letter
SET partition = :partition, position = :position, error = :error, parked_ns = :parked_ns,
    change = :change
WHERE id = :id

-- name: list
SELECT id, projection, partition, position, event_id, error, parked_ns, state, run_no
FROM dead_letter
WHERE (:projection IS NULL OR projection = :projection) AND (:id IS NULL OR id = :id)
ORDER BY id

-- name: held
SELECT id, run_no, change FROM dead_letter
WHERE projection = :projection AND change IS NOT NULL

-- name: recent
SELECT count(*) FROM dead_letter
WHERE projection = :projection AND partition = :partition AND position > :position
  AND state = 'parked' AND id > :since

-- name: last_id
SELECT coalesce(max(id), 0) FROM dead_letter

-- name: counts
SELECT projection, count(*) FROM dead_letter WHERE state = 'parked' GROUP BY projection

-- name: discard
UPDATE dead_letter SET state = 'discarded'
WHERE projection = :projection AND partition = :partition AND position = :position
  AND run_no = :run_no

-- name: remove
DELETE FROM dead_letter WHERE id = :id
