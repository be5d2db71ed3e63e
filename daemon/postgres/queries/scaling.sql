-- name: InsertScalingPolicy :one
INSERT INTO scaling_policies (
    id, definition_id, environment, policy_name, scaling_type, trigger_metric, metric_name, target_value,
    scale_up_threshold, scale_down_threshold, scale_up_adjustment, scale_down_adjustment, min_replicas, max_replicas,
    scale_up_cooldown, scale_down_cooldown, stabilization_window, max_scale_up, max_scale_down, scale_period,
    min_limit, max_limit, schedule_start, schedule_end, time_zone, is_enabled, created_by
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27
)
RETURNING *;

-- Policies of a deleted definition do not exist any more, whether their rows are left or not.
-- name: GetScalingPolicy :one
SELECT sqlc.embed(p), d.name AS definition_name FROM scaling_policies p
JOIN container_definitions d ON d.id = p.definition_id AND d.is_active
WHERE p.id = $1;

-- name: LockScalingPolicy :one
SELECT * FROM scaling_policies WHERE id = $1 FOR UPDATE;

-- name: UpdateScalingPolicy :one
UPDATE scaling_policies SET
    scaling_type = $2, trigger_metric = $3, metric_name = $4, target_value = $5, scale_up_threshold = $6, scale_down_threshold = $7,
    scale_up_adjustment = $8, scale_down_adjustment = $9, min_replicas = $10, max_replicas = $11, scale_up_cooldown = $12,
    scale_down_cooldown = $13, stabilization_window = $14, max_scale_up = $15, max_scale_down = $16, scale_period = $17,
    min_limit = $18, max_limit = $19, schedule_start = $20, schedule_end = $21, time_zone = $22, is_enabled = $23, updated_at = now()
WHERE id = $1
RETURNING *;

-- name: DeleteScalingPolicy :exec
DELETE FROM scaling_policies WHERE id = $1;

-- name: DeleteScalingPoliciesOf :many
DELETE FROM scaling_policies WHERE definition_id = $1 RETURNING *;

-- name: WorkloadScalingPolicies :many
SELECT * FROM scaling_policies WHERE definition_id = $1 AND environment = $2 ORDER BY policy_name;

-- name: ListScalingPolicies :many
SELECT sqlc.embed(p), d.name AS definition_name FROM scaling_policies p
JOIN container_definitions d ON d.id = p.definition_id AND d.is_active
WHERE (sqlc.narg('definition_id')::uuid IS NULL OR p.definition_id = sqlc.narg('definition_id'))
    AND (sqlc.narg('environment')::text IS NULL OR p.environment = sqlc.narg('environment'))
    AND (sqlc.narg('policy_name')::text IS NULL OR p.policy_name = sqlc.narg('policy_name'))
    AND (sqlc.narg('scaling_type')::text IS NULL OR p.scaling_type = sqlc.narg('scaling_type'))
    AND (sqlc.narg('after_id')::uuid IS NULL OR (p.policy_name, p.id) > (sqlc.narg('after_name')::text, sqlc.narg('after_id')::uuid))
ORDER BY p.policy_name, p.id
LIMIT sqlc.arg('max_rows')::int;

-- name: CountScalingPolicies :one
SELECT count(*) FROM scaling_policies p
JOIN container_definitions d ON d.id = p.definition_id AND d.is_active
WHERE (sqlc.narg('definition_id')::uuid IS NULL OR p.definition_id = sqlc.narg('definition_id'))
    AND (sqlc.narg('environment')::text IS NULL OR p.environment = sqlc.narg('environment'))
    AND (sqlc.narg('policy_name')::text IS NULL OR p.policy_name = sqlc.narg('policy_name'))
    AND (sqlc.narg('scaling_type')::text IS NULL OR p.scaling_type = sqlc.narg('scaling_type'));

-- ListScalingDecisions: in force at a time is what began before and was not replaced until then. What goes on is written
-- from time to time, so that its last evaluation may be a while ago; two minutes are more than that, but for long intervals.
-- name: ListScalingDecisions :many
SELECT sqlc.embed(s), d.name AS definition_name FROM scaling_decisions s
JOIN container_definitions d ON d.id = s.definition_id
WHERE (sqlc.narg('definition_id')::uuid IS NULL OR s.definition_id = sqlc.narg('definition_id'))
    AND (sqlc.narg('environment')::text IS NULL OR s.environment = sqlc.narg('environment'))
    AND (sqlc.narg('policy_id')::uuid IS NULL OR s.policy_id = sqlc.narg('policy_id'))
    AND (sqlc.narg('outcome')::text IS NULL OR s.outcome = sqlc.narg('outcome'))
    AND (NOT sqlc.arg('changes')::bool OR s.outcome IN ('scaled_up', 'scaled_down', 'resized'))
    AND (sqlc.narg('to_time')::timestamptz IS NULL OR s.decided_at <= sqlc.narg('to_time'))
    AND (sqlc.narg('from_time')::timestamptz IS NULL OR s.decided_at >= sqlc.narg('from_time')
        OR s.last_evaluated_at >= sqlc.narg('from_time') - interval '2 minutes' AND NOT EXISTS (
            SELECT FROM scaling_decisions later
            WHERE later.definition_id = s.definition_id AND later.environment = s.environment AND later.unit = s.unit
                AND later.decided_at > s.decided_at AND later.decided_at <= sqlc.narg('from_time')))
    AND (sqlc.narg('before_id')::uuid IS NULL OR (s.decided_at, s.id) < (sqlc.narg('before_time')::timestamptz, sqlc.narg('before_id')::uuid))
ORDER BY s.decided_at DESC, s.id DESC
LIMIT sqlc.arg('max_rows')::int;

-- name: CountScalingDecisions :one
SELECT count(*) FROM scaling_decisions s
WHERE (sqlc.narg('definition_id')::uuid IS NULL OR s.definition_id = sqlc.narg('definition_id'))
    AND (sqlc.narg('environment')::text IS NULL OR s.environment = sqlc.narg('environment'))
    AND (sqlc.narg('policy_id')::uuid IS NULL OR s.policy_id = sqlc.narg('policy_id'))
    AND (sqlc.narg('outcome')::text IS NULL OR s.outcome = sqlc.narg('outcome'))
    AND (NOT sqlc.arg('changes')::bool OR s.outcome IN ('scaled_up', 'scaled_down', 'resized'))
    AND (sqlc.narg('to_time')::timestamptz IS NULL OR s.decided_at <= sqlc.narg('to_time'))
    AND (sqlc.narg('from_time')::timestamptz IS NULL OR s.decided_at >= sqlc.narg('from_time')
        OR s.last_evaluated_at >= sqlc.narg('from_time') - interval '2 minutes' AND NOT EXISTS (
            SELECT FROM scaling_decisions later
            WHERE later.definition_id = s.definition_id AND later.environment = s.environment AND later.unit = s.unit
                AND later.decided_at > s.decided_at AND later.decided_at <= sqlc.narg('from_time')));
