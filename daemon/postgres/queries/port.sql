-- name: LockPorts :exec
SELECT pg_advisory_xact_lock(hashtext('wedsync_host_port_leases'));

-- name: ForgetBlockedPorts :exec
DELETE FROM host_port_leases WHERE blocked_until < now();

-- name: FreePorts :many
SELECT p.port::int AS port FROM generate_series(sqlc.arg('first')::int, sqlc.arg('last')::int) AS p (port)
WHERE NOT EXISTS (SELECT FROM host_port_leases l WHERE l.port = p.port)
ORDER BY p.port
LIMIT sqlc.arg('max_rows')::int;

-- name: LeasePort :batchexec
INSERT INTO host_port_leases (port, instance_id, container_port) VALUES ($1, $2, $3);

-- name: BlockPort :execrows
UPDATE host_port_leases SET instance_id = NULL, container_port = NULL, blocked_until = sqlc.arg('until')::timestamptz
WHERE instance_id = sqlc.arg('instance_id')::uuid AND container_port = sqlc.arg('container_port')::int;

-- name: ReturnPorts :exec
DELETE FROM host_port_leases WHERE instance_id = $1;
