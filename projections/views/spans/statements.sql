-- The statements of the search index.

-- name: add_block
INSERT INTO search_block (partition, block_no, first_ns, last_ns, longest_ns)
VALUES (:partition, :block_no, :first_ns, :last_ns, :longest_ns)

-- name: add_content
INSERT INTO search_content (content_no, tokens, postings) VALUES (?, ?, ?)

-- name: add_filter
INSERT INTO search_filter (partition, filter_no, words) VALUES (?, ?, ?)

-- name: add_filter_part
INSERT INTO search_filter_part (part_no, words) VALUES (?, ?)

-- name: tokens_between
SELECT content_no, tokens FROM search_content WHERE content_no >= ? AND content_no < ?

-- name: add_service
INSERT OR IGNORE INTO search_service (tenant, name) VALUES (?, ?)

-- name: service_no
SELECT service_no FROM search_service WHERE tenant = ? AND name = ?

-- name: count_operations
SELECT count(*) FROM search_operation WHERE service_no = ?

-- name: add_operation
INSERT OR IGNORE INTO search_operation (service_no, name, kind) VALUES (?, ?, ?)

-- name: services
SELECT name FROM search_service WHERE tenant = ? ORDER BY name

-- name: operations
SELECT operation.name, kind FROM search_service AS service JOIN search_operation AS operation
USING (service_no) WHERE tenant = ? AND service.name = ? ORDER BY operation.name, kind

-- name: blocks
-- Blocks that may have spans of a time and a duration, the newest first.
SELECT block_no FROM search_block
WHERE partition = :partition AND last_ns >= :first_ns AND first_ns <= :last_ns
AND longest_ns >= :shortest_ns ORDER BY block_no DESC

-- name: latest_until
-- The latest start in a block and those before it that have spans of a time.
SELECT max(last_ns) FROM search_block
WHERE partition = :partition AND block_no <= :block_no
AND last_ns >= :first_ns AND first_ns <= :last_ns

-- name: block
SELECT first_ns, last_ns FROM search_block WHERE partition = ? AND block_no = ?

-- name: tokens
SELECT tokens FROM search_content WHERE content_no = ?

-- name: postings
SELECT postings FROM search_content WHERE content_no = ?

-- name: filters
SELECT filter_no, words FROM search_filter WHERE partition = ? ORDER BY filter_no DESC

-- name: filter_word
-- One word of eight bytes of a part.
SELECT substr(words, ?, 8) FROM search_filter_part WHERE part_no = ?

-- name: position
SELECT position FROM checkpoint WHERE projection = 'spans' AND partition = ?

-- name: configuration
SELECT content FROM configuration WHERE projection = 'spans'
