-- Where requests go: the registry of endpoints, routes, and what the followers of
-- the two report.

-- +goose Up

ALTER TABLE container_instances
    ADD COLUMN load_balancer_weight INTEGER NOT NULL DEFAULT 100 CHECK (load_balancer_weight BETWEEN 0 AND 100);

-- An entry without an instance is of something that wedsyncd does not run; it
-- stays as long as its heartbeats come.
ALTER TABLE service_registry
    ALTER COLUMN instance_id DROP NOT NULL,
    ADD COLUMN ttl_seconds INTEGER CHECK (ttl_seconds > 0),
    ADD CHECK (load_balancer_weight BETWEEN 0 AND 100),
    ADD CHECK ((instance_id IS NULL) = (ttl_seconds IS NOT NULL));
CREATE UNIQUE INDEX service_registry_instance ON service_registry (instance_id);
CREATE UNIQUE INDEX service_registry_external ON service_registry (service_name, environment, endpoint_url)
    WHERE instance_id IS NULL;

CREATE TABLE routes (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name TEXT NOT NULL,
    environment TEXT NOT NULL,
    service_name TEXT NOT NULL,
    hosts TEXT[] NOT NULL DEFAULT '{}', -- none: the service's own
    path_prefixes TEXT[] NOT NULL,
    settings JSONB NOT NULL DEFAULT '{}',
    created_by UUID REFERENCES principals (id),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (environment, name),
    UNIQUE (id, environment)
);

-- A host belongs to one environment, so that no environment can take the requests of another.
CREATE TABLE route_hosts (
    host TEXT PRIMARY KEY,
    environment TEXT NOT NULL,
    UNIQUE (host, environment)
);

-- What each route takes, once. A host of "SERVICE." (which no host name is) stands for the service's own.
CREATE TABLE route_matches (
    route_id UUID NOT NULL,
    environment TEXT NOT NULL,
    host TEXT NOT NULL,
    path_prefix TEXT NOT NULL,
    PRIMARY KEY (environment, host, path_prefix),
    FOREIGN KEY (route_id, environment) REFERENCES routes (id, environment) ON DELETE CASCADE
);
CREATE INDEX route_matches_route ON route_matches (route_id);

