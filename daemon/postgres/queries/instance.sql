-- name: InsertInstance :batchexec
INSERT INTO container_instances (
    id, definition_id, deployment_id, environment, container_id, instance_name, image_tag, image_digest,
    current_status, desired_status, replica_number, node_name, ip_address, port_mappings, resource_usage,
    health_status, health_checks, recent_exits, healthy_since, draining_since, resource_limits, settled_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
ON CONFLICT (id) DO NOTHING;

-- name: GetInstance :one
SELECT sqlc.embed(i), def.name AS definition_name, def.service_name
FROM container_instances i JOIN container_definitions def ON def.id = i.definition_id
WHERE i.id = $1;

-- name: LockInstance :one
SELECT sqlc.embed(i), def.name AS definition_name, def.service_name
FROM container_instances i JOIN container_definitions def ON def.id = i.definition_id
WHERE i.id = $1
FOR NO KEY UPDATE OF i;

-- name: InstancesByID :many
SELECT sqlc.embed(i), def.name AS definition_name, def.service_name
FROM container_instances i JOIN container_definitions def ON def.id = i.definition_id
WHERE i.id = ANY (sqlc.arg('ids')::uuid[]);

-- name: UpdateInstance :exec
UPDATE container_instances SET
    container_id = $2, current_status = $3, desired_status = $4, node_name = $5, ip_address = $6, port_mappings = $7,
    resource_usage = $8, health_status = $9, health_checks = $10, last_health_check = $11, restart_count = $12,
    recent_exits = $13, exit_code = $14, error_message = $15, restart_requested_at = $16, force = $17,
    started_at = $18, stopped_at = $19, image_tag = $20, image_digest = $21, deployment_id = $22,
    healthy_since = $23, draining_since = $24, resource_limits = $25, unhealthy_since = $26, settled_at = $27,
    replica_number = $28, updated_at = now()
WHERE id = $1;

-- name: LiveInstances :many
SELECT sqlc.embed(i), def.name AS definition_name, def.service_name
FROM container_instances i JOIN container_definitions def ON def.id = i.definition_id
WHERE i.current_status <> 'terminated'
ORDER BY i.id;

-- name: WorkloadInstances :many
SELECT sqlc.embed(i), def.name AS definition_name, def.service_name
FROM container_instances i JOIN container_definitions def ON def.id = i.definition_id
WHERE i.definition_id = $1 AND i.environment = $2 AND i.current_status <> 'terminated'
ORDER BY i.id;

-- name: DeploymentInstances :many
SELECT sqlc.embed(i), def.name AS definition_name, def.service_name
FROM container_instances i JOIN container_definitions def ON def.id = i.definition_id
WHERE i.deployment_id = $1
ORDER BY i.id;

-- name: ListInstances :many
SELECT sqlc.embed(i), def.name AS definition_name, def.service_name
FROM container_instances i JOIN container_definitions def ON def.id = i.definition_id
WHERE (sqlc.narg('definition_id')::uuid IS NULL OR i.definition_id = sqlc.narg('definition_id'))
    AND (sqlc.narg('deployment_id')::uuid IS NULL OR i.deployment_id = sqlc.narg('deployment_id'))
    AND (sqlc.narg('environment')::text IS NULL OR i.environment = sqlc.narg('environment'))
    AND (sqlc.narg('service_name')::text IS NULL OR i.definition_id IN
        (SELECT s.id FROM container_definitions s WHERE s.service_name = sqlc.narg('service_name')))
    AND (sqlc.narg('status')::text IS NULL AND i.current_status <> 'terminated'
        OR i.current_status = sqlc.narg('status')::text)
    AND (sqlc.narg('before_id')::uuid IS NULL OR i.id < sqlc.narg('before_id')::uuid)
ORDER BY i.id DESC
LIMIT sqlc.arg('max_rows')::int;

-- name: CountInstances :one
SELECT count(*) FROM container_instances i
WHERE (sqlc.narg('definition_id')::uuid IS NULL OR i.definition_id = sqlc.narg('definition_id'))
    AND (sqlc.narg('deployment_id')::uuid IS NULL OR i.deployment_id = sqlc.narg('deployment_id'))
    AND (sqlc.narg('environment')::text IS NULL OR i.environment = sqlc.narg('environment'))
    AND (sqlc.narg('service_name')::text IS NULL OR i.definition_id IN
        (SELECT s.id FROM container_definitions s WHERE s.service_name = sqlc.narg('service_name')))
    AND (sqlc.narg('status')::text IS NULL AND i.current_status <> 'terminated'
        OR i.current_status = sqlc.narg('status')::text);

-- HealthTargets are the running instances whose deployment has a health check.
-- name: HealthTargets :many
SELECT i.id, i.definition_id, i.environment, coalesce(i.container_id, '')::text AS container_id, i.ip_address, i.started_at, i.health_status, i.healthy_since,
    i.last_health_check, d.rollout_config,
    (d.config_snapshot -> 'health_check_config')::jsonb AS health_check,
    coalesce(d.config_snapshot -> 'network_config' -> 'ports', '[]')::jsonb AS ports
FROM container_instances i JOIN deployment_history d ON d.id = i.deployment_id
WHERE i.current_status = 'running' AND jsonb_typeof(d.config_snapshot -> 'health_check_config') = 'object'
ORDER BY i.id;

-- RecordHealth leaves out updates of a run that is over, or is being ended because it was unhealthy: what is on its way
-- down must not be taken back into service. It returns what the events of changed verdicts need.
-- name: RecordHealth :many
UPDATE container_instances i SET
    health_status = u.health_status, health_checks = u.health_checks, last_health_check = u.checked_at,
    healthy_since = u.healthy_since, settled_at = coalesce(i.settled_at, u.settled_at),
    unhealthy_since = CASE WHEN u.health_status = 'unhealthy' THEN coalesce(i.unhealthy_since, u.checked_at) END,
    updated_at = CASE WHEN (i.health_status, i.healthy_since) IS NOT DISTINCT FROM (u.health_status, u.healthy_since)
        THEN i.updated_at ELSE now() END
FROM jsonb_to_recordset(sqlc.arg('updates')::jsonb)
    AS u (id uuid, started_at timestamptz, health_status text, health_checks jsonb, checked_at timestamptz, healthy_since timestamptz,
        settled_at timestamptz)
WHERE i.id = u.id AND i.started_at = u.started_at AND i.current_status = 'running'
    AND coalesce(i.recent_exits[cardinality(i.recent_exits)] <> i.unhealthy_since, true)
RETURNING i.id, i.started_at::timestamptz AS started_at, i.definition_id, i.deployment_id, i.environment;
