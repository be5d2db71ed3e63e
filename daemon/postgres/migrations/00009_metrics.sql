-- What instances use: more of it per sample, what was posted in partitions too,
-- roll-ups to 5 minutes and to an hour, and partitions that are dropped when their
-- time is over.

-- +goose Up

-- Made anew by the next migration, over all of these.
DROP VIEW IF EXISTS container_metrics;

-- Seven digits are more than is measured, and make a quarter less to write, read and drop.
ALTER TABLE container_metric_samples
    ALTER COLUMN cpu_percent TYPE REAL,
    ALTER COLUMN memory_mb TYPE REAL,
    ALTER COLUMN disk_mb TYPE REAL,
    ADD COLUMN cpu_cores REAL, -- processor seconds per second
    ADD COLUMN memory_percent REAL,
    ADD COLUMN restart_count INTEGER,
    ADD COLUMN request_rate REAL, -- per second; null: no balancer knows the instance
    ADD COLUMN response_time_ms REAL; -- 95th percentile

-- It also has the environment, which the policies ask for: without it every row
-- would be looked up in the table.
DROP INDEX idx_container_metrics_instance;
CREATE INDEX idx_container_metrics_instance ON container_metric_samples (instance_id, collected_at)
    INCLUDE (environment, network_rx_bytes, network_tx_bytes, cpu_percent, cpu_cores, memory_mb, memory_percent, disk_mb,
        request_rate, response_time_ms, restart_count);

-- Samples come in the order of their times, so that this one need not have them all.
DROP INDEX idx_container_metrics_collected_at;
CREATE INDEX idx_container_metrics_collected_at ON container_metric_samples USING brin (collected_at) WITH (pages_per_range = 32);

-- Metrics that somebody posted. The bounds are such that means can be computed, whose
-- squares must not overflow; NaN is more than all numbers, so they leave it out too.
ALTER TABLE container_custom_metrics RENAME TO container_custom_metrics_before;
CREATE TABLE container_custom_metrics (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    instance_id UUID NOT NULL,
    environment TEXT NOT NULL,
    metric_type TEXT NOT NULL DEFAULT 'custom' CHECK (metric_type IN ('cpu', 'memory', 'disk', 'network', 'custom')),
    metric_name TEXT NOT NULL,
    metric_value DOUBLE PRECISION NOT NULL CHECK (metric_value BETWEEN -1e100 AND 1e100),
    metric_unit TEXT,
    labels JSONB NOT NULL DEFAULT '{}',
    collected_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (id, collected_at),
    FOREIGN KEY (instance_id, environment) REFERENCES container_instances (id, environment) ON DELETE CASCADE
) PARTITION BY RANGE (collected_at);
CREATE INDEX container_custom_metrics_by_instance ON container_custom_metrics (instance_id, metric_name, collected_at);

-- Means and maxima of the samples of one instance from bucket_at on, for five minutes
-- and for an hour. Counters are as they were last. Null is what no sample has.
CREATE TABLE container_metric_rollups_5m (
    instance_id UUID NOT NULL,
    environment TEXT NOT NULL,
    bucket_at TIMESTAMPTZ NOT NULL,
    samples INTEGER NOT NULL,
    cpu_percent_avg DOUBLE PRECISION,
    cpu_percent_max DOUBLE PRECISION,
    cpu_cores_avg DOUBLE PRECISION,
    cpu_cores_max DOUBLE PRECISION,
    memory_mb_avg DOUBLE PRECISION,
    memory_mb_max DOUBLE PRECISION,
    memory_percent_avg DOUBLE PRECISION,
    memory_percent_max DOUBLE PRECISION,
    disk_mb DOUBLE PRECISION,
    network_rx_bytes BIGINT,
    network_tx_bytes BIGINT,
    restart_count INTEGER,
    request_rate_avg DOUBLE PRECISION,
    request_rate_max DOUBLE PRECISION,
    response_time_ms_avg DOUBLE PRECISION, -- of the samples that had requests
    response_time_ms_max DOUBLE PRECISION,
    PRIMARY KEY (instance_id, bucket_at),
    FOREIGN KEY (instance_id, environment) REFERENCES container_instances (id, environment) ON DELETE CASCADE
) PARTITION BY RANGE (bucket_at);
CREATE TABLE container_metric_rollups_1h (
    instance_id UUID NOT NULL,
    environment TEXT NOT NULL,
    bucket_at TIMESTAMPTZ NOT NULL,
    samples INTEGER NOT NULL,
    cpu_percent_avg DOUBLE PRECISION,
    cpu_percent_max DOUBLE PRECISION,
    cpu_cores_avg DOUBLE PRECISION,
    cpu_cores_max DOUBLE PRECISION,
    memory_mb_avg DOUBLE PRECISION,
    memory_mb_max DOUBLE PRECISION,
    memory_percent_avg DOUBLE PRECISION,
    memory_percent_max DOUBLE PRECISION,
    disk_mb DOUBLE PRECISION,
    network_rx_bytes BIGINT,
    network_tx_bytes BIGINT,
    restart_count INTEGER,
    request_rate_avg DOUBLE PRECISION,
    request_rate_max DOUBLE PRECISION,
    response_time_ms_avg DOUBLE PRECISION,
    response_time_ms_max DOUBLE PRECISION,
    PRIMARY KEY (instance_id, bucket_at),
    FOREIGN KEY (instance_id, environment) REFERENCES container_instances (id, environment) ON DELETE CASCADE
) PARTITION BY RANGE (bucket_at);
CREATE INDEX container_metric_rollups_5m_bucket ON container_metric_rollups_5m (bucket_at);

