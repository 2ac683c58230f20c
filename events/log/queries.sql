-- name: head
-- The last segment's bounds, hash and commit time.
SELECT first + count - 1, hash, committed_ns FROM segment ORDER BY first DESC LIMIT 1;

-- name: read
-- Segments from the one that holds :start, oldest first.
SELECT first, count, committed_ns, time_min_ns, time_max_ns, ids, previous_hash, hash, digest,
       codec, payload
FROM segment
WHERE first >= coalesce((SELECT max(first) FROM segment WHERE first <= :start), 0)
  AND first <= :through
ORDER BY first LIMIT :limit;

-- name: at
-- Bounds, hash and commit time of the segment that holds :position.
SELECT first, count, hash, committed_ns FROM segment
WHERE first <= :position ORDER BY first DESC LIMIT 1;

-- name: last
-- The last segments, newest first, for the check at start.
SELECT first, count, committed_ns, time_min_ns, time_max_ns, ids, previous_hash, hash, digest,
       codec, payload
FROM segment ORDER BY first DESC LIMIT :limit;

-- name: ids
-- Packed ids of the segments after :after, for the duplicate index.
SELECT first, count, ids FROM segment WHERE first > :after ORDER BY first;

-- name: firsts
-- The first position of every segment.
SELECT first FROM segment ORDER BY first;

-- name: ids_of
-- Packed ids of one segment.
SELECT ids FROM segment WHERE first = :first;

-- name: insert
-- Append one segment.
INSERT INTO segment (first, count, committed_ns, time_min_ns, time_max_ns, codec,
                     previous_hash, hash, digest, ids, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: stats
-- Size of the whole log.
SELECT count(*), coalesce(sum(count), 0), coalesce(min(committed_ns), 0),
       coalesce(max(committed_ns), 0), coalesce(sum(length(payload)), 0),
       coalesce(sum(length(ids)), 0)
FROM segment;
