-- The tables of the specification, with the columns that wedsyncd adds, and the
-- tables that the controller needs beside them.

-- +goose Up

CREATE TABLE container_definitions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name TEXT NOT NULL,
    service_name TEXT NOT NULL,
    image_name TEXT NOT NULL,
    image_tag TEXT NOT NULL DEFAULT 'latest',
    registry_url TEXT,
    environment_config JSONB NOT NULL DEFAULT '{}',
    resource_limits JSONB NOT NULL DEFAULT '{}',
    health_check_config JSONB DEFAULT '{}', -- null or without an endpoint: no check
    scaling_config JSONB NOT NULL DEFAULT '{}',
    network_config JSONB NOT NULL DEFAULT '{}',
    volume_mounts JSONB NOT NULL DEFAULT '[]',
    runtime_config JSONB NOT NULL DEFAULT '{}',
    registry_credentials BYTEA, -- AES-256-GCM under a key that the database never sees
    revision INTEGER NOT NULL DEFAULT 1 CHECK (revision > 0),
    is_active BOOLEAN NOT NULL DEFAULT true,
    created_by UUID REFERENCES principals (id),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
-- Deleting is soft, so that history and audit rows keep what they refer to; the name is free again.
CREATE UNIQUE INDEX container_definitions_active_name ON container_definitions (name) WHERE is_active;
CREATE INDEX container_definitions_service ON container_definitions (service_name) WHERE is_active;