-- Up to when the samples are rolled up, by resolution.
CREATE TABLE metric_watermarks (
    resolution TEXT PRIMARY KEY CHECK (resolution IN ('5m', '1h')),
    rolled_up_to TIMESTAMPTZ NOT NULL
);

-- Makes one partition where it is missing; for the functions below.
-- +goose StatementBegin
CREATE FUNCTION wedsync_make_metric_partition(parent TEXT, suffix TEXT, starts TIMESTAMP, ends TIMESTAMP) RETURNS INTEGER
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regclass('public.' || parent || '_' || suffix) IS NOT NULL THEN
        RETURN 0;
    END IF;
    -- Rows are only ever added: have them vacuumed soon, so that an index alone answers.
    EXECUTE format(
        'CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L) WITH (autovacuum_vacuum_insert_scale_factor = 0.05)',
        parent || '_' || suffix, parent, starts AT TIME ZONE 'UTC', ends AT TIME ZONE 'UTC');
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', parent || '_' || suffix);
    RETURN 1;
END
$$;

-- Makes the partitions of yesterday, for what comes late, of today and of the
-- following days, where they are missing. It runs with the rights of the owner,
-- since the daemon's role makes no tables.
CREATE OR REPLACE FUNCTION wedsync_make_metric_partitions(days INTEGER) RETURNS INTEGER
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today TIMESTAMP := date_trunc('day', now() AT TIME ZONE 'UTC');
    day TIMESTAMP;
    parent TEXT;
    made INTEGER := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('wedsync_make_metric_partitions'));
    FOR n IN -1 .. least(greatest(days, 0), 31) LOOP
        day := today + make_interval(days => n);
        FOREACH parent IN ARRAY ARRAY ['container_metric_samples', 'container_custom_metrics', 'container_metric_rollups_5m'] LOOP
            made := made + public.wedsync_make_metric_partition(parent, to_char(day, 'YYYYMMDD'), day, day + interval '1 day');
        END LOOP;
        day := date_trunc('month', day);
        made := made + public.wedsync_make_metric_partition('container_metric_rollups_1h', to_char(day, 'YYYYMM'), day, day + interval '1 month');
    END LOOP;
    RETURN made;
END
$$;

