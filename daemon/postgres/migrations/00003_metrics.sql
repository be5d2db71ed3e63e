-- Metrics: one wide row per sample, in partitions of a day, because narrow rows
-- cost several times the space and deleting them row by row takes seconds where
-- dropping a partition takes none. Custom metrics have a table beside them.

-- +goose Up

CREATE TABLE container_metric_samples (
    instance_id UUID NOT NULL,
    environment TEXT NOT NULL,
    collected_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    cpu_percent DOUBLE PRECISION,
    memory_mb DOUBLE PRECISION,
    disk_mb DOUBLE PRECISION,
    network_rx_bytes BIGINT,
    network_tx_bytes BIGINT,
    FOREIGN KEY (instance_id, environment) REFERENCES container_instances (id, environment) ON DELETE CASCADE
) PARTITION BY RANGE (collected_at);
CREATE INDEX idx_container_metrics_instance ON container_metric_samples (instance_id, collected_at)
    INCLUDE (cpu_percent, memory_mb, disk_mb, network_rx_bytes, network_tx_bytes);
CREATE INDEX idx_container_metrics_collected_at ON container_metric_samples (collected_at DESC);

CREATE TABLE container_custom_metrics (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    instance_id UUID NOT NULL,
    environment TEXT NOT NULL,
    metric_type TEXT NOT NULL DEFAULT 'custom' CHECK (metric_type IN ('cpu', 'memory', 'disk', 'network', 'custom')),
    metric_name TEXT NOT NULL,
    metric_value NUMERIC NOT NULL,
    metric_unit TEXT,
    labels JSONB NOT NULL DEFAULT '{}',
    collected_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    FOREIGN KEY (instance_id, environment) REFERENCES container_instances (id, environment) ON DELETE CASCADE
);
CREATE INDEX container_custom_metrics_instance ON container_custom_metrics (instance_id, metric_name, collected_at);
CREATE INDEX container_custom_metrics_collected_at ON container_custom_metrics (collected_at DESC);

-- Makes the partitions of today and the following days, where they are missing.
-- It runs with the rights of the owner, since the daemon's role makes no tables.
-- +goose StatementBegin
CREATE FUNCTION wedsync_make_metric_partitions(days INTEGER) RETURNS INTEGER
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today DATE := (now() AT TIME ZONE 'UTC')::date;
    day DATE;
    partition TEXT;
    made INTEGER := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('wedsync_make_metric_partitions'));
    FOR n IN 0 .. least(greatest(days, 0), 31) LOOP
        day := today + n;
        partition := 'container_metric_samples_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('public.' || partition) IS NOT NULL;
        EXECUTE format(
            'CREATE TABLE public.%I PARTITION OF public.container_metric_samples FOR VALUES FROM (%L) TO (%L)',
            partition, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', partition);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
-- +goose StatementEnd