CREATE TABLE container_networks (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    network_name TEXT NOT NULL,
    network_type TEXT NOT NULL CHECK (network_type IN ('internal', 'external', 'overlay')),
    environment TEXT NOT NULL,
    subnet CIDR,
    gateway INET,
    dns_config JSONB NOT NULL DEFAULT '{}',
    network_config JSONB NOT NULL DEFAULT '{}',
    is_active BOOLEAN NOT NULL DEFAULT true,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
-- A definition names networks that each environment has for itself.
CREATE UNIQUE INDEX container_networks_active_name ON container_networks (environment, network_name) WHERE is_active;

CREATE TABLE deployment_history (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    definition_id UUID NOT NULL REFERENCES container_definitions (id),
    definition_revision INTEGER NOT NULL DEFAULT 1,
    environment TEXT NOT NULL,
    deployment_type TEXT NOT NULL CHECK (deployment_type IN ('deploy', 'rollback', 'scale', 'restart')),
    image_tag TEXT NOT NULL,
    image_digest TEXT NOT NULL DEFAULT '',
    config_snapshot JSONB NOT NULL,
    instances_before INTEGER NOT NULL DEFAULT 0,
    instances_after INTEGER NOT NULL DEFAULT 0, -- replicas wanted
    deployment_status TEXT NOT NULL DEFAULT 'in_progress'
        CHECK (deployment_status IN ('in_progress', 'completed', 'failed', 'rolled_back')),
    deployment_strategy TEXT NOT NULL DEFAULT 'rolling_update'
        CHECK (deployment_strategy IN ('rolling_update', 'blue_green', 'canary')),
    rollback_target_id UUID REFERENCES deployment_history (id),
    is_removal BOOLEAN NOT NULL DEFAULT false,
    total_steps INTEGER NOT NULL DEFAULT 0,
    completed_steps INTEGER NOT NULL DEFAULT 0,
    current_step TEXT NOT NULL DEFAULT '',
    started_by UUID REFERENCES principals (id),
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    completed_at TIMESTAMPTZ,
    error_details JSONB, -- null: nothing went wrong
    deployment_notes TEXT
);
CREATE INDEX idx_deployment_history_definition ON deployment_history (definition_id);
CREATE INDEX idx_deployment_history_started_at ON deployment_history (started_at DESC);
-- At most one deployment of a workload is in progress.
CREATE UNIQUE INDEX deployment_history_in_progress ON deployment_history (definition_id, environment)
    WHERE deployment_status = 'in_progress';

-- What runs of a definition in an environment, and what should.
CREATE TABLE workloads (
    definition_id UUID NOT NULL REFERENCES container_definitions (id),
    environment TEXT NOT NULL,
    target_deployment_id UUID REFERENCES deployment_history (id),
    live_deployment_id UUID REFERENCES deployment_history (id),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (definition_id, environment)
);

CREATE TABLE container_instances (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    definition_id UUID NOT NULL REFERENCES container_definitions (id) ON DELETE CASCADE,
    deployment_id UUID REFERENCES deployment_history (id),
    environment TEXT NOT NULL,
    container_id TEXT UNIQUE,
    instance_name TEXT NOT NULL,
    image_tag TEXT NOT NULL DEFAULT '',
    image_digest TEXT NOT NULL DEFAULT '',
    current_status TEXT NOT NULL DEFAULT 'pending'
        CHECK (current_status IN ('pending', 'running', 'stopped', 'failed', 'terminated')),
    desired_status TEXT NOT NULL DEFAULT 'running'
        CHECK (desired_status IN ('pending', 'running', 'stopped', 'failed', 'terminated')),
    replica_number INTEGER NOT NULL DEFAULT 1,
    node_name TEXT,
    ip_address INET,
    port_mappings JSONB NOT NULL DEFAULT '{}', -- container port: host port
    resource_usage JSONB NOT NULL DEFAULT '{}',
    health_status TEXT NOT NULL DEFAULT 'unknown' CHECK (health_status IN ('healthy', 'unhealthy', 'unknown')),
    health_checks JSONB NOT NULL DEFAULT '[]',
    last_health_check TIMESTAMPTZ,
    restart_count INTEGER NOT NULL DEFAULT 0,
    recent_exits TIMESTAMPTZ[] NOT NULL DEFAULT '{}',
    exit_code INTEGER,
    error_message TEXT,
    restart_requested_at TIMESTAMPTZ,
    force BOOLEAN NOT NULL DEFAULT false,
    started_at TIMESTAMPTZ,
    stopped_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (id, environment) -- so that rows about an instance cannot claim another environment
) WITH (fillfactor = 70); -- room for the updates of health, which touch no index
CREATE INDEX idx_container_instances_definition ON container_instances (definition_id);
CREATE INDEX idx_container_instances_environment ON container_instances (environment);
CREATE INDEX idx_container_instances_status ON container_instances (current_status);
CREATE INDEX container_instances_deployment ON container_instances (deployment_id);
-- Lists leave out terminated instances, of which there are ever more.
CREATE INDEX container_instances_alive ON container_instances (id) WHERE current_status <> 'terminated';

-- Host ports in use. A row without an instance is a port that a foreign process holds.
CREATE TABLE host_port_leases (
    port INTEGER PRIMARY KEY CHECK (port BETWEEN 1 AND 65535),
    instance_id UUID REFERENCES container_instances (id) ON DELETE CASCADE,
    container_port INTEGER,
    leased_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    blocked_until TIMESTAMPTZ,
    CHECK ((instance_id IS NULL) = (blocked_until IS NOT NULL)),
    CHECK ((instance_id IS NULL) = (container_port IS NULL)),
    UNIQUE (instance_id, container_port)
);

CREATE TABLE container_events (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    instance_id UUID REFERENCES container_instances (id) ON DELETE CASCADE,
    definition_id UUID REFERENCES container_definitions (id),
    deployment_id UUID REFERENCES deployment_history (id),
    network_id UUID REFERENCES container_networks (id),
    environment TEXT, -- null: of no environment
    event_type TEXT NOT NULL,
    event_source TEXT NOT NULL CHECK (event_source IN ('system', 'user', 'scheduler', 'health_monitor')),
    event_data JSONB NOT NULL DEFAULT '{}',
    error_message TEXT,
    stack_trace TEXT,
    user_id UUID REFERENCES principals (id),
    user_name TEXT, -- as it was then; most roles may not read principals
    timestamp TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_container_events_instance ON container_events (instance_id);
CREATE INDEX idx_container_events_timestamp ON container_events (timestamp DESC);
CREATE INDEX container_events_definition ON container_events (definition_id, id);
CREATE INDEX container_events_deployment ON container_events (deployment_id, id) WHERE deployment_id IS NOT NULL;
CREATE INDEX container_events_network ON container_events (network_id, id) WHERE network_id IS NOT NULL;

CREATE TABLE service_registry (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    service_name TEXT NOT NULL,
    instance_id UUID NOT NULL,
    environment TEXT NOT NULL,
    endpoint_url TEXT NOT NULL,
    health_check_url TEXT,
    is_healthy BOOLEAN NOT NULL DEFAULT true,
    load_balancer_weight INTEGER NOT NULL DEFAULT 100,
    metadata JSONB NOT NULL DEFAULT '{}',
    registered_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_heartbeat TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (service_name, instance_id, environment),
    FOREIGN KEY (instance_id, environment) REFERENCES container_instances (id, environment) ON DELETE CASCADE
);
CREATE INDEX idx_service_registry_service_env ON service_registry (service_name, environment);

CREATE TABLE scaling_policies (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    definition_id UUID NOT NULL REFERENCES container_definitions (id) ON DELETE CASCADE,
    environment TEXT NOT NULL,
    policy_name TEXT NOT NULL,
    scaling_type TEXT NOT NULL CHECK (scaling_type IN ('horizontal', 'vertical')),
    trigger_metric TEXT NOT NULL CHECK (trigger_metric IN ('cpu', 'memory', 'request_rate', 'response_time')),
    scale_up_threshold NUMERIC NOT NULL,
    scale_down_threshold NUMERIC NOT NULL,
    scale_up_adjustment INTEGER NOT NULL,
    scale_down_adjustment INTEGER NOT NULL,
    cooldown_period INTEGER NOT NULL DEFAULT 300,
    is_enabled BOOLEAN NOT NULL DEFAULT true,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX scaling_policies_definition ON scaling_policies (definition_id, environment);

-- Mutations that were done under a key, so that repeating one does nothing.
CREATE TABLE idempotency_keys (
    principal_id UUID NOT NULL REFERENCES principals (id),
    key TEXT NOT NULL,
    fingerprint BYTEA NOT NULL, -- of method, path and body
    result_id UUID,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (principal_id, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- One row: which installation this database is, and how often a leader was elected.
CREATE TABLE installation (
    singleton BOOLEAN PRIMARY KEY DEFAULT true CHECK (singleton),
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    epoch BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO installation DEFAULT VALUES;
