package daemon_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/metrics"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

const (
	// watchedFor is how long idle containers are watched.
	watchedFor = 90 * time.Second
	// simulated is how many instances there are of no container.
	simulated = 5000
)

var watched = flag.Int("bench-watched", 10, "how many idle containers are watched")

// BenchmarkWatching is what it costs wedsyncd, of one processor and of memory, to watch
// idle containers with health checks as they are by default, measuring them each
// second.
func BenchmarkWatching(b *testing.B) {
	f := &fixture{DaemonHandle: testenv.Daemon(b, testenv.WithEnvironment("WEDSYNC_METRICS_INTERVAL=1s"))}
	f.client = f.Client(b)
	d := f.define(b, "idle", "v1", func(r *api.CreateDefinitionRequest) {
		r.ScalingConfig.MaxReplicas = *watched
		r.HealthCheckConfig = &api.HealthCheckConfig{Endpoint: "/health"}
	})
	f.deploy(b, d.ID, *watched)
	pid := f.Process()
	conn, err := pgx.Connect(b.Context(), f.DB.OwnerURL)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows := func() (n int) {
		if err := conn.QueryRow(b.Context(), `SELECT count(*) FROM container_metric_samples WHERE cpu_percent IS NOT NULL`).Scan(&n); err != nil {
			b.Fatal(err)
		}
		return n
	}
	time.Sleep(30 * time.Second) // what the rollout has left, garbage among it, is gone then
	before, cpu, start, most := rows(), processorTime(b, pid), time.Now(), 0.0
	for time.Since(start) < watchedFor {
		most = max(most, residentMemory(b, pid))
		time.Sleep(time.Second)
	}
	took := time.Since(start).Seconds()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(100*(processorTime(b, pid)-cpu).Seconds()/took, "cpu-%")
	b.ReportMetric(most, "MiB")
	b.ReportMetric(float64(rows()-before)/took, "rows/s")
}

// processorTime is what the process has used, in its own and the kernel's code.
func processorTime(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	ticks := 0
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(f)
		if err != nil {
			tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // of which there are 100 a second on Linux
}

// residentMemory is the memory of the process that is in RAM, in MiB.
func residentMemory(tb testing.TB, pid int) float64 {
	tb.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		tb.Fatal(err)
	}
	return float64(kib) / 1024
}

// busyEngine has containers that do something, and none of them real.
type busyEngine struct{ began time.Time }

func (e busyEngine) Stats(_ context.Context, ids []string) []fleet.ContainerStats {
	stats := make([]fleet.ContainerStats, len(ids))
	now := time.Now()
	for k := range ids {
		stats[k] = fleet.ContainerStats{
			Known: true, At: now, Run: "run", CPU: now.Sub(e.began) / time.Duration(k+1), MemoryBytes: int64(k) << 12, HasNetwork: true,
			NetworkRx: int64(now.Sub(e.began)), NetworkTx: int64(k),
		}
	}
	return stats
}

func (e busyEngine) DiskUsage(context.Context, []string) (map[string]int64, error) { return nil, nil }

func (e busyEngine) Machine(context.Context) (fleet.Machine, error) {
	return fleet.Machine{Processors: 2, MemoryBytes: 1 << 34}, nil
}

// BenchmarkSimulatedInstances measures 5,000 instances each second for a minute, with
// a real database and an engine that answers at once. late is how long after it was due a
// cycle's rows were written.
func BenchmarkSimulatedInstances(b *testing.B) {
	db := testenv.Database(b)
	store, err := postgres.Open(b.Context(), postgres.Config{URL: db.AppURL, SecretKey: make([]byte, postgres.SecretKeySize), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	conn, err := pgx.Connect(b.Context(), db.OwnerURL)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	const id = "00000000-0000-7000-9000-000000000001"
	for _, sql := range []string{
		`INSERT INTO container_definitions (id, name, service_name, image_name) VALUES ('` + id + `', 'api', 'api', 'wedsync/api')`,
		fmt.Sprintf(`INSERT INTO container_instances (definition_id, environment, instance_name, container_id, current_status)
			SELECT '%s', 'staging', 'api-' || n, 'c' || n, 'running' FROM generate_series(1, %d) n`, id, simulated),
	} {
		if _, err := conn.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	var mu sync.Mutex
	var late []time.Duration
	c := metrics.NewCollector(metrics.Config{Store: store, Engine: busyEngine{time.Now()}, Interval: time.Second, Logger: slog.Default(), Written: func() {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		late = append(late, now.Sub(now.Truncate(time.Second)))
	}})
	ctx, cancel := context.WithCancel(b.Context())
	defer time.AfterFunc(61*time.Second, cancel).Stop()
	if err := c.Run(ctx); err != nil {
		b.Fatal(err)
	}
	h := c.Health()
	slices.Sort(late)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(h.Cycles-h.Failed), "cycles/min")
	b.ReportMetric(float64(h.Missed), "missed")
	b.ReportMetric(float64(h.Failed), "failed")
	b.ReportMetric(float64(late[len(late)/2].Milliseconds()), "late-p50-ms")
	b.ReportMetric(float64(late[len(late)*99/100].Milliseconds()), "late-p99-ms")
	var rows int
	if err := conn.QueryRow(b.Context(), `SELECT count(*) FROM container_metric_samples`).Scan(&rows); err != nil || rows != int(h.Rows) {
		b.Errorf("%d rows, %v; want %d", rows, err, h.Rows)
	}
}