-- Processes that follow the registry: an instance that drains may be stopped once all have let go of it.
CREATE TABLE traffic_followers (
    id UUID PRIMARY KEY,
    name TEXT NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE drained_instances (
    follower_id UUID NOT NULL REFERENCES traffic_followers (id) ON DELETE CASCADE,
    instance_id UUID NOT NULL REFERENCES container_instances (id) ON DELETE CASCADE,
    PRIMARY KEY (instance_id, follower_id)
);

-- What each balancer measured in the last second. Not worth a crash-safe log.
CREATE UNLOGGED TABLE balancer_loads (
    follower_id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    service_name TEXT NOT NULL,
    environment TEXT NOT NULL,
    request_rate DOUBLE PRECISION NOT NULL,
    error_rate DOUBLE PRECISION NOT NULL,
    in_flight INTEGER NOT NULL,
    p50_ms DOUBLE PRECISION NOT NULL,
    p95_ms DOUBLE PRECISION NOT NULL,
    p99_ms DOUBLE PRECISION NOT NULL,
    measured_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (follower_id, endpoint_id)
) WITH (fillfactor = 50);

-- What certificates are made of: themselves, their keys, accounts at authorities.
-- The values are encrypted with the daemons' secret key.
CREATE TABLE certificates (
    key TEXT PRIMARY KEY,
    value BYTEA NOT NULL,
    modified_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
-- Who is about to change one. A lock outlives its holder until it expires.
CREATE TABLE certificate_locks (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

-- An instance is registered when it has become healthy and deregistered before it
-- is stopped, in the transaction that says so.
-- +goose StatementBegin
CREATE FUNCTION wedsync_register_instance() RETURNS TRIGGER LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.draining_since IS NULL THEN
        DELETE FROM drained_instances WHERE instance_id = NEW.id;
    END IF;
    IF NEW.draining_since IS NOT NULL OR NEW.current_status = 'terminated' THEN
        DELETE FROM service_registry WHERE instance_id = NEW.id;
    ELSIF NEW.current_status = 'running' AND NEW.health_status = 'healthy' AND NEW.ip_address IS NOT NULL THEN
        INSERT INTO service_registry (id, service_name, instance_id, environment, endpoint_url, health_check_url, load_balancer_weight)
        SELECT NEW.id, d.config_snapshot ->> 'service_name', NEW.id, NEW.environment, u.base || ':' || (d.config_snapshot -> 'network_config' -> 'ports' ->> 0),
            u.base || ':' || coalesce(nullif(h.probe ->> 'port', '0'), d.config_snapshot -> 'network_config' -> 'ports' ->> 0) || (h.probe ->> 'endpoint'),
            NEW.load_balancer_weight
        FROM deployment_history d,
            LATERAL (SELECT d.config_snapshot -> 'health_check_config') AS h (probe),
            LATERAL (SELECT 'http://' || CASE WHEN family(NEW.ip_address) = 6 THEN '[' || host(NEW.ip_address) || ']' ELSE host(NEW.ip_address) END) AS u (base)
        WHERE d.id = NEW.deployment_id AND jsonb_array_length(coalesce(d.config_snapshot -> 'network_config' -> 'ports', '[]')) > 0
        ON CONFLICT (instance_id) DO UPDATE SET
            service_name = excluded.service_name, endpoint_url = excluded.endpoint_url, health_check_url = excluded.health_check_url,
            load_balancer_weight = excluded.load_balancer_weight, is_healthy = true;
    ELSE
        UPDATE service_registry SET is_healthy = false, load_balancer_weight = NEW.load_balancer_weight WHERE instance_id = NEW.id;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER register_instance AFTER UPDATE ON container_instances FOR EACH ROW
    WHEN ((OLD.current_status, OLD.health_status, OLD.draining_since, OLD.ip_address, OLD.deployment_id, OLD.load_balancer_weight)
        IS DISTINCT FROM (NEW.current_status, NEW.health_status, NEW.draining_since, NEW.ip_address, NEW.deployment_id, NEW.load_balancer_weight))
    EXECUTE FUNCTION wedsync_register_instance();

-- Followers read anew when one of these says so; equal notifications of one transaction are one.
-- +goose StatementBegin
CREATE FUNCTION wedsync_notify_traffic() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('wedsync_traffic', '');
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER notify_traffic AFTER INSERT OR DELETE ON service_registry FOR EACH ROW EXECUTE FUNCTION wedsync_notify_traffic();
CREATE TRIGGER notify_traffic_change AFTER UPDATE ON service_registry FOR EACH ROW
    WHEN ((OLD.service_name, OLD.endpoint_url, OLD.health_check_url, OLD.is_healthy, OLD.load_balancer_weight, OLD.metadata)
        IS DISTINCT FROM (NEW.service_name, NEW.endpoint_url, NEW.health_check_url, NEW.is_healthy, NEW.load_balancer_weight, NEW.metadata))
    EXECUTE FUNCTION wedsync_notify_traffic();
CREATE TRIGGER notify_traffic_drain AFTER UPDATE ON container_instances FOR EACH ROW
    WHEN (OLD.draining_since IS NULL AND NEW.draining_since IS NOT NULL)
    EXECUTE FUNCTION wedsync_notify_traffic();
CREATE TRIGGER notify_traffic AFTER INSERT OR UPDATE OR DELETE ON routes FOR EACH ROW EXECUTE FUNCTION wedsync_notify_traffic();
-- The share of a deployment in progress: it begins, changes and ends.
CREATE TRIGGER notify_traffic_split AFTER UPDATE ON deployment_history FOR EACH ROW
    WHEN ((OLD.deployment_status, OLD.rollout_state -> 'weight') IS DISTINCT FROM (NEW.deployment_status, NEW.rollout_state -> 'weight'))
    EXECUTE FUNCTION wedsync_notify_traffic();

-- +goose StatementBegin
DO $$
DECLARE
    t TEXT;
BEGIN
    FOREACH t IN ARRAY ARRAY ['routes', 'route_hosts', 'route_matches', 'traffic_followers', 'drained_instances', 'balancer_loads',
        'certificates', 'certificate_locks'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO wedsync_app', t);
    END LOOP;
END
$$;
-- +goose StatementEnd

CREATE POLICY routes_read ON routes FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY routes_insert ON routes FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY routes_update ON routes FOR UPDATE
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY routes_delete ON routes FOR DELETE
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

CREATE POLICY route_hosts_manage ON route_hosts FOR ALL
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY route_matches_manage ON route_matches FOR ALL
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

CREATE POLICY traffic_followers_manage ON traffic_followers FOR ALL USING ((SELECT wedsync_is('system_admin')));
-- Who may end an instance's draining takes back that it had drained.
CREATE POLICY drained_instances_manage ON drained_instances FOR ALL USING ((SELECT wedsync_is('system_admin', 'devops_engineer')));

CREATE POLICY certificates_manage ON certificates FOR ALL USING ((SELECT wedsync_is('system_admin')));
CREATE POLICY certificate_locks_manage ON certificate_locks FOR ALL USING ((SELECT wedsync_is('system_admin')));

CREATE POLICY balancer_loads_read ON balancer_loads FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY balancer_loads_insert ON balancer_loads FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY balancer_loads_update ON balancer_loads FOR UPDATE
    USING ((SELECT wedsync_is('system_admin'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY balancer_loads_delete ON balancer_loads FOR DELETE
    USING ((SELECT wedsync_is('system_admin'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

-- What runs already is registered like what comes. Forced row level security
-- would hide all rows from an owner that is no superuser.
ALTER TABLE container_instances NO FORCE ROW LEVEL SECURITY;
ALTER TABLE deployment_history NO FORCE ROW LEVEL SECURITY;
ALTER TABLE service_registry NO FORCE ROW LEVEL SECURITY;
ALTER TABLE drained_instances NO FORCE ROW LEVEL SECURITY;
CREATE TRIGGER register_existing AFTER UPDATE ON container_instances FOR EACH ROW EXECUTE FUNCTION wedsync_register_instance();
UPDATE container_instances SET updated_at = updated_at WHERE current_status = 'running';
DROP TRIGGER register_existing ON container_instances;
ALTER TABLE container_instances FORCE ROW LEVEL SECURITY;
ALTER TABLE deployment_history FORCE ROW LEVEL SECURITY;
ALTER TABLE service_registry FORCE ROW LEVEL SECURITY;
ALTER TABLE drained_instances FORCE ROW LEVEL SECURITY;
