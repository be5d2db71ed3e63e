-- name: InsertDeployment :exec
INSERT INTO deployment_history (
    id, definition_id, definition_revision, environment, deployment_type, image_tag, image_digest, config_snapshot,
    instances_before, instances_after, deployment_strategy, rollback_target_id, is_removal, total_steps, current_step,
    started_by, deployment_notes, rollout_config, rollout_state, rollback_of_id, supersedes_id
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21);

-- name: GetDeployment :one
SELECT sqlc.embed(d), def.name AS definition_name,
    EXISTS (SELECT FROM workloads w WHERE w.live_deployment_id = d.id AND w.definition_id = d.definition_id
        AND w.environment = d.environment) AS live
FROM deployment_history d JOIN container_definitions def ON def.id = d.definition_id
WHERE d.id = $1;

-- name: LockDeployment :exec
SELECT id FROM deployment_history WHERE id = $1 FOR NO KEY UPDATE;

-- WorkloadDeployments are those that a workload needs: its target, its live one and those of its instances.
-- name: WorkloadDeployments :many
SELECT sqlc.embed(d), def.name AS definition_name,
    EXISTS (SELECT FROM workloads w WHERE w.live_deployment_id = d.id AND w.definition_id = d.definition_id
        AND w.environment = d.environment) AS live
FROM deployment_history d JOIN container_definitions def ON def.id = d.definition_id
WHERE d.id = ANY (sqlc.arg('ids')::uuid[]);

-- name: UpdateDeployment :exec
UPDATE deployment_history SET
    deployment_status = $2, completed_at = $3, error_details = $4, total_steps = $5, completed_steps = $6,
    current_step = $7, rollout_state = $8
WHERE id = $1;

-- name: SetSupersededBy :exec
UPDATE deployment_history SET superseded_by_id = $2 WHERE id = $1;

-- name: SetRollback :exec
UPDATE deployment_history SET rollback_id = $2 WHERE id = $1;

-- MarkRolledBack gives the deployment that a rollback has undone its final status.
-- name: MarkRolledBack :many
UPDATE deployment_history SET deployment_status = 'rolled_back'
WHERE id = $1 AND deployment_status IN ('failed', 'completed')
RETURNING id;

-- StableBefore is the newest deployment of a workload before another that completed and was never rolled back.
-- name: StableBefore :one
SELECT sqlc.embed(d), def.name AS definition_name,
    EXISTS (SELECT FROM workloads w WHERE w.live_deployment_id = d.id AND w.definition_id = d.definition_id
        AND w.environment = d.environment) AS live
FROM deployment_history d JOIN container_definitions def ON def.id = d.definition_id
WHERE d.definition_id = $1 AND d.environment = $2 AND d.id < sqlc.arg('before_id')::uuid
    AND d.deployment_status = 'completed' AND NOT d.is_removal
ORDER BY d.id DESC
LIMIT 1;

-- LockInProgress is the deployment of a workload that has not ended, if there is one.
-- name: LockInProgress :many
SELECT sqlc.embed(d), def.name AS definition_name
FROM deployment_history d JOIN container_definitions def ON def.id = d.definition_id
WHERE d.definition_id = $1 AND d.environment = $2 AND d.deployment_status = 'in_progress'
FOR NO KEY UPDATE OF d;

-- name: ListDeployments :many
SELECT sqlc.embed(d), def.name AS definition_name,
    EXISTS (SELECT FROM workloads w WHERE w.live_deployment_id = d.id AND w.definition_id = d.definition_id
        AND w.environment = d.environment) AS live
FROM deployment_history d JOIN container_definitions def ON def.id = d.definition_id
WHERE (sqlc.narg('definition_id')::uuid IS NULL OR d.definition_id = sqlc.narg('definition_id'))
    AND (sqlc.narg('environment')::text IS NULL OR d.environment = sqlc.narg('environment'))
    AND (sqlc.narg('status')::text IS NULL OR d.deployment_status = sqlc.narg('status')::text)
    AND (NOT sqlc.arg('only_live')::boolean OR d.id IN (SELECT w.live_deployment_id FROM workloads w))
    AND (sqlc.narg('before_id')::uuid IS NULL OR d.id < sqlc.narg('before_id')::uuid)
ORDER BY d.id DESC
LIMIT sqlc.arg('max_rows')::int;

-- name: CountDeployments :one
SELECT count(*) FROM deployment_history d
WHERE (sqlc.narg('definition_id')::uuid IS NULL OR d.definition_id = sqlc.narg('definition_id'))
    AND (sqlc.narg('environment')::text IS NULL OR d.environment = sqlc.narg('environment'))
    AND (sqlc.narg('status')::text IS NULL OR d.deployment_status = sqlc.narg('status')::text)
    AND (NOT sqlc.arg('only_live')::boolean OR d.id IN (SELECT w.live_deployment_id FROM workloads w));
