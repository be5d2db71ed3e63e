-- What the autoscaler goes by, remembers and has decided.

-- +goose Up

ALTER TABLE scaling_policies
    DROP CONSTRAINT scaling_policies_scaling_type_check,
    DROP CONSTRAINT scaling_policies_trigger_metric_check,
    ALTER COLUMN trigger_metric DROP NOT NULL, -- a schedule goes by none
    ALTER COLUMN scale_up_threshold DROP NOT NULL,
    ALTER COLUMN scale_down_threshold DROP NOT NULL,
    ALTER COLUMN scale_up_adjustment DROP NOT NULL,
    ALTER COLUMN scale_down_adjustment DROP NOT NULL,
    ALTER COLUMN scale_up_threshold TYPE DOUBLE PRECISION,
    ALTER COLUMN scale_down_threshold TYPE DOUBLE PRECISION,
    DROP COLUMN cooldown_period,
    ADD COLUMN scale_up_cooldown INTEGER NOT NULL DEFAULT 300 CHECK (scale_up_cooldown >= 0),
    ADD COLUMN scale_down_cooldown INTEGER NOT NULL DEFAULT 300 CHECK (scale_down_cooldown >= 0),
    ADD COLUMN metric_name TEXT, -- of a custom metric
    ADD COLUMN target_value DOUBLE PRECISION,
    ADD COLUMN min_replicas INTEGER, -- null: the definition's
    ADD COLUMN max_replicas INTEGER,
    ADD COLUMN stabilization_window INTEGER NOT NULL DEFAULT 300 CHECK (stabilization_window >= 0),
    ADD COLUMN max_scale_up INTEGER NOT NULL DEFAULT 0 CHECK (max_scale_up >= 0), -- 0: no bound
    ADD COLUMN max_scale_down INTEGER NOT NULL DEFAULT 0 CHECK (max_scale_down >= 0),
    ADD COLUMN scale_period INTEGER NOT NULL DEFAULT 60 CHECK (scale_period > 0),
    ADD COLUMN min_limit TEXT, -- of a vertical policy
    ADD COLUMN max_limit TEXT,
    ADD COLUMN schedule_start TEXT, -- cron, of a scheduled policy
    ADD COLUMN schedule_end TEXT,
    ADD COLUMN time_zone TEXT,
    ADD COLUMN created_by UUID REFERENCES principals (id),
    ADD CHECK (scaling_type IN ('horizontal', 'vertical', 'scheduled')),
    ADD CHECK (trigger_metric IN ('cpu', 'memory', 'request_rate', 'response_time', 'custom')),
    ADD CHECK ((trigger_metric IS NULL) = (scaling_type = 'scheduled')),
    ADD CHECK (min_replicas <= max_replicas),
    ADD CHECK (scale_down_threshold < scale_up_threshold),
    ADD CONSTRAINT scaling_policies_name UNIQUE (definition_id, environment, policy_name);

-- What was recommended lately, so that another daemon decides as this one would have.
CREATE TABLE scaling_states (
    definition_id UUID NOT NULL REFERENCES container_definitions (id),
    environment TEXT NOT NULL,
    recommendations JSONB NOT NULL DEFAULT '[]', -- [{at, replicas}], oldest first
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (definition_id, environment)
) WITH (fillfactor = 50);

-- Each evaluation that changed something or would have, and runs of equal ones as one row.
CREATE TABLE scaling_decisions (
    id UUID PRIMARY KEY,
    definition_id UUID NOT NULL REFERENCES container_definitions (id),
    environment TEXT NOT NULL,
    policy_id UUID, -- may be deleted since
    policy_name TEXT,
    outcome TEXT NOT NULL CHECK (outcome IN ('scaled_up', 'scaled_down', 'resized', 'limited', 'no_change')),
    current_value BIGINT NOT NULL,
    wanted_value BIGINT NOT NULL,
    limited_value BIGINT NOT NULL,
    unit TEXT NOT NULL CHECK (unit IN ('replicas', 'millicores', 'bytes')),
    limited_by TEXT,
    reason TEXT NOT NULL,
    inputs JSONB NOT NULL DEFAULT '[]',
    deployment_id UUID REFERENCES deployment_history (id),
    evaluations INTEGER NOT NULL DEFAULT 1 CHECK (evaluations > 0),
    decided_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_evaluated_at TIMESTAMPTZ NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX scaling_decisions_workload ON scaling_decisions (definition_id, environment, decided_at DESC);
CREATE INDEX scaling_decisions_decided_at ON scaling_decisions (decided_at);

ALTER TABLE workloads
    ADD COLUMN resource_limits JSONB, -- set by a vertical policy: {cpu, memory}, each may be missing
    ADD COLUMN resized_at TIMESTAMPTZ;
ALTER TABLE container_instances
    ADD COLUMN resource_limits JSONB; -- what the container has now; null: its deployment's

-- +goose StatementBegin
DO $$
DECLARE
    t TEXT;
BEGIN
    FOREACH t IN ARRAY ARRAY ['scaling_states', 'scaling_decisions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO wedsync_app', t);
    END LOOP;
END
$$;
-- +goose StatementEnd

CREATE POLICY scaling_states_manage ON scaling_states FOR ALL
    USING ((SELECT wedsync_is('system_admin'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

-- Everybody may ask why; only the autoscaler answers.
CREATE POLICY scaling_decisions_read ON scaling_decisions FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY scaling_decisions_insert ON scaling_decisions FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY scaling_decisions_update ON scaling_decisions FOR UPDATE
    USING ((SELECT wedsync_is('system_admin'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY scaling_decisions_delete ON scaling_decisions FOR DELETE
    USING ((SELECT wedsync_is('system_admin'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
