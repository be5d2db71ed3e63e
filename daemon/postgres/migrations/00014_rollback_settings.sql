-- A rollback has the settings of what it brings back; that it hurries is planned. Rows
-- of before had the settings of the hurry itself, and scalings since then had them too.

-- +goose Up

-- Forced row level security would hide all rows from an owner that is no superuser.
ALTER TABLE deployment_history NO FORCE ROW LEVEL SECURITY;
UPDATE deployment_history d SET rollout_config = meant.rollout_config
FROM (
    SELECT h.id, (
        -- The rollout of the same version: one that completed, if there is one.
        SELECT o.rollout_config FROM deployment_history o
        WHERE o.definition_id = h.definition_id AND o.environment = h.environment AND o.id < h.id
            AND o.deployment_type = 'deploy' AND NOT o.is_removal
            AND o.definition_revision = h.definition_revision AND o.image_digest = h.image_digest
        ORDER BY o.deployment_status = 'completed' DESC, o.id DESC
        LIMIT 1
    ) AS rollout_config
    FROM deployment_history h
    WHERE h.deployment_type IN ('rollback', 'scale') AND h.rollout_config ->> 'min_healthy_time' = '0'
        AND h.rollout_config ->> 'keep_warm_time' = '0' AND h.rollout_config ->> 'drain_time' = '0'
) AS meant
WHERE meant.id = d.id AND meant.rollout_config IS NOT NULL;
ALTER TABLE deployment_history FORCE ROW LEVEL SECURITY;
