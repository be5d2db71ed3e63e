-- name: EnsureWorkload :exec
INSERT INTO workloads (definition_id, environment) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: LockWorkload :one
SELECT * FROM workloads WHERE definition_id = $1 AND environment = $2 FOR UPDATE;

-- name: GetWorkload :one
SELECT * FROM workloads WHERE definition_id = $1 AND environment = $2;

-- name: SetWorkload :exec
UPDATE workloads SET target_deployment_id = $3, live_deployment_id = $4, updated_at = now()
WHERE definition_id = $1 AND environment = $2;

-- name: ListWorkloads :many
SELECT w.definition_id, w.environment FROM workloads w WHERE w.target_deployment_id IS NOT NULL
UNION
SELECT i.definition_id, i.environment FROM container_instances i WHERE i.current_status <> 'terminated';

-- name: NotifyWorkload :exec
SELECT pg_notify('wedsync_workloads', sqlc.arg('payload')::text);
