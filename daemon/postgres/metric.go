package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// samplesAtOnce bounds the rows of one statement.
const samplesAtOnce = 5000

// recordSamples takes columns: under row level security COPY is refused, and this is
// the next best. Unnested in FROM, the rows would be put down once more on their way.
const recordSamples = `
INSERT INTO container_metric_samples (instance_id, environment, collected_at, cpu_percent, cpu_cores, memory_mb, memory_percent, disk_mb,
    network_rx_bytes, network_tx_bytes, restart_count, request_rate, response_time_ms)
SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::timestamptz[]), unnest($4::float8[]), unnest($5::float8[]), unnest($6::float8[]),
    unnest($7::float8[]), unnest($8::float8[]), unnest($9::bigint[]), unnest($10::bigint[]), unnest($11::integer[]), unnest($12::float8[]), unnest($13::float8[])`

// MetricTargets implements metrics.Store.
func (s *Store) MetricTargets(ctx context.Context) ([]fleet.MetricTarget, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.MetricTargets(ctx)
	return convertAll(rows, metricTarget), translate("list instances to measure", err)
}

func metricTarget(r dbsqlc.MetricTargetsRow) fleet.MetricTarget {
	limits := fleet.Resources{CPU: r.CpuLimit, Memory: r.MemoryLimit}
	return fleet.MetricTarget{
		InstanceID: r.ID, Environment: r.Environment, DefinitionName: r.DefinitionName, ServiceName: r.ServiceName,
		ContainerID: r.ContainerID, Health: r.HealthStatus, Restarts: r.RestartCount,
		CPULimit: float64(limits.NanoCPUs()) / 1e9, MemoryLimit: limits.MemoryBytes(),
	}
}

// WorkloadCounts implements metrics.Store.
func (s *Store) WorkloadCounts(ctx context.Context) ([]fleet.WorkloadCount, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.WorkloadCounts(ctx)
	return convertAll(rows, func(r dbsqlc.WorkloadCountsRow) fleet.WorkloadCount { return fleet.WorkloadCount(r) }), translate("count replicas", err)
}

