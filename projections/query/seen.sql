-- How far projections have followed partition 0 of the log.

-- name: places
-- Where those projections stand that are named in a JSON list.
SELECT projection, position FROM checkpoint
WHERE partition = 0 AND projection IN (SELECT value FROM json_each(:names));

-- name: least
-- Where the least advanced of all projections stands.
SELECT coalesce(min(position), 0) FROM checkpoint WHERE partition = 0;
