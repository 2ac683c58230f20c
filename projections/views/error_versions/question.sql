-- name: signatures
-- All signatures of a tenant.
SELECT g.content FROM fingerprint AS f
CROSS JOIN signature AS g ON g.error_no BETWEEN f.fingerprint_no << 16 AND (f.fingerprint_no << 16) + 65535
WHERE f.tenant_no = :tenant;
