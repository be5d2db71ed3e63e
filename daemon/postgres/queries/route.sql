-- name: InsertRoute :one
INSERT INTO routes (id, name, environment, service_name, hosts, path_prefixes, settings, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING *;

-- name: GetRoute :one
SELECT * FROM routes WHERE id = $1;

-- name: LockRoute :one
SELECT * FROM routes WHERE id = $1 FOR UPDATE;

-- name: UpdateRoute :one
UPDATE routes SET service_name = $2, hosts = $3, path_prefixes = $4, settings = $5, updated_at = now()
WHERE id = $1
RETURNING *;

-- name: DeleteRoute :exec
DELETE FROM routes WHERE id = $1;

-- Changes of routes take turns, so that no host is given up while another route claims it.
-- name: LockRoutes :exec
SELECT pg_advisory_xact_lock(hashtext('wedsync_routes'));

-- name: ClaimHosts :exec
INSERT INTO route_hosts (host, environment)
SELECT h, sqlc.arg('environment')::text FROM unnest(sqlc.arg('hosts')::text[]) AS h ORDER BY h
ON CONFLICT (host) DO NOTHING;

-- name: OwnHosts :many
SELECT host FROM route_hosts WHERE environment = sqlc.arg('environment')::text AND host = ANY (sqlc.arg('hosts')::text[]);

-- RouteMatch is the route of an environment that takes one of the paths of one of the hosts.
-- name: RouteMatch :one
SELECT r.name, m.host, m.path_prefix FROM route_matches m JOIN routes r ON r.id = m.route_id
WHERE m.environment = sqlc.arg('environment')::text AND m.route_id <> sqlc.arg('route_id')::uuid
    AND m.host = ANY (sqlc.arg('hosts')::text[]) AND m.path_prefix = ANY (sqlc.arg('path_prefixes')::text[])
ORDER BY m.host, m.path_prefix
LIMIT 1;

-- name: DeleteMatches :exec
DELETE FROM route_matches WHERE route_id = $1;

-- name: InsertMatches :exec
INSERT INTO route_matches (route_id, environment, host, path_prefix)
SELECT sqlc.arg('route_id')::uuid, sqlc.arg('environment')::text, h, p
FROM unnest(sqlc.arg('hosts')::text[]) AS h, unnest(sqlc.arg('path_prefixes')::text[]) AS p
ORDER BY h, p;

-- FreeHosts gives up hosts that no route answers to any more.
-- name: FreeHosts :exec
DELETE FROM route_hosts h
WHERE h.environment = sqlc.arg('environment')::text AND h.host = ANY (sqlc.arg('hosts')::text[])
    AND NOT EXISTS (SELECT FROM route_matches m WHERE m.host = h.host AND m.environment = h.environment);

-- name: AllRoutes :many
SELECT * FROM routes ORDER BY environment, name;

-- name: ListRoutes :many
SELECT * FROM routes
WHERE (sqlc.narg('environment')::text IS NULL OR environment = sqlc.narg('environment'))
    AND (sqlc.narg('service_name')::text IS NULL OR service_name = sqlc.narg('service_name'))
    AND (sqlc.narg('name')::text IS NULL OR name = sqlc.narg('name'))
    AND (sqlc.narg('after_id')::uuid IS NULL OR (name, id) > (sqlc.narg('after_name')::text, sqlc.narg('after_id')::uuid))
ORDER BY name, id
LIMIT sqlc.arg('max_rows')::int;

-- name: CountRoutes :one
SELECT count(*) FROM routes
WHERE (sqlc.narg('environment')::text IS NULL OR environment = sqlc.narg('environment'))
    AND (sqlc.narg('service_name')::text IS NULL OR service_name = sqlc.narg('service_name'))
    AND (sqlc.narg('name')::text IS NULL OR name = sqlc.narg('name'));
