-- ReplicasOwned says whether a policy decides on a workload's number of replicas.
-- name: ReplicasOwned :one
SELECT EXISTS (
    SELECT FROM scaling_policies p
    WHERE p.definition_id = $1 AND p.environment = $2 AND p.is_enabled AND p.scaling_type IN ('horizontal', 'scheduled')
);
