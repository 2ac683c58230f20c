-- name: load
SELECT projection, state, since_ns, reason FROM projection_state

-- name: clear
DELETE FROM projection_state

-- name: note
INSERT INTO projection_state (projection, state, since_ns, reason)
VALUES (:projection, :state, :since_ns, :reason)
