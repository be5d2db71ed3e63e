-- name: TouchToken :exec
UPDATE api_tokens SET last_used_at = sqlc.arg('at')::timestamptz
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < sqlc.arg('at')::timestamptz);

-- RetireExpired frees the name of a principal whose token has expired.
-- name: RetireExpired :exec
UPDATE principals p SET is_active = false FROM api_tokens t
WHERE t.principal_id = p.id AND p.name = $1 AND p.is_active AND t.expires_at <= now();

-- name: InsertPrincipal :exec
INSERT INTO principals (id, name, role, environments) VALUES ($1, $2, $3, $4);

-- name: InsertToken :exec
INSERT INTO api_tokens (id, principal_id, token_hash, prefix, expires_at) VALUES ($1, $2, $3, $4, $5);

-- name: GetToken :one
SELECT sqlc.embed(t), sqlc.embed(p) FROM api_tokens t JOIN principals p ON p.id = t.principal_id WHERE t.id = $1;

-- name: ListTokens :many
SELECT sqlc.embed(t), sqlc.embed(p) FROM api_tokens t JOIN principals p ON p.id = t.principal_id ORDER BY t.id;

-- name: LockActiveToken :one
SELECT sqlc.embed(t), sqlc.embed(p) FROM api_tokens t JOIN principals p ON p.id = t.principal_id
WHERE t.revoked_at IS NULL AND p.is_active AND (t.id::text = sqlc.arg('id_or_name')::text OR p.name = sqlc.arg('id_or_name')::text)
FOR UPDATE;

-- name: RevokeToken :exec
UPDATE api_tokens SET revoked_at = now() WHERE id = $1;

-- name: DeactivatePrincipal :exec
UPDATE principals SET is_active = false WHERE id = $1;
