-- What rollouts need beyond the plain replacement of all replicas.

-- +goose Up

ALTER TABLE deployment_history
    ADD COLUMN rollout_config JSONB NOT NULL DEFAULT '{}',
    ADD COLUMN rollout_state JSONB NOT NULL DEFAULT '{}',
    ADD COLUMN rollback_of_id UUID REFERENCES deployment_history (id),
    ADD COLUMN rollback_id UUID REFERENCES deployment_history (id),
    ADD COLUMN supersedes_id UUID REFERENCES deployment_history (id),
    ADD COLUMN superseded_by_id UUID REFERENCES deployment_history (id);
-- Rollbacks look for the stable deployment before another.
CREATE INDEX deployment_history_stable ON deployment_history (definition_id, environment, id)
    WHERE deployment_status = 'completed' AND NOT is_removal;

GRANT UPDATE (rollout_state, rollback_id, superseded_by_id) ON deployment_history TO wedsync_app;

ALTER TABLE container_instances
    ADD COLUMN healthy_since TIMESTAMPTZ, -- every check has passed since then
    ADD COLUMN draining_since TIMESTAMPTZ; -- out of service since then, soon to be removed
-- Forced row level security would hide all rows from an owner that is no superuser.
ALTER TABLE container_instances NO FORCE ROW LEVEL SECURITY;
UPDATE container_instances SET healthy_since = started_at WHERE health_status = 'healthy';
ALTER TABLE container_instances FORCE ROW LEVEL SECURITY;
