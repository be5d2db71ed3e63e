-- What an evaluation of the scaling policies looks up of the scalings before: it must
-- not take longer the longer the history is.

-- +goose Up

CREATE INDEX deployment_history_scalings ON deployment_history (definition_id, environment, started_at DESC)
    WHERE deployment_type = 'scale';
