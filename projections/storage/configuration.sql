-- name: load
SELECT projection, content FROM configuration

-- name: store
INSERT OR REPLACE INTO configuration (projection, digest, content)
VALUES (:projection, :digest, :content)
