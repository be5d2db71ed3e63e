-- ClaimKey blocks while another transaction holds the same key, and affects no row if that one commits.
-- name: ClaimKey :execrows
INSERT INTO idempotency_keys (principal_id, key, fingerprint) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: GetKey :one
SELECT fingerprint, result_id FROM idempotency_keys WHERE principal_id = $1 AND key = $2;

-- name: SetKeyResult :exec
UPDATE idempotency_keys SET result_id = $3 WHERE principal_id = $1 AND key = $2;

-- name: PruneKeys :execrows
DELETE FROM idempotency_keys WHERE created_at < sqlc.arg('before')::timestamptz;
