-- ReplicasOwned says whether a policy decides on a workload's number of replicas.
-- name: ReplicasOwned :one
SELECT EXISTS (
    SELECT FROM scaling_policies p
    WHERE p.definition_id = $1 AND p.environment = $2 AND p.is_enabled AND p.scaling_type IN ('horizontal', 'scheduled')
);

-- EnabledPolicies are those that scale something that is deployed.
-- name: EnabledPolicies :many
SELECT sqlc.embed(p), def.name AS definition_name, def.scaling_config
FROM scaling_policies p JOIN container_definitions def ON def.id = p.definition_id AND def.is_active
WHERE p.is_enabled AND EXISTS (
    SELECT FROM workloads w
    WHERE w.definition_id = p.definition_id AND w.environment = p.environment AND w.target_deployment_id IS NOT NULL
)
ORDER BY p.definition_id, p.environment, p.policy_name;

-- ScalingWorkloads are the workloads that have policies, with what is wanted of them.
-- name: ScalingWorkloads :many
SELECT w.resource_limits, w.resized_at, w.live_deployment_id, sqlc.embed(d), def.name AS definition_name
FROM (SELECT DISTINCT p.definition_id, p.environment FROM scaling_policies p WHERE p.is_enabled) AS k
JOIN workloads w ON w.definition_id = k.definition_id AND w.environment = k.environment
JOIN deployment_history d ON d.id = w.target_deployment_id
JOIN container_definitions def ON def.id = w.definition_id
WHERE NOT d.is_removal;

-- ScalingRecommendations are what was recommended for them lately.
-- name: ScalingRecommendations :many
SELECT s.* FROM scaling_states s
JOIN (SELECT DISTINCT p.definition_id, p.environment FROM scaling_policies p WHERE p.is_enabled) AS k
    ON s.definition_id = k.definition_id AND s.environment = k.environment;

-- ScalingEnds are their latest deployments that ended by themselves and that tell how scaling goes: scalings, and what
-- users have begun; oldest first. What completed and was undone later succeeded; nothing went wrong with it. The WHERE
-- is that of the index, along which few rows are read however many there are.
-- name: ScalingEnds :many
SELECT k.definition_id, k.environment, e.id, e.deployment_type, e.completed_at,
    (e.deployment_status = 'completed' OR e.deployment_status = 'rolled_back' AND e.error_details IS NULL)::boolean AS succeeded,
    coalesce((SELECT rest.instances_after > rest.instances_before FROM deployment_history rest WHERE rest.id = e.rollback_id), false)::boolean AS left_some,
    coalesce((SELECT undone.deployment_type = 'scale' FROM deployment_history undone WHERE undone.id = e.rollback_of_id), false)::boolean AS undoes_scaling
FROM (SELECT DISTINCT p.definition_id, p.environment FROM scaling_policies p WHERE p.is_enabled) AS k
CROSS JOIN LATERAL (
    SELECT d.id, d.deployment_type, d.deployment_status, d.completed_at, d.error_details, d.rollback_id, d.rollback_of_id
    FROM deployment_history d
    WHERE d.definition_id = k.definition_id AND d.environment = k.environment
        AND (d.deployment_type = 'scale' OR d.started_by <> '00000000-0000-7000-8000-000000000001')
        AND d.superseded_by_id IS NULL AND d.completed_at IS NOT NULL
    ORDER BY d.completed_at DESC
    LIMIT sqlc.arg('most')::int
) AS e
ORDER BY e.completed_at;

-- ScalingInstances are the replicas of such workloads, and whether they have proved themselves: those of the live deployment
-- and what scalings have added to it, not what another deployment in progress has started besides. A deployment that keeps
-- a replica is younger than it. Those that a user has stopped are among them.
-- name: ScalingInstances :many
SELECT i.id, i.definition_id, i.environment, i.current_status, i.desired_status, i.recent_exits,
    (i.current_status = 'running' AND i.desired_status = 'running' AND i.health_status = 'healthy' AND
        CASE WHEN jsonb_typeof(d.config_snapshot -> 'health_check_config') = 'object' THEN i.settled_at IS NOT NULL
        ELSE i.healthy_since IS NOT NULL AND i.healthy_since <= sqlc.arg('at')::timestamptz
            - make_interval(secs => coalesce((d.rollout_config ->> 'min_healthy_time')::float8, 0)) END)::boolean AS settled
