-- MetricTargets are the running instances, with the limits in force.
-- name: MetricTargets :many
SELECT i.id, i.environment, def.name AS definition_name, def.service_name, i.container_id::text AS container_id, i.health_status, i.restart_count,
    coalesce(i.resource_limits ->> 'cpu', d.config_snapshot -> 'resource_limits' ->> 'cpu', '')::text AS cpu_limit,
    coalesce(i.resource_limits ->> 'memory', d.config_snapshot -> 'resource_limits' ->> 'memory', '')::text AS memory_limit
FROM container_instances i JOIN container_definitions def ON def.id = i.definition_id LEFT JOIN deployment_history d ON d.id = i.deployment_id
WHERE i.current_status = 'running' AND i.container_id IS NOT NULL
ORDER BY i.id;

-- RecordUsage passes by rows that somebody else is writing; their turn comes again.
-- name: RecordUsage :many
WITH mine AS (
    SELECT c.id, jsonb_build_object('cpu_percent', n.cpu, 'memory_mb', n.memory, 'disk_mb', n.disk) AS usage
    FROM (SELECT unnest(sqlc.arg('ids')::uuid[]) AS id, unnest(sqlc.arg('cpu')::float8[]) AS cpu,
        unnest(sqlc.arg('memory')::float8[]) AS memory, unnest(sqlc.arg('disk')::float8[]) AS disk) n
        JOIN container_instances c ON c.id = n.id
    WHERE c.current_status = 'running'
    ORDER BY c.id FOR NO KEY UPDATE OF c SKIP LOCKED
), written AS (
    UPDATE container_instances i SET resource_usage = m.usage FROM mine m WHERE i.id = m.id AND i.resource_usage IS DISTINCT FROM m.usage
)
SELECT m.id FROM mine m;

-- PostMetrics stores nothing of an instance that is terminated.
-- name: PostMetrics :execrows
INSERT INTO container_custom_metrics (instance_id, environment, metric_type, metric_name, metric_value, metric_unit, labels, collected_at)
SELECT i.id, i.environment, u.metric_type, u.metric_name, u.metric_value, nullif(u.metric_unit, ''), u.labels, u.collected_at
FROM container_instances i,
    (SELECT unnest(sqlc.arg('types')::text[]) AS metric_type, unnest(sqlc.arg('names')::text[]) AS metric_name,
        unnest(sqlc.arg('vals')::float8[]) AS metric_value, unnest(sqlc.arg('units')::text[]) AS metric_unit,
        unnest(sqlc.arg('labels')::jsonb[]) AS labels, unnest(sqlc.arg('times')::timestamptz[]) AS collected_at) u
WHERE i.id = sqlc.arg('instance_id') AND i.current_status <> 'terminated';

-- name: InstanceEnvironment :one
SELECT environment FROM container_instances WHERE id = $1;

