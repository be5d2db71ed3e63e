-- The specification's container_metrics, over samples and custom metrics.

-- +goose Up

-- security_invoker: the policies of the tables below decide, for whoever reads the view.
CREATE VIEW container_metrics WITH (security_invoker = true) AS
SELECT md5(s.instance_id::text || m.metric_name || extract(epoch FROM s.collected_at)::text)::uuid AS id,
       s.instance_id, m.metric_type, m.metric_name, m.metric_value, m.metric_unit,
       '{}'::jsonb AS labels, s.collected_at
FROM container_metric_samples s
CROSS JOIN LATERAL (VALUES
    ('cpu', 'cpu_percent', s.cpu_percent::numeric, '%'),
    ('memory', 'memory_mb', s.memory_mb::numeric, 'mb'),
    ('disk', 'disk_mb', s.disk_mb::numeric, 'mb'),
    ('network', 'network_rx_bytes', s.network_rx_bytes::numeric, 'bytes'),
    ('network', 'network_tx_bytes', s.network_tx_bytes::numeric, 'bytes')
) AS m (metric_type, metric_name, metric_value, metric_unit)
WHERE m.metric_value IS NOT NULL
UNION ALL
SELECT c.id, c.instance_id, c.metric_type, c.metric_name, c.metric_value, c.metric_unit, c.labels, c.collected_at
FROM container_custom_metrics c;

-- What is inserted into container_metrics is a custom metric of the instance's environment.
-- +goose StatementBegin
CREATE FUNCTION wedsync_insert_container_metric() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.id := coalesce(NEW.id, gen_random_uuid());
    NEW.collected_at := coalesce(NEW.collected_at, now());
    NEW.labels := coalesce(NEW.labels, '{}');
    INSERT INTO container_custom_metrics
        (id, instance_id, environment, metric_type, metric_name, metric_value, metric_unit, labels, collected_at)
    SELECT NEW.id, i.id, i.environment, coalesce(NEW.metric_type, 'custom'), NEW.metric_name, NEW.metric_value,
           NEW.metric_unit, NEW.labels, NEW.collected_at
    FROM container_instances i WHERE i.id = NEW.instance_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'instance % does not exist', NEW.instance_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER container_metrics_insert INSTEAD OF INSERT ON container_metrics
    FOR EACH ROW EXECUTE FUNCTION wedsync_insert_container_metric();
