-- The specification's container_metrics, over samples of every kind and what was posted.

-- +goose Up

-- security_invoker: the policies of the tables below decide, for whoever reads the view.
CREATE VIEW container_metrics WITH (security_invoker = true) AS
SELECT md5(s.instance_id::text || m.metric_name || extract(epoch FROM s.collected_at)::text)::uuid AS id,
       s.instance_id, m.metric_type, m.metric_name, m.metric_value, m.metric_unit,
       '{}'::jsonb AS labels, s.collected_at
FROM container_metric_samples s
CROSS JOIN LATERAL (VALUES
    ('cpu', 'cpu_percent', s.cpu_percent::numeric, '%'),
    ('cpu', 'cpu_cores', s.cpu_cores::numeric, 'cores'),
    ('memory', 'memory_mb', s.memory_mb::numeric, 'mb'),
    ('memory', 'memory_percent', s.memory_percent::numeric, '%'),
    ('disk', 'disk_mb', s.disk_mb::numeric, 'mb'),
    ('network', 'network_rx_bytes', s.network_rx_bytes::numeric, 'bytes'),
    ('network', 'network_tx_bytes', s.network_tx_bytes::numeric, 'bytes'),
    ('custom', 'restart_count', s.restart_count::numeric, 'restarts'),
    ('custom', 'request_rate', s.request_rate::numeric, 'requests/sec'),
    ('custom', 'response_time', s.response_time_ms::numeric, 'ms')
) AS m (metric_type, metric_name, metric_value, metric_unit)
WHERE m.metric_value IS NOT NULL
UNION ALL
SELECT c.id, c.instance_id, c.metric_type, c.metric_name, c.metric_value::numeric, c.metric_unit, c.labels, c.collected_at
FROM container_custom_metrics c;
GRANT SELECT, INSERT ON container_metrics TO wedsync_app;

-- What is inserted there is a posted metric of the instance's environment, as before.
CREATE TRIGGER container_metrics_insert INSTEAD OF INSERT ON container_metrics
    FOR EACH ROW EXECUTE FUNCTION wedsync_insert_container_metric();