-- MetricSources tells from when on there may be samples and roll-ups to five minutes,
-- by their partitions, and up to when roll-ups are made.
-- name: MetricSources :one
SELECT
    coalesce((SELECT min(to_date(substring(c.relname FROM '[0-9]+$'), 'YYYYMMDD')::timestamp) FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.container_metric_samples'::regclass) AT TIME ZONE 'UTC', now())::timestamptz AS samples_since,
    coalesce((SELECT min(to_date(substring(c.relname FROM '[0-9]+$'), 'YYYYMMDD')::timestamp) FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'public.container_metric_rollups_5m'::regclass) AT TIME ZONE 'UTC', now())::timestamptz AS rollups_5m_since,
    coalesce((SELECT rolled_up_to FROM metric_watermarks WHERE resolution = '5m'), 'epoch')::timestamptz AS rolled_up_5m,
    coalesce((SELECT rolled_up_to FROM metric_watermarks WHERE resolution = '1h'), 'epoch')::timestamptz AS rolled_up_1h;

-- FirstSample is when the oldest sample was taken; now when there is none.
-- name: FirstSample :one
SELECT coalesce(min(collected_at), now())::timestamptz AS first FROM container_metric_samples;

-- name: SetWatermark :exec
INSERT INTO metric_watermarks (resolution, rolled_up_to) VALUES ($1, $2)
ON CONFLICT (resolution) DO UPDATE SET rolled_up_to = excluded.rolled_up_to;

-- RollUp5m makes the buckets from one time to another anew. The response time counts by
-- the requests; the last value of what can fall is that of the latest time.
-- name: RollUp5m :execrows
INSERT INTO container_metric_rollups_5m (instance_id, environment, bucket_at, samples, cpu_percent_avg, cpu_percent_max, cpu_cores_avg, cpu_cores_max,
    memory_mb_avg, memory_mb_max, memory_percent_avg, memory_percent_max, disk_mb, network_rx_bytes, network_tx_bytes, restart_count,
    request_rate_avg, request_rate_max, response_time_ms_avg, response_time_ms_max)
SELECT instance_id, environment, date_bin('5 minutes', collected_at, 'epoch') AS bucket_at, count(*),
    avg(cpu_percent), max(cpu_percent), avg(cpu_cores), max(cpu_cores), avg(memory_mb), max(memory_mb), avg(memory_percent), max(memory_percent),
    (max(ARRAY[date_part('epoch', collected_at), disk_mb]) FILTER (WHERE disk_mb IS NOT NULL))[2],
    (max(ARRAY[date_part('epoch', collected_at), network_rx_bytes]) FILTER (WHERE network_rx_bytes IS NOT NULL))[2]::bigint,
    (max(ARRAY[date_part('epoch', collected_at), network_tx_bytes]) FILTER (WHERE network_tx_bytes IS NOT NULL))[2]::bigint,
    max(restart_count), avg(request_rate), max(request_rate),
    coalesce(sum(response_time_ms::float8 * request_rate) / nullif(sum(request_rate::float8) FILTER (WHERE response_time_ms IS NOT NULL), 0),
        avg(response_time_ms)), max(response_time_ms)
FROM container_metric_samples
WHERE collected_at >= sqlc.arg('from_at')::timestamptz AND collected_at < sqlc.arg('to_at')::timestamptz
GROUP BY instance_id, environment, bucket_at
ON CONFLICT (instance_id, bucket_at) DO UPDATE SET
    samples = excluded.samples, cpu_percent_avg = excluded.cpu_percent_avg, cpu_percent_max = excluded.cpu_percent_max,
    cpu_cores_avg = excluded.cpu_cores_avg, cpu_cores_max = excluded.cpu_cores_max, memory_mb_avg = excluded.memory_mb_avg,
    memory_mb_max = excluded.memory_mb_max, memory_percent_avg = excluded.memory_percent_avg, memory_percent_max = excluded.memory_percent_max,
    disk_mb = excluded.disk_mb, network_rx_bytes = excluded.network_rx_bytes, network_tx_bytes = excluded.network_tx_bytes,
    restart_count = excluded.restart_count, request_rate_avg = excluded.request_rate_avg, request_rate_max = excluded.request_rate_max,
    response_time_ms_avg = excluded.response_time_ms_avg, response_time_ms_max = excluded.response_time_ms_max;

-- RollUp1h does so from those of five minutes: means count by their samples, those of
-- response times by the requests.
-- name: RollUp1h :execrows
INSERT INTO container_metric_rollups_1h (instance_id, environment, bucket_at, samples, cpu_percent_avg, cpu_percent_max, cpu_cores_avg, cpu_cores_max,
    memory_mb_avg, memory_mb_max, memory_percent_avg, memory_percent_max, disk_mb, network_rx_bytes, network_tx_bytes, restart_count,
    request_rate_avg, request_rate_max, response_time_ms_avg, response_time_ms_max)
SELECT r.instance_id, r.environment, date_bin('1 hour', r.bucket_at, 'epoch') AS hour_at, sum(r.samples)::int,
    sum(r.cpu_percent_avg * r.samples) / sum(r.samples) FILTER (WHERE r.cpu_percent_avg IS NOT NULL), max(r.cpu_percent_max),
    sum(r.cpu_cores_avg * r.samples) / sum(r.samples) FILTER (WHERE r.cpu_cores_avg IS NOT NULL), max(r.cpu_cores_max),
    sum(r.memory_mb_avg * r.samples) / sum(r.samples) FILTER (WHERE r.memory_mb_avg IS NOT NULL), max(r.memory_mb_max),
    sum(r.memory_percent_avg * r.samples) / sum(r.samples) FILTER (WHERE r.memory_percent_avg IS NOT NULL), max(r.memory_percent_max),
    (max(ARRAY[date_part('epoch', r.bucket_at), r.disk_mb]) FILTER (WHERE r.disk_mb IS NOT NULL))[2],
    (max(ARRAY[date_part('epoch', r.bucket_at), r.network_rx_bytes]) FILTER (WHERE r.network_rx_bytes IS NOT NULL))[2]::bigint,
    (max(ARRAY[date_part('epoch', r.bucket_at), r.network_tx_bytes]) FILTER (WHERE r.network_tx_bytes IS NOT NULL))[2]::bigint,
    max(r.restart_count),
    sum(r.request_rate_avg * r.samples) / sum(r.samples) FILTER (WHERE r.request_rate_avg IS NOT NULL), max(r.request_rate_max),
    coalesce(sum(r.response_time_ms_avg * r.request_rate_avg * r.samples)
            / nullif(sum(r.request_rate_avg * r.samples) FILTER (WHERE r.response_time_ms_avg IS NOT NULL), 0),
        sum(r.response_time_ms_avg * r.samples) / sum(r.samples) FILTER (WHERE r.response_time_ms_avg IS NOT NULL)),
    max(r.response_time_ms_max)
FROM container_metric_rollups_5m r
WHERE r.bucket_at >= sqlc.arg('from_at')::timestamptz AND r.bucket_at < sqlc.arg('to_at')::timestamptz
GROUP BY r.instance_id, r.environment, hour_at
ON CONFLICT (instance_id, bucket_at) DO UPDATE SET
    samples = excluded.samples, cpu_percent_avg = excluded.cpu_percent_avg, cpu_percent_max = excluded.cpu_percent_max,
    cpu_cores_avg = excluded.cpu_cores_avg, cpu_cores_max = excluded.cpu_cores_max, memory_mb_avg = excluded.memory_mb_avg,
    memory_mb_max = excluded.memory_mb_max, memory_percent_avg = excluded.memory_percent_avg, memory_percent_max = excluded.memory_percent_max,
    disk_mb = excluded.disk_mb, network_rx_bytes = excluded.network_rx_bytes, network_tx_bytes = excluded.network_tx_bytes,
    restart_count = excluded.restart_count, request_rate_avg = excluded.request_rate_avg, request_rate_max = excluded.request_rate_max,
    response_time_ms_avg = excluded.response_time_ms_avg, response_time_ms_max = excluded.response_time_ms_max;

-- UsageHistory is what any one instance of a workload used at most, by five minutes:
-- from roll-ups, and from the samples that are not rolled up yet. NaN is what was not
-- measured; what a clock that was ahead has measured in the future is left out.
-- name: UsageHistory :many
WITH mine AS (
    SELECT i.id FROM container_instances i
    WHERE i.definition_id = sqlc.arg('definition_id')::uuid AND i.environment = sqlc.arg('environment')::text
        AND (i.current_status <> 'terminated' OR i.updated_at >= sqlc.arg('since')::timestamptz)
), mark AS (
    SELECT coalesce((SELECT rolled_up_to FROM metric_watermarks WHERE resolution = '5m'), '-infinity'::timestamptz) AS at
), each_instance AS (
    SELECT r.bucket_at AS at, r.cpu_cores_avg AS cpu_cores, r.memory_mb_max AS memory_mb
    FROM container_metric_rollups_5m r
    WHERE r.instance_id IN (SELECT id FROM mine) AND r.bucket_at >= sqlc.arg('since')::timestamptz AND r.bucket_at < (SELECT at FROM mark)
    UNION ALL
    SELECT date_bin('5 minutes', s.collected_at, 'epoch') AS at, avg(s.cpu_cores), max(s.memory_mb)
    FROM container_metric_samples s
    WHERE s.instance_id IN (SELECT id FROM mine) AND s.collected_at >= greatest(sqlc.arg('since')::timestamptz, (SELECT at FROM mark))
    GROUP BY s.instance_id, 1
)
SELECT e.at::timestamptz AS at, coalesce(max(e.cpu_cores), 'NaN')::float8 AS cpu_cores, coalesce(max(e.memory_mb), 'NaN')::float8 AS memory_mb
FROM each_instance e WHERE e.at <= now() GROUP BY e.at ORDER BY e.at;

-- MeasuredReadings are means, NaN for what no sample has. Samples of a clock that was
-- ahead count when their time has come, and not before.
-- name: MeasuredReadings :many
SELECT instance_id, coalesce(avg(cpu_percent), 'NaN')::float8 AS cpu, coalesce(avg(memory_percent), 'NaN')::float8 AS memory,
    coalesce(avg(request_rate), 'NaN')::float8 AS request_rate,
    coalesce(sum(response_time_ms::float8 * request_rate) / nullif(sum(request_rate::float8) FILTER (WHERE response_time_ms IS NOT NULL), 0),
        avg(response_time_ms), 'NaN')::float8 AS response_time
FROM container_metric_samples
WHERE instance_id = ANY (sqlc.arg('ids')::uuid[]) AND collected_at BETWEEN sqlc.arg('since')::timestamptz AND sqlc.arg('until')::timestamptz
GROUP BY instance_id;

-- PostedReadings are the newest values; of several with labels of their own the mean.
-- Of types that share a name, the one that was posted last comes last.
-- name: PostedReadings :many
SELECT n.instance_id, n.metric_type, n.metric_name, avg(n.metric_value)::float8 AS value
FROM (
    SELECT DISTINCT ON (c.instance_id, c.metric_name, c.metric_type, c.labels) c.instance_id, c.metric_type, c.metric_name, c.metric_value, c.collected_at
    FROM container_custom_metrics c
    WHERE c.instance_id = ANY (sqlc.arg('ids')::uuid[]) AND c.collected_at BETWEEN sqlc.arg('since')::timestamptz AND sqlc.arg('until')::timestamptz
        AND c.metric_name = ANY (sqlc.arg('names')::text[])
    ORDER BY c.instance_id, c.metric_name, c.metric_type, c.labels, c.collected_at DESC
) n
GROUP BY n.instance_id, n.metric_type, n.metric_name
ORDER BY n.instance_id, n.metric_name, max(n.collected_at), n.metric_type;

-- WorkloadCounts are the replicas that each workload wants and has.
-- name: WorkloadCounts :many
SELECT w.environment, def.name AS definition_name, def.service_name,
    (CASE WHEN d.is_removal THEN 0 ELSE d.instances_after END)::int AS wanted,
    (SELECT count(*) FROM container_instances i WHERE i.definition_id = w.definition_id AND i.environment = w.environment
        AND i.current_status = 'running')::int AS running,
    (SELECT count(*) FROM container_instances i WHERE i.definition_id = w.definition_id AND i.environment = w.environment
        AND i.current_status = 'running' AND i.health_status = 'healthy')::int AS healthy
FROM workloads w JOIN container_definitions def ON def.id = w.definition_id JOIN deployment_history d ON d.id = w.target_deployment_id
WHERE NOT d.is_removal OR EXISTS (SELECT FROM container_instances i WHERE i.definition_id = w.definition_id AND i.environment = w.environment
    AND i.current_status = 'running')
ORDER BY w.environment, def.name;
