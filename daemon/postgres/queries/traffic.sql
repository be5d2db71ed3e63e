-- name: ListEndpoints :many
SELECT sqlc.embed(r), i.definition_id, i.deployment_id, coalesce(i.image_tag, '')::text AS image_tag,
    coalesce(i.last_health_check, i.started_at, r.last_heartbeat)::timestamptz AS heartbeat
FROM service_registry r LEFT JOIN container_instances i ON i.id = r.instance_id
WHERE (sqlc.narg('service_name')::text IS NULL OR r.service_name = sqlc.narg('service_name'))
    AND (sqlc.narg('environment')::text IS NULL OR r.environment = sqlc.narg('environment'))
    AND (sqlc.narg('is_healthy')::boolean IS NULL OR r.is_healthy = sqlc.narg('is_healthy'))
    AND (sqlc.narg('image_tag')::text IS NULL OR i.image_tag = sqlc.narg('image_tag'))
    AND (sqlc.narg('deployment_id')::uuid IS NULL OR i.deployment_id = sqlc.narg('deployment_id')::uuid)
    AND r.metadata @> sqlc.arg('metadata')::jsonb
    AND (sqlc.narg('id')::uuid IS NULL OR r.id = sqlc.narg('id')::uuid)
ORDER BY r.service_name, r.environment, r.id;

-- Draining are the instances that are out of service and run on until their requests have ended.
-- name: ListDraining :many
SELECT id FROM container_instances
WHERE draining_since IS NOT NULL AND current_status NOT IN ('terminated', 'stopped')
ORDER BY id;

-- ListServices are the services that are meant to run.
-- name: ListServices :many
SELECT DISTINCT (d.config_snapshot ->> 'service_name')::text AS name, d.environment
FROM workloads w JOIN deployment_history d ON d.id = w.target_deployment_id
WHERE NOT d.is_removal
ORDER BY name, d.environment;

-- Splits are the shares of the deployments in progress that have one.
-- name: ListSplits :many
SELECT id, definition_id, environment, (rollout_state ->> 'weight')::int AS weight
FROM deployment_history
WHERE deployment_status = 'in_progress' AND rollout_state ->> 'weight' IS NOT NULL
ORDER BY id;

-- name: SetInstanceWeight :one
UPDATE container_instances SET load_balancer_weight = $2, updated_at = now() WHERE id = $1
RETURNING definition_id, deployment_id, environment;

-- name: SetEndpointWeight :execrows
UPDATE service_registry SET load_balancer_weight = $2 WHERE id = $1 AND instance_id IS NULL;

-- name: LockEndpoint :one
SELECT r.* FROM service_registry r WHERE r.id = $1 FOR UPDATE;

-- name: LockExternalEndpoint :one
SELECT r.* FROM service_registry r
WHERE r.service_name = $1 AND r.environment = $2 AND r.endpoint_url = $3 AND r.instance_id IS NULL
FOR UPDATE;

-- RegisterEndpoint counts as a heartbeat that passes.
-- name: RegisterEndpoint :one
INSERT INTO service_registry (id, service_name, environment, endpoint_url, health_check_url, load_balancer_weight, metadata, ttl_seconds)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (service_name, environment, endpoint_url) WHERE instance_id IS NULL DO UPDATE SET
    health_check_url = excluded.health_check_url, load_balancer_weight = excluded.load_balancer_weight, metadata = excluded.metadata,
    ttl_seconds = excluded.ttl_seconds, is_healthy = true, last_heartbeat = greatest(service_registry.last_heartbeat, now())
RETURNING id;

-- name: DeleteEndpoint :exec
DELETE FROM service_registry WHERE id = $1 AND instance_id IS NULL;

-- LockEndpoints is done before several are changed, so that nobody waits in a circle.
-- name: LockEndpoints :many
SELECT * FROM service_registry WHERE id = ANY (sqlc.arg('ids')::uuid[]) ORDER BY id FOR UPDATE;

-- RecordHeartbeats takes how long ago each came, so that one clock counts for all
-- daemons. What came earlier than what is known says nothing new.
-- name: RecordHeartbeats :many
UPDATE service_registry r SET
    is_healthy = CASE WHEN b.status = '' OR b.at < r.last_heartbeat THEN r.is_healthy ELSE b.status = 'passing' END,
    last_heartbeat = greatest(r.last_heartbeat, b.at)