// RecordSamples implements metrics.Store: all or none.
func (s *Store) RecordSamples(ctx context.Context, samples []fleet.Sample) error {
	if len(samples) == 0 {
		return nil
	}
	return s.write(ctx, "record samples", func(t *transaction) error {
		for part := range slices.Chunk(samples, samplesAtOnce) {
			if _, err := t.tx.Exec(ctx, recordSamples, sampleColumns(part)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// sampleColumns are the arguments of recordSamples.
func sampleColumns(samples []fleet.Sample) []any {
	return []any{
		columnOf(samples, func(s *fleet.Sample) string { return s.InstanceID }),
		columnOf(samples, func(s *fleet.Sample) string { return s.Environment }),
		columnOf(samples, func(s *fleet.Sample) time.Time { return s.At }),
		columnOf(samples, func(s *fleet.Sample) *float64 { return s.CPUPercent }),
		columnOf(samples, func(s *fleet.Sample) *float64 { return s.CPUCores }),
		columnOf(samples, func(s *fleet.Sample) *float64 { return s.MemoryMB }),
		columnOf(samples, func(s *fleet.Sample) *float64 { return s.MemoryPercent }),
		columnOf(samples, func(s *fleet.Sample) *float64 { return s.DiskMB }),
		columnOf(samples, func(s *fleet.Sample) *int64 { return s.NetworkRx }),
		columnOf(samples, func(s *fleet.Sample) *int64 { return s.NetworkTx }),
		columnOf(samples, func(s *fleet.Sample) *int { return s.Restarts }),
		columnOf(samples, func(s *fleet.Sample) *float64 { return s.RequestRate }),
		columnOf(samples, func(s *fleet.Sample) *float64 { return s.ResponseTime }),
	}
}

func columnOf[T any](samples []fleet.Sample, of func(*fleet.Sample) T) []T {
	column := make([]T, len(samples))
	for k := range samples {
		column[k] = of(&samples[k])
	}
	return column
}

// RecordUsage implements metrics.Store.
func (s *Store) RecordUsage(ctx context.Context, usage map[string]fleet.Usage) (written []string, err error) {
	if len(usage) == 0 {
		return nil, nil
	}
	var rows dbsqlc.RecordUsageParams
	for id, u := range usage {
		rows.Ids = append(rows.Ids, id)
		rows.Cpu = append(rows.Cpu, u.CPUPercent)
		rows.Memory = append(rows.Memory, u.MemoryMB)
		rows.Disk = append(rows.Disk, u.DiskMB)
	}
	err = s.write(ctx, "record usage", func(t *transaction) (err error) {
		written, err = t.RecordUsage(ctx, rows)
		return err
	})
	return written, err
}

// PostMetrics implements httpapi.Store; ErrConflict when the instance is terminated.
func (s *Store) PostMetrics(ctx context.Context, instanceID string, metrics []fleet.PostedMetric) error {
	rows := dbsqlc.PostMetricsParams{InstanceID: instanceID}
	for _, m := range metrics {
		labels := m.Labels
		if labels == nil {
			labels = map[string]string{}
		}
		encoded, err := json.Marshal(labels)
		if err != nil {
			return fmt.Errorf("encode labels: %w", err)
		}
		rows.Types = append(rows.Types, m.Type)
		rows.Names = append(rows.Names, m.Name)
		rows.Vals = append(rows.Vals, m.Value)
		rows.Units = append(rows.Units, m.Unit)
		rows.Labels = append(rows.Labels, encoded)
		rows.Times = append(rows.Times, m.At)
	}
	_, _, err := s.mutate(ctx, "post metrics", func(t *transaction) (string, error) {
		n, err := t.PostMetrics(ctx, rows)
		if err == nil && n == 0 {
			err = t.unmeasurable(ctx, instanceID)
		}
		return instanceID, err
	})
	return err
}

// unmeasurable is why nothing was stored of an instance.
func (t *transaction) unmeasurable(ctx context.Context, instanceID string) error {
	if _, err := t.InstanceEnvironment(ctx, instanceID); err != nil {
		return missing("instance", instanceID, err)
	}
	return fleet.Errorf(fleet.ErrConflict, "instance %s is terminated; post metrics of one that is there", instanceID)
}

// Readings are the instances' metrics lately: means of what was measured, and the
// newest of what was posted; those without a fresh sample are missing, and so are those
// of a time to come. A cpu_percent of type cpu, or memory_percent of type memory, that
// was posted stands in for what was measured: whoever posts it means it. Custom ones
// are found by their name, whatever their type: of several the one that was posted last.
func (s *Store) Readings(ctx context.Context, now time.Time, fresh fleet.Freshness, instanceIDs []string, keys []fleet.MetricKey) (map[string]map[fleet.MetricKey]float64, error) {
	readings := make(map[string]map[fleet.MetricKey]float64, len(instanceIDs))
	if len(instanceIDs) == 0 || len(keys) == 0 {
		return readings, nil
	}
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	set := func(id string, key fleet.MetricKey, value float64) {
		if math.IsNaN(value) || !slices.Contains(keys, key) {
			return
		}
		if readings[id] == nil {
			readings[id] = make(map[fleet.MetricKey]float64, len(keys))
		}
		readings[id][key] = value
	}
	measured, err := q.MeasuredReadings(ctx, dbsqlc.MeasuredReadingsParams{Ids: instanceIDs, Since: now.Add(-fresh.Samples), Until: now})
	if err != nil {
		return nil, translate("read metrics", err)
	}
	for _, r := range measured {
		for metric, value := range measuredValues(r.Cpu, r.Memory, r.RequestRate, r.ResponseTime) {
			set(r.InstanceID, metric, value)
		}
	}
	posted, err := q.PostedReadings(ctx, dbsqlc.PostedReadingsParams{
		Ids: instanceIDs, Since: now.Add(-fresh.Posted), Until: now.Add(fleet.MaxMetricLead), Names: postedNames(keys),
	})
	for _, r := range posted {
		for _, key := range postedKeys(r.MetricType, r.MetricName) {
			set(r.InstanceID, key, r.Value)
		}
	}
	return readings, translate("read posted metrics", err)
}

// measuredValues are a row of means by their keys.
func measuredValues(cpu, memory, requestRate, responseTime float64) map[fleet.MetricKey]float64 {
	return map[fleet.MetricKey]float64{
		{Metric: grammar.MetricCPU}: cpu, {Metric: grammar.MetricMemory}: memory,
		{Metric: grammar.MetricRequestRate}: requestRate, {Metric: grammar.MetricResponseTime}: responseTime,
	}
}

// postedKeys are the keys that a posted metric is found by.
func postedKeys(kind, name string) []fleet.MetricKey {
	keys := []fleet.MetricKey{{Metric: grammar.MetricCustom, Name: name}}
	switch {
	case kind == fleet.MetricTypeCPU && name == fleet.MetricNameCPUPercent:
		keys = append(keys, fleet.MetricKey{Metric: grammar.MetricCPU})
	case kind == fleet.MetricTypeMemory && name == fleet.MetricNameMemoryPercent:
		keys = append(keys, fleet.MetricKey{Metric: grammar.MetricMemory})
	}
	return keys
}

// postedNames are the names of the posted metrics that have a say in the keys.
func postedNames(keys []fleet.MetricKey) []string {
	var names []string
	for _, k := range keys {
		switch k.Metric {
		case grammar.MetricCPU:
			names = append(names, fleet.MetricNameCPUPercent)
		case grammar.MetricMemory:
			names = append(names, fleet.MetricNameMemoryPercent)
		case grammar.MetricCustom:
			names = append(names, k.Name)
		}
	}
	return names
}

// UsageHistory is what any one instance of the workload used at most, by five
// minutes, oldest first: its mean of processors, and its highest memory; NaN for what
// was not measured.
func (s *Store) UsageHistory(ctx context.Context, w fleet.Workload, since time.Time) ([]fleet.UsageBucket, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.UsageHistory(ctx, dbsqlc.UsageHistoryParams{DefinitionID: w.DefinitionID, Environment: w.Environment, Since: since})
	return convertAll(rows, func(r dbsqlc.UsageHistoryRow) fleet.UsageBucket {
		return fleet.UsageBucket{At: r.At, CPUCores: r.CpuCores, MemoryMB: r.MemoryMb}
	}), translate("read usage", err)
}
