-- What an evaluation of the scaling policies looks up of the deployments before it: that
-- must not take longer the longer the history is.

-- +goose Up

-- All that tells how scaling goes: scalings, and what users have begun.
CREATE INDEX deployment_history_scaling ON deployment_history (definition_id, environment, completed_at DESC)
    WHERE (deployment_type = 'scale' OR started_by <> '00000000-0000-7000-8000-000000000001')
        AND superseded_by_id IS NULL AND completed_at IS NOT NULL;