-- Drops the oldest partition that ends at or before the time given for its table, and
-- tells its name; null when there is none. One a call, so that locks are short.
-- Whoever calls it, the last 24 hours stay. It runs with the rights of the owner.
CREATE FUNCTION wedsync_drop_metric_partition(samples_before TIMESTAMPTZ, rollups_5m_before TIMESTAMPTZ, rollups_1h_before TIMESTAMPTZ)
    RETURNS TEXT LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    oldest TEXT;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('wedsync_make_metric_partitions'));
    SELECT c.relname INTO oldest
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
        LATERAL (SELECT substring(c.relname FROM '_([0-9]+)$') AS suffix) s,
        LATERAL (SELECT CASE length(s.suffix)
            WHEN 8 THEN (to_date(s.suffix, 'YYYYMMDD') + interval '1 day') AT TIME ZONE 'UTC'
            WHEN 6 THEN (to_date(s.suffix, 'YYYYMM') + interval '1 month') AT TIME ZONE 'UTC' END AS ends) e
    WHERE i.inhparent IN ('public.container_metric_samples'::regclass, 'public.container_custom_metrics'::regclass,
            'public.container_metric_rollups_5m'::regclass, 'public.container_metric_rollups_1h'::regclass)
        AND e.ends <= least(now() - interval '24 hours', CASE i.inhparent
            WHEN 'public.container_metric_rollups_5m'::regclass THEN rollups_5m_before
            WHEN 'public.container_metric_rollups_1h'::regclass THEN rollups_1h_before
            ELSE samples_before END)
    ORDER BY e.ends, c.relname LIMIT 1;
    IF oldest IS NOT NULL THEN
        EXECUTE format('DROP TABLE public.%I', oldest);
    END IF;
    RETURN oldest;
END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION wedsync_make_metric_partition(TEXT, TEXT, TIMESTAMP, TIMESTAMP),
    wedsync_drop_metric_partition(TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION wedsync_drop_metric_partition(TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ) TO wedsync_app;

-- What was posted before moves over. Forced row level security would hide it from
-- an owner that is no superuser.
SELECT wedsync_make_metric_partitions(14);
ALTER TABLE container_custom_metrics_before NO FORCE ROW LEVEL SECURITY;
SELECT wedsync_make_metric_partition('container_custom_metrics', to_char(d.day, 'YYYYMMDD'), d.day, d.day + interval '1 day')
FROM (SELECT DISTINCT date_trunc('day', collected_at AT TIME ZONE 'UTC') AS day FROM container_custom_metrics_before) d;
INSERT INTO container_custom_metrics (id, instance_id, environment, metric_type, metric_name, metric_value, metric_unit, labels, collected_at)
SELECT id, instance_id, environment, metric_type, metric_name, metric_value::float8, metric_unit, labels, collected_at
FROM container_custom_metrics_before WHERE metric_value BETWEEN -1e100 AND 1e100;
DROP TABLE container_custom_metrics_before;

-- +goose StatementBegin
DO $$
DECLARE
    t TEXT;
BEGIN
    FOREACH t IN ARRAY ARRAY ['container_custom_metrics', 'container_metric_rollups_5m', 'container_metric_rollups_1h', 'metric_watermarks'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
    END LOOP;
END
$$;
-- +goose StatementEnd
GRANT SELECT, INSERT ON container_custom_metrics TO wedsync_app;
GRANT SELECT, INSERT, UPDATE ON container_metric_rollups_5m, container_metric_rollups_1h, metric_watermarks TO wedsync_app;

CREATE POLICY container_custom_metrics_read ON container_custom_metrics FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_custom_metrics_insert ON container_custom_metrics FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

-- Roll-ups are made by the daemon alone.
CREATE POLICY container_metric_rollups_5m_read ON container_metric_rollups_5m FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_metric_rollups_5m_insert ON container_metric_rollups_5m FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_metric_rollups_5m_update ON container_metric_rollups_5m FOR UPDATE
    USING ((SELECT wedsync_is('system_admin'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_metric_rollups_1h_read ON container_metric_rollups_1h FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_metric_rollups_1h_insert ON container_metric_rollups_1h FOR INSERT
    WITH CHECK ((SELECT wedsync_is('system_admin'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));
CREATE POLICY container_metric_rollups_1h_update ON container_metric_rollups_1h FOR UPDATE
    USING ((SELECT wedsync_is('system_admin'))
        AND ((SELECT wedsync_everywhere()) OR environment = ANY ((SELECT wedsync_environments())::text[])));

CREATE POLICY metric_watermarks_read ON metric_watermarks FOR SELECT
    USING ((SELECT wedsync_is('system_admin', 'devops_engineer', 'developer', 'monitoring_system')));
CREATE POLICY metric_watermarks_insert ON metric_watermarks FOR INSERT WITH CHECK ((SELECT wedsync_is('system_admin')));
CREATE POLICY metric_watermarks_update ON metric_watermarks FOR UPDATE USING ((SELECT wedsync_is('system_admin')));
