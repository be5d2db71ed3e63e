-- Who may see and change what. Each transaction of the daemon sets
-- request.jwt.claims to {"role", "sub", "environments"} of the principal that
-- acts; without claims no row is visible and none can be written.
--
-- Every call in a policy is wrapped in a sub-select, so that it is evaluated once
-- a query and not once a row.

-- +goose Up

-- After a transaction that set it, the setting reads '' and not null.
CREATE FUNCTION wedsync_claims() RETURNS JSONB LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('request.jwt.claims', true), '')::jsonb;

CREATE FUNCTION wedsync_subject() RETURNS UUID LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (public.wedsync_claims() ->> 'sub')::uuid;

-- Whether the principal has one of the roles.
CREATE FUNCTION wedsync_is(VARIADIC roles TEXT[]) RETURNS BOOLEAN LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(public.wedsync_claims() ->> 'role' = ANY (roles), false);

CREATE FUNCTION wedsync_environments() RETURNS TEXT[] LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ARRAY(SELECT jsonb_array_elements_text(public.wedsync_claims() -> 'environments'));

CREATE FUNCTION wedsync_everywhere() RETURNS BOOLEAN LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(public.wedsync_claims() -> 'environments' ? '*', false);

-- Finds a token before any principal is known: it runs with the rights of the
-- owner, whom the policies bind too, and so takes claims of its own for the one
-- query. (A SET clause would do, but is for superusers only.)
-- +goose StatementBegin
CREATE FUNCTION wedsync_token_by_hash(hash BYTEA)
    RETURNS TABLE (id UUID, prefix TEXT, created_at TIMESTAMPTZ, expires_at TIMESTAMPTZ, revoked_at TIMESTAMPTZ,
                   last_used_at TIMESTAMPTZ, principal_id UUID, principal_name TEXT, principal_role TEXT,
                   principal_environments TEXT[], principal_created_at TIMESTAMPTZ)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before TEXT := coalesce(current_setting('request.jwt.claims', true), '');
BEGIN
    PERFORM set_config('request.jwt.claims', '{"role": "system_admin"}', true);
    RETURN QUERY
    SELECT t.id, t.prefix, t.created_at, t.expires_at, t.revoked_at, t.last_used_at,
           p.id, p.name, p.role, p.environments, p.created_at
    FROM public.api_tokens t JOIN public.principals p ON p.id = t.principal_id
    WHERE t.token_hash = hash;
    PERFORM set_config('request.jwt.claims', before, true);
END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION wedsync_token_by_hash(BYTEA), wedsync_make_metric_partitions(INTEGER) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION wedsync_token_by_hash(BYTEA), wedsync_make_metric_partitions(INTEGER) TO wedsync_app;

-- Row level security holds for the owner too.
-- +goose StatementBegin
DO $$
DECLARE
    t REGCLASS;
BEGIN
    FOR t IN
        SELECT c.oid FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname IN (
            'principals', 'api_tokens', 'container_definitions', 'container_networks', 'deployment_history',
            'workloads', 'container_instances', 'host_port_leases', 'container_events', 'service_registry',
            'scaling_policies', 'idempotency_keys', 'installation', 'container_metric_samples',
            'container_custom_metrics')
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Grants. Nothing that history or audit rows refer to can be deleted, and an
-- audit row or a deployment's snapshot cannot be changed, by any role.
GRANT USAGE ON SCHEMA public TO wedsync_app;
GRANT SELECT ON goose_db_version TO wedsync_app;
GRANT SELECT, INSERT, UPDATE ON container_definitions, container_networks, container_instances, workloads
    TO wedsync_app;
GRANT SELECT, INSERT, UPDATE (is_active) ON principals TO wedsync_app;
GRANT SELECT, INSERT, UPDATE (revoked_at, last_used_at) ON api_tokens TO wedsync_app;
GRANT SELECT, INSERT ON deployment_history, container_events, container_metric_samples,
    container_custom_metrics, container_metrics TO wedsync_app;
GRANT UPDATE (deployment_status, completed_at, error_details, total_steps, completed_steps, current_step)
    ON deployment_history TO wedsync_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON service_registry, scaling_policies, host_port_leases TO wedsync_app;
GRANT SELECT, INSERT, UPDATE (result_id), DELETE ON idempotency_keys TO wedsync_app;
GRANT SELECT, UPDATE (epoch) ON installation TO wedsync_app;

