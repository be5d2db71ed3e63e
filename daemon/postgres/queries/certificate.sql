-- name: StoreCertificate :exec
INSERT INTO certificates (key, value) VALUES ($1, $2)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, modified_at = now();

-- name: LoadCertificate :one
SELECT value FROM certificates WHERE key = $1;

-- ListCertificates lists a key and those below it; an empty key is above all.
-- name: ListCertificates :many
SELECT key, octet_length(value) AS size, modified_at FROM certificates
WHERE sqlc.arg('key')::text = '' OR key = sqlc.arg('key')::text OR starts_with(key, sqlc.arg('key')::text || '/')
ORDER BY key COLLATE "C";

-- name: DeleteCertificates :exec
DELETE FROM certificates WHERE key = sqlc.arg('key')::text OR starts_with(key, sqlc.arg('key')::text || '/');

-- name: LeaseCertificates :execrows
INSERT INTO certificate_locks (name, holder, expires_at) VALUES ($1, $2, now() + make_interval(secs => sqlc.arg('seconds')::float8))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE certificate_locks.holder = excluded.holder OR certificate_locks.expires_at < now();

-- name: ReleaseCertificates :exec
DELETE FROM certificate_locks WHERE name = $1 AND holder = $2;
