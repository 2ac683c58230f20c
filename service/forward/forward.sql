-- name: schema
-- Everything the forwarder keeps. A parked row is a run of positions that a target refused;
-- with `partial` the target took the rest of the run and did not say which it refused.
CREATE TABLE IF NOT EXISTS target (
  name      TEXT PRIMARY KEY,
  url       TEXT NOT NULL,
  paused    INTEGER NOT NULL DEFAULT 0,
  sent      INTEGER NOT NULL DEFAULT 0,
  refused   INTEGER NOT NULL DEFAULT 0,
  sent_ns   INTEGER NOT NULL DEFAULT 0,
  error     TEXT NOT NULL DEFAULT '',
  error_ns  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS cursor (
  target    TEXT NOT NULL,
  partition INTEGER NOT NULL,
  position  INTEGER NOT NULL,
  hash      BLOB NOT NULL,
  log_id    TEXT NOT NULL,
  epoch     INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (target, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parked (
  id        INTEGER PRIMARY KEY,
  target    TEXT NOT NULL,
  partition INTEGER NOT NULL,
  first     INTEGER NOT NULL,
  last      INTEGER NOT NULL,
  count     INTEGER NOT NULL,
  partial   INTEGER NOT NULL,
  error     TEXT NOT NULL,
  parked_ns INTEGER NOT NULL,
  log_id    TEXT NOT NULL,
  requeued  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS parked_by_target ON parked (target, requeued, id);

-- name: add_target
-- Make a target known, or keep it with its present URL.
INSERT INTO target (name, url) VALUES (:name, :url)
ON CONFLICT (name) DO UPDATE SET url = excluded.url WHERE url <> excluded.url;

-- name: targets
-- Every target ever forwarded to, with what is parked for it.
SELECT name, url, paused, sent, refused, sent_ns, error, error_ns,
       (SELECT coalesce(sum(count), 0) FROM parked WHERE parked.target = target.name)
FROM target ORDER BY name;

-- name: paused
-- Whether a target is paused.
SELECT paused FROM target WHERE name = :name;

-- name: set_paused
-- Pause or resume a target.
UPDATE target SET paused = :paused WHERE name = :name;

-- name: set_error
-- Remember why a target does not go on; an empty text forgets it.
UPDATE target SET error = :error, error_ns = :now_ns WHERE name = :name AND error <> :error;

-- name: cursors
-- Where a target stands in each partition.
SELECT partition, position, hash, log_id, epoch FROM cursor
WHERE target = :target ORDER BY partition;

-- name: place
-- Put a target's cursor somewhere; whatever is under way there is void from now on.
INSERT INTO cursor (target, partition, position, hash, log_id)
VALUES (:target, :partition, :position, :hash, :log_id)
ON CONFLICT (target, partition) DO UPDATE SET
  position = excluded.position, hash = excluded.hash, log_id = excluded.log_id,
  epoch = epoch + 1;

-- name: advance
-- Move a cursor on, only if it is where it was when the events were read.
UPDATE cursor SET position = :position, hash = :hash
WHERE target = :target AND partition = :partition
  AND position = :after AND epoch = :epoch AND log_id = :log_id;

-- name: count
-- Add to what a target took and refused.
UPDATE target SET sent = sent + :sent, refused = refused + :refused,
                  sent_ns = CASE WHEN :sent > 0 THEN :now_ns ELSE sent_ns END
WHERE name = :target;

-- name: park
-- Park a run of positions.
INSERT INTO parked (target, partition, first, last, count, partial, error, parked_ns, log_id)
VALUES (:target, :partition, :first, :last, :count, :partial, :error, :now_ns, :log_id);

-- name: parked
-- Parked rows after an id, oldest first.
SELECT id, target, partition, first, last, count, partial, error, parked_ns, requeued, log_id
FROM parked WHERE (:target IS NULL OR target = :target) AND id > :after
ORDER BY id LIMIT :limit;

-- name: next_requeued
-- The oldest row of a target that is to be sent again.
SELECT id, target, partition, first, last, count, partial, error, parked_ns, requeued, log_id
FROM parked WHERE target = :target AND requeued = 1 ORDER BY id LIMIT 1;

-- name: requeue
-- Mark one row, or all of a target, to be sent again.
UPDATE parked SET requeued = 1 WHERE target = :target AND (:id IS NULL OR id = :id);

-- name: discard
-- Forget one row, or all of a target.
DELETE FROM parked WHERE target = :target AND (:id IS NULL OR id = :id);

-- name: unpark
-- A requeued row was dealt with.
DELETE FROM parked WHERE id = :id;