FROM (
    SELECT u.id, u.status, now() - make_interval(secs => u.age) AS at
    FROM (SELECT unnest(sqlc.arg('ids')::uuid[]) AS id, unnest(sqlc.arg('statuses')::text[]) AS status, unnest(sqlc.arg('ages')::float8[]) AS age) u
) b
WHERE r.id = b.id AND r.instance_id IS NULL
RETURNING r.*;

-- name: Now :one
SELECT now()::timestamptz AS now;

-- ListOverdue are all endpoints of the services of which an external one is overdue.
-- name: ListOverdue :many
SELECT r.* FROM service_registry r
WHERE EXISTS (
    SELECT FROM service_registry o
    WHERE o.service_name = r.service_name AND o.environment = r.environment AND o.instance_id IS NULL
        AND o.last_heartbeat + make_interval(secs => o.ttl_seconds) < now())
ORDER BY r.service_name, r.environment, r.id;

-- ExpireEndpoints leaves those alone that a heartbeat has come from meanwhile.
-- name: ExpireEndpoints :many
DELETE FROM service_registry
WHERE id = ANY (sqlc.arg('ids')::uuid[]) AND instance_id IS NULL
    AND last_heartbeat + make_interval(secs => ttl_seconds) < now()
RETURNING *;

-- name: FollowTraffic :exec
INSERT INTO traffic_followers (id, name) VALUES ($1, $2)
ON CONFLICT (id) DO UPDATE SET seen_at = now();

-- name: UnfollowTraffic :exec
DELETE FROM traffic_followers WHERE id = $1;

-- name: PruneFollowers :exec
DELETE FROM traffic_followers WHERE seen_at < now() - interval '1 hour';

-- RecordDrained returns the workloads that may go on because of it.
-- name: RecordDrained :many
WITH added AS (
    INSERT INTO drained_instances (follower_id, instance_id)
    SELECT $1, i.id FROM container_instances i
    WHERE i.id = ANY (sqlc.arg('instances')::uuid[]) AND i.draining_since IS NOT NULL
    ON CONFLICT DO NOTHING
    RETURNING instance_id
)
SELECT DISTINCT i.definition_id, i.environment FROM added a JOIN container_instances i ON i.id = a.instance_id;

-- DrainedInstances are those of a workload that every follower has let go of. One
-- that has not been seen for a while is gone, and its connections with it.
-- name: DrainedInstances :many
SELECT i.id FROM container_instances i
WHERE i.definition_id = $1 AND i.environment = $2 AND i.draining_since IS NOT NULL
    AND EXISTS (SELECT FROM drained_instances d WHERE d.instance_id = i.id)
    AND NOT EXISTS (
        SELECT FROM traffic_followers f
        WHERE f.seen_at > now() - interval '15 seconds'
            AND NOT EXISTS (SELECT FROM drained_instances d WHERE d.instance_id = i.id AND d.follower_id = f.id));

-- name: RecordLoads :exec
INSERT INTO balancer_loads (follower_id, endpoint_id, service_name, environment, request_rate, error_rate, in_flight, p50_ms, p95_ms, p99_ms, measured_at)
SELECT $1, u.endpoint_id, u.service_name, u.environment, u.request_rate, u.error_rate, u.in_flight, u.p50, u.p95, u.p99, u.measured_at
FROM jsonb_to_recordset(sqlc.arg('loads')::jsonb)
    AS u (endpoint_id uuid, service_name text, environment text, request_rate float8, error_rate float8, in_flight int, p50 float8, p95 float8, p99 float8, measured_at timestamptz)
ON CONFLICT (follower_id, endpoint_id) DO UPDATE SET
    service_name = excluded.service_name, environment = excluded.environment, request_rate = excluded.request_rate,
    error_rate = excluded.error_rate, in_flight = excluded.in_flight, p50_ms = excluded.p50_ms, p95_ms = excluded.p95_ms,
    p99_ms = excluded.p99_ms, measured_at = excluded.measured_at;

-- Old loads say nothing any more.
-- name: PruneLoads :exec
DELETE FROM balancer_loads WHERE measured_at < now() - interval '10 seconds';

-- name: ListLoads :many
SELECT * FROM balancer_loads WHERE measured_at > now() - interval '10 seconds' ORDER BY service_name, environment, endpoint_id, follower_id;
