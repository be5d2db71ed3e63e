-- name: InsertDefinition :one
INSERT INTO container_definitions (
    id, name, service_name, image_name, image_tag, registry_url, environment_config, resource_limits,
    health_check_config, scaling_config, network_config, volume_mounts, runtime_config, registry_credentials, created_by
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
RETURNING *;

-- name: GetDefinition :one
SELECT * FROM container_definitions WHERE id = $1;

-- name: GetActiveDefinition :one
SELECT * FROM container_definitions WHERE id = $1 AND is_active;

-- LockDefinition lets rows that refer to the definition be written meanwhile.
-- name: LockDefinition :one
SELECT * FROM container_definitions WHERE id = $1 AND is_active FOR NO KEY UPDATE;

-- LockDefinitionWhole does not: for deleting.
-- name: LockDefinitionWhole :one
SELECT * FROM container_definitions WHERE id = $1 AND is_active FOR UPDATE;

-- LockDefinitionName keeps a definition from being deleted.
-- name: LockDefinitionName :one
SELECT name FROM container_definitions WHERE id = $1 AND is_active FOR KEY SHARE;

-- name: UpdateDefinition :one
UPDATE container_definitions SET
    name = $2, service_name = $3, image_name = $4, image_tag = $5, registry_url = $6, environment_config = $7,
    resource_limits = $8, health_check_config = $9, scaling_config = $10, network_config = $11, volume_mounts = $12,
    runtime_config = $13, registry_credentials = $14, revision = revision + 1, updated_at = now()
WHERE id = $1
RETURNING *;

-- DeactivateDefinition forgets the credentials too: nothing deploys the definition any more.
-- name: DeactivateDefinition :exec
UPDATE container_definitions SET is_active = false, registry_credentials = NULL, updated_at = now() WHERE id = $1;

-- DefinitionUse lists the environments in which a definition is deployed.
-- name: DefinitionUse :many
SELECT w.environment FROM workloads w
WHERE w.definition_id = $1 AND (w.target_deployment_id IS NOT NULL OR w.live_deployment_id IS NOT NULL)
UNION
SELECT i.environment FROM container_instances i
WHERE i.definition_id = $1 AND i.current_status <> 'terminated'
ORDER BY 1;

-- name: ListDefinitions :many
SELECT * FROM container_definitions
WHERE is_active
    AND (sqlc.narg('name')::text IS NULL OR name = sqlc.narg('name'))
    AND (sqlc.narg('service_name')::text IS NULL OR service_name = sqlc.narg('service_name'))
    AND (sqlc.narg('after_id')::uuid IS NULL OR (name, id) > (sqlc.narg('after_name')::text, sqlc.narg('after_id')::uuid))
ORDER BY name, id
LIMIT sqlc.arg('max_rows')::int;

-- name: CountDefinitions :one
SELECT count(*) FROM container_definitions
WHERE is_active
    AND (sqlc.narg('name')::text IS NULL OR name = sqlc.narg('name'))
    AND (sqlc.narg('service_name')::text IS NULL OR service_name = sqlc.narg('service_name'));