-- Principals and tokens: system_admin only.
CREATE POLICY principals_read ON principals FOR SELECT USING ((SELECT wedsync_is('system_admin')));
CREATE POLICY principals_insert ON principals FOR INSERT WITH CHECK ((SELECT wedsync_is('system_admin')));
CREATE POLICY principals_update ON principals FOR UPDATE USING ((SELECT wedsync_is('system_admin')));
CREATE POLICY api_tokens_read ON api_tokens FOR SELECT USING ((SELECT wedsync_is('system_admin')));
CREATE POLICY api_tokens_insert ON api_tokens FOR INSERT WITH CHECK ((SELECT wedsync_is('system_admin')));
CREATE POLICY api_tokens_update ON api_tokens FOR UPDATE USING ((SELECT wedsync_is('system_admin')));

-- Definitions belong to no environment: every role reads them.
CREATE POLICY container_definitions_read ON container_definitions FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system')));
CREATE POLICY container_definitions_insert ON container_definitions FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'devops_engineer')));
CREATE POLICY container_definitions_update ON container_definitions FOR UPDATE
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer')));

-- Networks.
CREATE POLICY container_networks_read ON container_networks FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_networks_insert ON container_networks FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_networks_update ON container_networks FOR UPDATE
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

-- Deployments, workloads and instances.
CREATE POLICY deployment_history_read ON deployment_history FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY deployment_history_insert ON deployment_history FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND started_by = (SELECT wedsync_subject())
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY deployment_history_update ON deployment_history FOR UPDATE
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

CREATE POLICY workloads_read ON workloads FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY workloads_insert ON workloads FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY workloads_update ON workloads FOR UPDATE
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

CREATE POLICY container_instances_read ON container_instances FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_instances_insert ON container_instances FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_instances_update ON container_instances FOR UPDATE
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

-- The audit trail. A row can be written under one's own name only. What happened
-- to tokens is for system_admin alone, as the tokens are.
CREATE POLICY container_events_read ON container_events FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer'))
        AND (event_type NOT IN ('token_created', 'token_revoked') OR (SELECT wedsync_is('system_admin')))
        AND (environment IS NULL OR (SELECT wedsync_everywhere())
            OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_events_insert ON container_events FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND user_id = (SELECT wedsync_subject())
        AND (environment IS NULL OR (SELECT wedsync_everywhere())
            OR environment = ANY ((SELECT wedsync_environments())::text[])));

-- Services and scaling policies.
CREATE POLICY service_registry_read ON service_registry FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY service_registry_insert ON service_registry FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY service_registry_update ON service_registry FOR UPDATE
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY service_registry_delete ON service_registry FOR DELETE
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

CREATE POLICY scaling_policies_read ON scaling_policies FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY scaling_policies_insert ON scaling_policies FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY scaling_policies_update ON scaling_policies FOR UPDATE
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY scaling_policies_delete ON scaling_policies FOR DELETE
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

-- Metrics: whoever collects them writes, every role reads.
CREATE POLICY container_metric_samples_read ON container_metric_samples FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_metric_samples_insert ON container_metric_samples FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_custom_metrics_read ON container_custom_metrics FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_custom_metrics_insert ON container_custom_metrics FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

-- Host ports are the machine's, not an environment's.
CREATE POLICY host_port_leases_manage ON host_port_leases FOR ALL
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer')));

-- Keys are their principal's own; system_admin prunes them.
CREATE POLICY idempotency_keys_read ON idempotency_keys FOR SELECT
    USING (principal_id = (SELECT wedsync_subject()) OR (SELECT wedsync_is('system_admin')));
CREATE POLICY idempotency_keys_insert ON idempotency_keys FOR INSERT
    WITH CHECK (principal_id = (SELECT wedsync_subject()));
CREATE POLICY idempotency_keys_update ON idempotency_keys FOR UPDATE
    USING (principal_id = (SELECT wedsync_subject()));
CREATE POLICY idempotency_keys_delete ON idempotency_keys FOR DELETE
    USING ((SELECT wedsync_is('system_admin')));

CREATE POLICY installation_read ON installation FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system')));
CREATE POLICY installation_update ON installation FOR UPDATE USING ((SELECT wedsync_is('system_admin')));

-- The next fortnight of metrics; the daemon makes more as days go by.
SELECT wedsync_make_metric_partitions(14);
