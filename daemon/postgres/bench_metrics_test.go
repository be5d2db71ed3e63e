package postgres_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// metricInstances is how many instances there are, and metricsEvery is the time
	// between two samples of one, which is the default.
	metricInstances = 1000
	metricsEvery    = 30 * time.Second
	// metricBatch is the number of rows of one write.
	metricBatch = 5000
)

// seedFleet makes instances that run, in staging.
func seedFleet(b *testing.B, conn *pgx.Conn, definition string, n int) []string {
	b.Helper()
	exec(b, conn, `INSERT INTO container_instances (definition_id, environment, instance_name, container_id, current_status)
		SELECT $1, 'staging', 'api-' || n, 'c' || n, 'running' FROM generate_series(1, $2) n`, definition, n)
	rows, err := conn.Query(b.Context(), `SELECT id::text FROM container_instances ORDER BY id`)
	if err != nil {
		b.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		b.Fatal(err)
	}
	return ids
}

func fullSample(id string, at time.Time) fleet.Sample {
	return fleet.Sample{
		InstanceID: id, Environment: "staging", At: at, CPUPercent: new(rand.Float64() * 100), CPUCores: new(rand.Float64()), MemoryMB: new(rand.Float64() * 512),
		MemoryPercent: new(rand.Float64() * 100), DiskMB: new(3.5), NetworkRx: new(rand.Int64N(1 << 40)), NetworkTx: new(rand.Int64N(1 << 40)), Restarts: new(1),
		RequestRate: new(rand.Float64() * 100), ResponseTime: new(rand.Float64() * 20),
	}
}

