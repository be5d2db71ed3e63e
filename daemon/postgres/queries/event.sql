-- name: InsertEvent :batchexec
INSERT INTO container_events (
    id, instance_id, definition_id, deployment_id, network_id, environment, event_type, event_source, event_data,
    error_message, stack_trace, user_id, user_name
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: ListEvents :many
SELECT * FROM container_events
WHERE (sqlc.narg('instance_id')::uuid IS NULL OR instance_id = sqlc.narg('instance_id'))
    AND (sqlc.narg('definition_id')::uuid IS NULL OR definition_id = sqlc.narg('definition_id'))
    AND (sqlc.narg('deployment_id')::uuid IS NULL OR deployment_id = sqlc.narg('deployment_id'))
    AND (sqlc.narg('network_id')::uuid IS NULL OR network_id = sqlc.narg('network_id'))
    AND (sqlc.narg('environment')::text IS NULL OR environment = sqlc.narg('environment'))
    AND (sqlc.narg('event_type')::text IS NULL OR event_type = sqlc.narg('event_type'))
    AND (sqlc.narg('since')::timestamptz IS NULL OR timestamp >= sqlc.narg('since'))
    AND (sqlc.narg('before_id')::uuid IS NULL OR id < sqlc.narg('before_id')::uuid)
ORDER BY id DESC
LIMIT sqlc.arg('max_rows')::int;

-- name: CountEvents :one
SELECT count(*) FROM container_events
WHERE (sqlc.narg('instance_id')::uuid IS NULL OR instance_id = sqlc.narg('instance_id'))
    AND (sqlc.narg('definition_id')::uuid IS NULL OR definition_id = sqlc.narg('definition_id'))
    AND (sqlc.narg('deployment_id')::uuid IS NULL OR deployment_id = sqlc.narg('deployment_id'))
    AND (sqlc.narg('network_id')::uuid IS NULL OR network_id = sqlc.narg('network_id'))
    AND (sqlc.narg('environment')::text IS NULL OR environment = sqlc.narg('environment'))
    AND (sqlc.narg('event_type')::text IS NULL OR event_type = sqlc.narg('event_type'))
    AND (sqlc.narg('since')::timestamptz IS NULL OR timestamp >= sqlc.narg('since'));
