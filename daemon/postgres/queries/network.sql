-- name: InsertNetwork :one
INSERT INTO container_networks (id, network_name, network_type, environment, subnet, gateway, dns_config, network_config)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING *;

-- name: GetNetwork :one
SELECT * FROM container_networks WHERE id = $1;

-- name: GetActiveNetwork :one
SELECT * FROM container_networks WHERE id = $1 AND is_active;

-- name: LockNetwork :one
SELECT * FROM container_networks WHERE id = $1 AND is_active FOR UPDATE;

-- LockNetworkNames keeps networks from being deleted.
-- name: LockNetworkNames :many
SELECT network_name FROM container_networks
WHERE environment = $1 AND network_name = ANY (sqlc.arg('names')::text[]) AND is_active
ORDER BY id
FOR KEY SHARE;

-- name: UpdateNetwork :one
UPDATE container_networks SET network_type = $2, subnet = $3, gateway = $4, dns_config = $5, network_config = $6
WHERE id = $1
RETURNING *;

-- name: DeactivateNetwork :exec
UPDATE container_networks SET is_active = false WHERE id = $1;

-- NetworkUse lists the names of definitions whose target or live deployment joins a network.
-- name: NetworkUse :many
SELECT DISTINCT def.name
FROM workloads w
JOIN deployment_history d ON d.id IN (w.target_deployment_id, w.live_deployment_id)
JOIN container_definitions def ON def.id = w.definition_id
WHERE w.environment = $1 AND NOT d.is_removal
    AND (d.config_snapshot -> 'network_config' -> 'internal_networks' ? sqlc.arg('network_name')::text
        OR d.config_snapshot -> 'network_config' -> 'external_networks' ? sqlc.arg('network_name')::text)
ORDER BY def.name;

-- name: ActiveNetworks :many
SELECT * FROM container_networks WHERE is_active ORDER BY environment, network_name;

-- name: EnvironmentNetworks :many
SELECT * FROM container_networks WHERE is_active AND environment = $1 ORDER BY network_name;

-- name: ListNetworks :many
SELECT * FROM container_networks
WHERE is_active
    AND (sqlc.narg('environment')::text IS NULL OR environment = sqlc.narg('environment'))
    AND (sqlc.narg('name')::text IS NULL OR network_name = sqlc.narg('name'))
    AND (sqlc.narg('after_id')::uuid IS NULL OR (network_name, id) > (sqlc.narg('after_name')::text, sqlc.narg('after_id')::uuid))
ORDER BY network_name, id
LIMIT sqlc.arg('max_rows')::int;

-- name: CountNetworks :one
SELECT count(*) FROM container_networks
WHERE is_active
    AND (sqlc.narg('environment')::text IS NULL OR environment = sqlc.narg('environment'))
    AND (sqlc.narg('name')::text IS NULL OR network_name = sqlc.narg('name'));