// BenchmarkMetricsIngest writes samples in batches of 5,000 as the collector does,
// under row level security, and copies as many into the same table as the owner,
// whom it does not bind, in turn. ratio is the speed of the first as a share of that
// of the second.
func BenchmarkMetricsIngest(b *testing.B) {
	s, db := open(b)
	conn := connect(b, db.OwnerURL)
	ids := seedFleet(b, conn, createDefinition(b, s, "api").ID, metricBatch)
	columns := []string{"instance_id", "environment", "collected_at", "cpu_percent", "cpu_cores", "memory_mb", "memory_percent", "disk_mb",
		"network_rx_bytes", "network_tx_bytes", "restart_count", "request_rate", "response_time_ms"}
	at := time.Now().UTC().Truncate(24 * time.Hour)
	batch := func() []fleet.Sample {
		at = at.Add(time.Second)
		samples := make([]fleet.Sample, len(ids))
		for k, id := range ids {
			samples[k] = fullSample(id, at)
		}
		return samples
	}
	ours := func() time.Duration {
		samples := batch()
		start := time.Now()
		if err := s.RecordSamples(system(b), samples); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	uuids := make(map[string][16]byte, len(ids))
	raw := func() time.Duration {
		samples := batch()
		start := time.Now()
		_, err := conn.CopyFrom(b.Context(), pgx.Identifier{"container_metric_samples"}, columns, pgx.CopyFromSlice(len(samples), func(k int) ([]any, error) {
			r := samples[k]
			return []any{uuids[r.InstanceID], r.Environment, r.At, r.CPUPercent, r.CPUCores, r.MemoryMB, r.MemoryPercent, r.DiskMB,
				r.NetworkRx, r.NetworkTx, r.Restarts, r.RequestRate, r.ResponseTime}, nil
		}))
		if err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	for _, id := range ids {
		uuids[id] = uuid.MustParse(id) // as it is sent
	}
	ours()
	raw()
	var mine, theirs []time.Duration
	for b.Loop() {
		for range 20 {
			mine, theirs = append(mine, ours()), append(theirs, raw())
		}
	}
	slices.Sort(mine)
	slices.Sort(theirs)
	m, t := mine[len(mine)/2], theirs[len(theirs)/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(m.Microseconds())/1000, "ours-ms/batch")
	b.ReportMetric(float64(t.Microseconds())/1000, "copy-ms/batch")
	b.ReportMetric(t.Seconds()/m.Seconds(), "ratio")
}

// seedSamples writes 24 hours of samples of all instances, ending at a time.
func seedSamples(b *testing.B, conn *pgx.Conn, end time.Time) {
	b.Helper()
	exec(b, conn, `SET session_replication_role = replica`) // no look-ups of instances that are there
	exec(b, conn, `INSERT INTO container_metric_samples (instance_id, environment, collected_at, cpu_percent, cpu_cores, memory_mb, memory_percent, disk_mb,
			network_rx_bytes, network_tx_bytes, restart_count, request_rate, response_time_ms)
		SELECT i.id, i.environment, t, random() * 100, random(), random() * 512, random() * 100, 3.5, n, n * 2, 0, random() * 50, random() * 20
		FROM generate_series($1::timestamptz, $2::timestamptz, make_interval(secs => $3)) WITH ORDINALITY AS g (t, n), container_instances i`,
		end.Add(-24*time.Hour), end.Add(-metricsEvery), metricsEvery.Seconds())
	exec(b, conn, `SET session_replication_role = DEFAULT`)
}

// BenchmarkMetricsDay reads 24 hours of one instance in buckets of a minute, as a
// developer who may see its environment, with 24 hours of 1,000 instances stored.
func BenchmarkMetricsDay(b *testing.B) {
	s, db := open(b)
	conn := connect(b, db.OwnerURL)
	ids := seedFleet(b, conn, createDefinition(b, s, "api").ID, metricInstances)
	end := time.Now().UTC().Truncate(time.Minute)
	seedSamples(b, conn, end)
	vacuum(b, conn)             // as autovacuum does, after a twentieth of this
	exec(b, conn, `CHECKPOINT`) // so that the seeding is over
	ctx := as(b, s, developer, "staging")
	read := func() time.Duration {
		start := time.Now()
		m, err := s.Metrics(ctx, fleet.MetricRange{InstanceID: ids[rand.N(len(ids))], From: end.Add(-24 * time.Hour), To: end, Step: time.Minute})
		took := time.Since(start)
		if err != nil || len(m.Points) != 24*60 {
			b.Fatalf("%d points, %v", len(m.Points), err)
		}
		return took
	}
	read()
	var times []time.Duration
	for b.Loop() {
		for range 300 {
			times = append(times, read())
		}
	}
	slices.Sort(times)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "p95-ms")
}

// vacuum vacuums the samples until all are known to be visible to everybody: one that
// goes on beside an analysis of autovacuum's leaves them as they are.
func vacuum(b *testing.B, conn *pgx.Conn) {
	b.Helper()
	for began := time.Now(); ; {
		exec(b, conn, `VACUUM ANALYZE container_metric_samples`)
		var hidden int
		err := conn.QueryRow(b.Context(), `SELECT coalesce(sum(c.relpages - c.relallvisible), 0) FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
			WHERE h.inhparent = 'container_metric_samples'::regclass`).Scan(&hidden)
		switch {
		case err != nil:
			b.Fatal(err)
		case hidden == 0:
			return
		case time.Since(began) > time.Minute:
			b.Fatalf("%d pages are not known to be visible to everybody", hidden)
		}
	}
}

// BenchmarkMetricsDrop drops a day of samples of 1,000 instances.
func BenchmarkMetricsDrop(b *testing.B) {
	s, db := open(b)
	conn := connect(b, db.OwnerURL)
	seedFleet(b, conn, createDefinition(b, s, "api").ID, metricInstances)
	exec(b, conn, `INSERT INTO metric_watermarks VALUES ('5m', now()), ('1h', now())`)
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -4)
	for b.Loop() {
		b.StopTimer()
		exec(b, conn, `SELECT wedsync_make_metric_partition('container_metric_samples', $1, $2, $3)`, day.Format("20060102"), day, day.AddDate(0, 0, 1))
		seedSamples(b, conn, day.AddDate(0, 0, 1))
		exec(b, conn, `CHECKPOINT`)
		b.StartTimer()
		start := time.Now()
		name, err := s.DropMetrics(system(b), fleet.MetricRetention{Samples: day.AddDate(0, 0, 2), Rollups5m: day, Rollups1h: day})
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "drop-ms")
		if err != nil || name == "" {
			b.Fatalf("dropped %q, %v", name, err)
		}
	}
}