FROM (SELECT DISTINCT p.definition_id, p.environment FROM scaling_policies p WHERE p.is_enabled) AS k
JOIN workloads w ON w.definition_id = k.definition_id AND w.environment = k.environment
JOIN container_instances i ON i.definition_id = w.definition_id AND i.environment = w.environment
JOIN deployment_history d ON d.id = i.deployment_id
WHERE i.current_status <> 'terminated'
    AND (i.desired_status = 'stopped' OR i.desired_status = 'running' AND i.draining_since IS NULL)
    AND (d.id = w.live_deployment_id OR d.deployment_type = 'scale' OR i.created_at < d.started_at)
ORDER BY i.id;

-- ScalingChanges are their changes of the number of replicas that were not superseded: scalings, and what one that failed
-- has left, or one that was undone has taken back.
-- name: ScalingChanges :many
SELECT d.definition_id, d.environment, d.started_at, d.instances_before, d.instances_after
FROM (SELECT DISTINCT p.definition_id, p.environment FROM scaling_policies p WHERE p.is_enabled) AS k
JOIN deployment_history d ON d.definition_id = k.definition_id AND d.environment = k.environment
WHERE d.deployment_status IN ('in_progress', 'completed') AND (d.deployment_type = 'scale' OR d.deployment_type = 'rollback' AND EXISTS (
        SELECT FROM deployment_history undone WHERE undone.id = d.rollback_of_id AND undone.deployment_type = 'scale'))
    AND d.started_at >= sqlc.arg('since')::timestamptz AND d.instances_before <> d.instances_after
ORDER BY d.id;

-- name: SetRecommendations :exec
INSERT INTO scaling_states (definition_id, environment, recommendations) VALUES ($1, $2, $3)
ON CONFLICT (definition_id, environment) DO UPDATE SET recommendations = excluded.recommendations, updated_at = now();

-- name: SetLimits :exec
UPDATE workloads SET resource_limits = $3, resized_at = sqlc.arg('at')::timestamptz, updated_at = now()
WHERE definition_id = $1 AND environment = $2;

-- name: InsertDecision :exec
INSERT INTO scaling_decisions (
    id, definition_id, environment, policy_id, policy_name, outcome, current_value, wanted_value, limited_value, unit,
    limited_by, reason, inputs, deployment_id, evaluations, decided_at, last_evaluated_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);

-- ProlongDecision counts the evaluations that followed, and says what the last of them came to.
-- name: ProlongDecision :exec
UPDATE scaling_decisions SET
    evaluations = evaluations + sqlc.arg('more')::int, last_evaluated_at = sqlc.arg('until')::timestamptz,
    policy_id = $2, policy_name = $3, outcome = $4, wanted_value = $5, limited_by = $6, reason = $7, inputs = $8
WHERE id = $1;

-- LatestDecisions are the last ones of workloads, one for each unit, that were evaluated after a time.
-- name: LatestDecisions :many
SELECT DISTINCT ON (s.definition_id, s.environment, s.unit) sqlc.embed(s), d.name AS definition_name
FROM scaling_decisions s JOIN container_definitions d ON d.id = s.definition_id
WHERE s.last_evaluated_at > sqlc.arg('after')::timestamptz
ORDER BY s.definition_id, s.environment, s.unit, s.last_evaluated_at DESC, s.decided_at DESC;

-- ForgetLimit takes away what a vertical policy that there is no more has set.
-- name: ForgetLimit :exec
UPDATE workloads SET resource_limits = nullif(resource_limits - sqlc.arg('metric')::text, '{}'::jsonb), updated_at = now()
WHERE definition_id = sqlc.arg('definition_id') AND environment = sqlc.arg('environment') AND resource_limits IS NOT NULL;

-- ResizedMetrics are what vertical policies of a workload resize.
-- name: ResizedMetrics :many
SELECT p.trigger_metric FROM scaling_policies p
WHERE p.definition_id = $1 AND p.environment = $2 AND p.scaling_type = 'vertical';

-- PruneDecisions forgets those of before a time, and sooner those that changed nothing.
-- name: PruneDecisions :execrows
DELETE FROM scaling_decisions
WHERE last_evaluated_at < sqlc.arg('changes')::timestamptz
    OR last_evaluated_at < sqlc.arg('others')::timestamptz AND outcome NOT IN ('scaled_up', 'scaled_down', 'resized');
