package postgres_test

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

var (
	keyCPU    = fleet.MetricKey{Metric: grammar.MetricCPU}
	keyMemory = fleet.MetricKey{Metric: grammar.MetricMemory}
	keyRate   = fleet.MetricKey{Metric: grammar.MetricRequestRate}
	keyTime   = fleet.MetricKey{Metric: grammar.MetricResponseTime}
	keyQueue  = fleet.MetricKey{Metric: grammar.MetricCustom, Name: "queue"}
	allKeys   = []fleet.MetricKey{keyCPU, keyMemory, keyRate, keyTime, keyQueue}
)

// replicas are running instances of one new workload.
func replicas(t testing.TB, s *postgres.Store, name string, n int) (fleet.Deployment, []fleet.Instance) {
	t.Helper()
	d := deployed(t, s, createDefinition(t, s, name), "staging")
	list := make([]fleet.Instance, n)
	for k := range list {
		list[k] = newInstance(d, k+1)
		list[k].Current, list[k].ContainerID = fleet.StatusRunning, name+"-container-"+string(rune('a'+k))
	}
	return d, added(t, s, list...)
}

// sampled writes a sample with values for CPU, memory, request rate and response time.
func sampled(t testing.TB, s *postgres.Store, i fleet.Instance, at time.Time, cpu, memory, rate, response float64) {
	t.Helper()
	err := s.RecordSamples(system(t), []fleet.Sample{{
		InstanceID: i.ID, Environment: i.Environment, At: at, CPUPercent: &cpu, CPUCores: new(cpu / 100), MemoryMB: &memory, MemoryPercent: new(memory / 2),
		DiskMB: new(7.0), NetworkRx: new(int64(10)), NetworkTx: new(int64(20)), Restarts: new(1), RequestRate: &rate, ResponseTime: &response,
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func post(t testing.TB, s *postgres.Store, i fleet.Instance, kind, name string, value float64, at time.Time) {
	t.Helper()
	if err := s.PostMetrics(system(t), i.ID, []fleet.PostedMetric{{Type: kind, Name: name, Value: value, At: at}}); err != nil {
		t.Fatal(err)
	}
}

func TestMetricTargets(t *testing.T) {
	s, db := open(t)
	_, list := replicas(t, s, "api", 2)
	targets, err := s.MetricTargets(system(t))
	if err != nil || len(targets) != 2 {
		t.Fatalf("targets %+v, %v", targets, err)
	}
	want := fleet.MetricTarget{InstanceID: list[0].ID, Environment: "staging", DefinitionName: "api", ServiceName: "api", ContainerID: list[0].ContainerID, Health: fleet.HealthUnknown, CPULimit: 0.5, MemoryLimit: 64 << 20}
	if targets[0] != want {
		t.Errorf("target %+v, want %+v", targets[0], want)
	}
	exec(t, connect(t, db.OwnerURL), `UPDATE container_instances SET resource_limits = '{"cpu": "2"}', current_status = CASE id WHEN $1 THEN 'running' ELSE 'stopped' END`, list[0].ID)
	targets, err = s.MetricTargets(system(t))
	want.CPULimit = 2
	if err != nil || !slices.Equal(targets, []fleet.MetricTarget{want}) {
		t.Errorf("targets %+v, %v; want the limit that a container was given later, and none that is stopped", targets, err)
	}
}

func TestWorkloadCounts(t *testing.T) {
	s, db := open(t)
	_, list := replicas(t, s, "api", 2)
	conn := connect(t, db.OwnerURL)
	counts := func() []fleet.WorkloadCount {
		t.Helper()
		c, err := s.WorkloadCounts(system(t))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	exec(t, conn, `UPDATE container_instances SET health_status = 'healthy' WHERE id = $1`, list[0].ID)
	want := []fleet.WorkloadCount{{Environment: "staging", DefinitionName: "api", ServiceName: "api", Wanted: 2, Running: 2, Healthy: 1}}
	if got := counts(); !slices.Equal(got, want) {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	exec(t, conn, `UPDATE deployment_history SET is_removal = true`)
	exec(t, conn, `UPDATE container_instances SET current_status = 'terminated' WHERE id = $1`, list[0].ID)
	want = []fleet.WorkloadCount{{Environment: "staging", DefinitionName: "api", ServiceName: "api", Running: 1}}
	if got := counts(); !slices.Equal(got, want) {
		t.Errorf("counted %+v of a workload that is being removed, want %+v", got, want)
	}
	exec(t, conn, `UPDATE container_instances SET current_status = 'terminated'`)
	if got := counts(); len(got) != 0 {
		t.Errorf("counted %+v of a workload that is gone", got)
	}
}

var lately = fleet.Freshness{Samples: time.Minute, Posted: time.Minute}

func TestReadings(t *testing.T) {
	s, _ := open(t)
	_, list := replicas(t, s, "api", 3)
	now := time.Now()
	sampled(t, s, list[0], now.Add(-2*time.Minute), 90, 90, 90, 90) // too old
	sampled(t, s, list[0], now.Add(-20*time.Second), 10, 20, 0, 0)
	sampled(t, s, list[0], now.Add(-10*time.Second), 30, 40, 4, 50)
	sampled(t, s, list[1], now.Add(-10*time.Second), 50, 60, 0, 0)
	post(t, s, list[1], "cpu", "cpu_percent", 80, now.Add(-5*time.Second))
	post(t, s, list[1], "cpu", "cpu_percent", 90, now.Add(-2*time.Minute)) // too old
	post(t, s, list[1], "cpu", "cpu_seconds", 1e9, now)
	post(t, s, list[1], "custom", "memory_percent", 1e9, now)
	post(t, s, list[1], "custom", "queue", 7, now)
	post(t, s, list[1], "custom", "queue", 70, now.Add(-10*time.Second)) // not the newest
	var ids []string
	for _, i := range list {
		ids = append(ids, i.ID)
	}
	got, err := s.Readings(system(t), now, lately, ids, allKeys)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]map[fleet.MetricKey]float64{
		list[0].ID: {keyCPU: 20, keyMemory: 15, keyRate: 2, keyTime: 50},
		list[1].ID: {keyCPU: 80, keyMemory: 30, keyRate: 0, keyTime: 0, keyQueue: 7},
	}
	if !maps.EqualFunc(got, want, maps.Equal[map[fleet.MetricKey]float64, map[fleet.MetricKey]float64]) {
		t.Errorf("readings are\n%v, want\n%v", got, want)
	}
	got, err = s.Readings(system(t), now, lately, ids, []fleet.MetricKey{keyQueue})
	if err != nil || len(got) != 1 || len(got[list[1].ID]) != 1 || got[list[1].ID][keyQueue] != 7 {
		t.Errorf("readings of one key are %v, %v", got, err)
	}
}

// TestReadingsOfTimesToCome: what a clock that was ahead has measured does not count, nor
// does what was posted further ahead than is allowed.
func TestReadingsOfTimesToCome(t *testing.T) {
	s, _ := open(t)
	d, list := replicas(t, s, "api", 1)
	now := time.Now()
	sampled(t, s, list[0], now.Add(time.Hour), 90, 90, 90, 90)
	sampled(t, s, list[0], now, 10, 20, 0, 0)
	post(t, s, list[0], "custom", "queue", 70, now.Add(2*fleet.MaxMetricLead))
	post(t, s, list[0], "custom", "queue", 7, now)
	got, err := s.Readings(system(t), now, lately, []string{list[0].ID}, []fleet.MetricKey{keyCPU, keyQueue})
	if want := map[fleet.MetricKey]float64{keyCPU: 10, keyQueue: 7}; err != nil || !maps.Equal(got[list[0].ID], want) {
		t.Errorf("readings are %v, %v; want %v", got, err, want)
	}
	post(t, s, list[0], "custom", "queue", 8, now.Add(fleet.MaxMetricLead/2)) // of a clock a little ahead
	if got, err = s.Readings(system(t), now, lately, []string{list[0].ID}, []fleet.MetricKey{keyQueue}); err != nil || got[list[0].ID][keyQueue] != 8 {
		t.Errorf("readings are %v, %v; want the newest", got, err)
	}
	if usage, err := s.UsageHistory(system(t), d.Workload(), now.Add(-time.Hour)); err != nil || len(usage) != 1 || usage[0].MemoryMB != 20 {
		t.Errorf("usage is %+v, %v; want that of the present", usage, err)
	}
}

// TestNewestOfTypes: of a name that was posted with several types the newest value
// counts, wherever it is read.
func TestNewestOfTypes(t *testing.T) {
	s, _ := open(t)
	d, list := replicas(t, s, "api", 2)
	now := time.Now().UTC()
	for k, types := range [][2]string{{"custom", "network"}, {"network", "custom"}} {
		post(t, s, list[k], types[0], "queue", 1, now.Add(-20*time.Second))
		post(t, s, list[k], types[1], "queue", 2, now.Add(-10*time.Second))
	}
	got, err := s.Readings(system(t), now, lately, []string{list[0].ID, list[1].ID}, []fleet.MetricKey{keyQueue})
	if err != nil || got[list[0].ID][keyQueue] != 2 || got[list[1].ID][keyQueue] != 2 {
		t.Errorf("readings are %v, %v; want the newest of both", got, err)
	}
	series, err := s.WorkloadSeries(system(t), d.Workload(), []fleet.MetricKey{keyQueue}, now.Add(-time.Hour), now.Add(time.Hour), 2*time.Hour)
	if err != nil || len(series) == 0 || series[len(series)-1].Values[keyQueue].Mean != 2 {
		t.Errorf("the series is %+v, %v; want the newest of both", series, err)
	}
}

func TestUnknownIsMissing(t *testing.T) {
	s, _ := open(t)
	_, list := replicas(t, s, "api", 1)
	now := time.Now()
	if err := s.RecordSamples(system(t), []fleet.Sample{{InstanceID: list[0].ID, Environment: "staging", At: now, MemoryPercent: new(3.0)}}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Readings(system(t), now, lately, []string{list[0].ID}, allKeys)
	if err != nil || len(got[list[0].ID]) != 1 || got[list[0].ID][keyMemory] != 3 {
		t.Errorf("readings are %v, %v; want memory alone", got, err)
	}
}

// TestUnknownUsage: a limit is not made of what was not measured, be it rolled up or not.
func TestUnknownUsage(t *testing.T) {
	s, _ := open(t)
	d, list := replicas(t, s, "api", 2)
	start := time.Now().UTC().Truncate(time.Hour).Add(-time.Hour)
	for k, i := range list { // only the balancer knew them, but for the memory of one, later
		for m := range 10 {
			sample := fleet.Sample{InstanceID: i.ID, Environment: "staging", At: start.Add(time.Duration(m) * time.Minute), RequestRate: new(1.0)}
			if k == 1 && m >= 5 {
				sample.MemoryMB = new(40.0)
			}
			if err := s.RecordSamples(system(t), []fleet.Sample{sample}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, when := range []string{"from samples", "from roll-ups"} {
		usage, err := s.UsageHistory(system(t), d.Workload(), start)
		if err != nil || len(usage) != 2 || !math.IsNaN(usage[0].MemoryMB) || !math.IsNaN(usage[0].CPUCores) || usage[1].MemoryMB != 40 || !math.IsNaN(usage[1].CPUCores) {
			t.Errorf("%s: usage is %+v, %v; want memory of the second bucket alone", when, usage, err)
		}
		rollUp(t, s, start.Add(30*time.Minute))
	}
}

// TestRollUp makes roll-ups from samples of two hours, twice, with a late sample between.
func TestRollUp(t *testing.T) {
	s, db := open(t)
	d, list := replicas(t, s, "api", 2)
	conn := connect(t, db.OwnerURL)
	start := time.Now().UTC().Truncate(time.Hour).Add(-2 * time.Hour)
	for m := range 115 {
		at := start.Add(time.Duration(m) * time.Minute)
		sampled(t, s, list[0], at, float64(m), 100, 1, 10)
		sampled(t, s, list[1], at, float64(m)/2, 200, 3, 30)
	}
	now := start.Add(115*time.Minute + 11*time.Second)
	usage, err := s.UsageHistory(system(t), d.Workload(), start)
	wantUsage := func(when string) {
		t.Helper()
		if err != nil || len(usage) != 23 {
			t.Fatalf("%s: %d buckets of usage, %v; want 23", when, len(usage), err)
		}
		if u := usage[1]; !u.At.Equal(start.Add(5*time.Minute)) || !near(u.CPUCores, 0.07) || u.MemoryMB != 200 {
			t.Errorf("%s: the second bucket is %+v", when, u)
		}
	}
	wantUsage("from samples alone")
	rollUp(t, s, now)
	if n := count(t, conn, "container_metric_rollups_5m"); n != 2*23 {
		t.Errorf("%d buckets of five minutes, want 46", n)
	}
	if n := count(t, conn, "container_metric_rollups_1h"); n != 2 {
		t.Errorf("%d buckets of an hour, want 2", n)
	}
	var cpu, highest, rate float64
	var samples int
	err = conn.QueryRow(t.Context(), `SELECT cpu_percent_avg, cpu_percent_max, request_rate_avg, samples FROM container_metric_rollups_1h WHERE instance_id = $1`, list[0].ID).Scan(&cpu, &highest, &rate, &samples)
	if err != nil || !near(cpu, 29.5) || highest != 59 || rate != 1 || samples != 60 {
		t.Errorf("the hour's mean is %v, its maximum %v, its rate %v, of %d samples, %v", cpu, highest, rate, samples, err)
	}
	exec(t, conn, `DELETE FROM container_metric_samples WHERE collected_at < $1`, start.Add(time.Hour)) // roll-ups alone tell of it
	usage, err = s.UsageHistory(system(t), d.Workload(), start)
	wantUsage("from roll-ups and samples")

	sampled(t, s, list[0], start.Add(112*time.Minute+30*time.Second), 1e6, 1, 1, 1) // late, for the last bucket
	rollUp(t, s, now.Add(5*time.Minute))
	err = conn.QueryRow(t.Context(), `SELECT cpu_percent_max, samples FROM container_metric_rollups_5m WHERE instance_id = $1 AND bucket_at = $2`, list[0].ID, start.Add(110*time.Minute)).Scan(&highest, &samples)
	if err != nil || highest != 1e6 || samples != 6 {
		t.Errorf("after a late sample the maximum is %v of %d samples, %v", highest, samples, err)
	}
}

// TestEverySourceTellsTheSame: an hour in which the container was restarted, gave back
// what it had written and was slow with few requests. What is shown of it does not
// depend on which of the tables it is read from.
func TestEverySourceTellsTheSame(t *testing.T) {
	s, db := open(t)
	_, list := replicas(t, s, "api", 2)
	conn := connect(t, db.OwnerURL)
	start := time.Now().UTC().Truncate(time.Hour).Add(-2 * time.Hour)
	for m := range 60 {
		sample := fleet.Sample{
			InstanceID: list[0].ID, Environment: "staging", At: start.Add(time.Duration(m) * time.Minute), DiskMB: new(500.0 - float64(m)),
			NetworkRx: new(int64(m) << 40), NetworkTx: new(int64(m)), Restarts: new(m / 40), RequestRate: new(100.0), ResponseTime: new(10.0),
		}
		switch {
		case m == 59: // the engine did not answer
			sample.DiskMB, sample.NetworkRx, sample.NetworkTx = nil, nil, nil
		case m >= 40:
			sample.NetworkRx, sample.NetworkTx = new(int64(m)), new(int64(1<<50+1))
		}
		if m%3 == 0 {
			sample.RequestRate, sample.ResponseTime = new(float64(m%2)), new(1000.0*float64(m%2))
		}
		idle := sample
		idle.InstanceID, idle.RequestRate, idle.ResponseTime = list[1].ID, nil, new(float64(m))
		if err := s.RecordSamples(system(t), []fleet.Sample{sample, idle}); err != nil {
			t.Fatal(err)
		}
	}
	requests, weighted := 40*100.0+10, 40*100*10.0+10*1000
	check := func(source string) {
		t.Helper()
		for k, response := range []float64{weighted / requests, 29.5} { // without requests, the mean
			m, err := s.Metrics(system(t), fleet.MetricRange{InstanceID: list[k].ID, From: start, To: start.Add(time.Hour), Step: time.Hour})
			if err != nil || len(m.Points) != 1 {
				t.Fatalf("%s: %+v, %v", source, m, err)
			}
			if p := m.Points[0]; *p.DiskMB != 442 || *p.NetworkRx != 58 || *p.NetworkTx != 1<<50+1 || *p.Restarts != 1 || !near(*p.ResponseTime, response) {
				t.Errorf("%s: disk %v, network %d and %d, restarts %d, response time %v; want 442, 58, 1<<50+1, 1 and %v",
					source, *p.DiskMB, *p.NetworkRx, *p.NetworkTx, *p.Restarts, *p.ResponseTime, response)
			}
		}
	}
	check("samples")
	got, err := s.Readings(system(t), start.Add(time.Hour), fleet.Freshness{Samples: time.Hour, Posted: time.Hour}, []string{list[0].ID}, allKeys)
	if err != nil || !near(got[list[0].ID][keyTime], weighted/requests) {
		t.Errorf("readings are %v, %v; want a response time of %v", got, err, weighted/requests)
	}
	rollUp(t, s, start.Add(59*time.Minute)) // all but one bucket of five minutes
	check("roll-ups to five minutes, and samples")
	rollUp(t, s, start.Add(61*time.Minute))
	exec(t, conn, `DELETE FROM container_metric_samples`)
	check("roll-ups to an hour")
	exec(t, conn, `UPDATE metric_watermarks SET rolled_up_to = $1 WHERE resolution = '1h'`, start)
	check("roll-ups to five minutes")
}

// TestRollUpAfterTheClockWasAhead: what is measured after the clock has been put back
// is rolled up in its time, and not left out until the clock is there again.
func TestRollUpAfterTheClockWasAhead(t *testing.T) {
	s, db := open(t)
	_, list := replicas(t, s, "api", 1)
	conn := connect(t, db.OwnerURL)
	now := time.Now().UTC().Truncate(time.Hour).Add(-50 * time.Minute)
	sampled(t, s, list[0], now.Add(-time.Minute), 1, 1, 1, 1)
	rollUp(t, s, now.Add(30*time.Hour))
	sampled(t, s, list[0], now.Add(time.Minute), 1, 1, 1, 1)
	for range 2 {
		rollUp(t, s, now.Add(6*time.Minute))
		if n := count(t, conn, "container_metric_rollups_5m"); n != 2 {
			t.Errorf("%d buckets of five minutes, want one before the clock was put back and one after", n)
		}
	}
	rollUp(t, s, now.Add(time.Hour+time.Minute))
	var samples int
	err := conn.QueryRow(t.Context(), `SELECT samples FROM container_metric_rollups_1h WHERE bucket_at = $1`, now.Truncate(time.Hour)).Scan(&samples)
	if err != nil || samples != 2 {
		t.Errorf("%d samples in the hour, %v; want both", samples, err)
	}
}

func rollUp(t testing.TB, s *postgres.Store, now time.Time) {
	t.Helper()
	for {
		more, err := s.RollUp(system(t), now)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

func count(t testing.TB, conn *pgx.Conn, table string) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestMetrics reads one instance's metrics from samples, and from roll-ups of both kinds.
func TestMetrics(t *testing.T) {
	s, db := open(t)
	_, list := replicas(t, s, "api", 2)
	conn := connect(t, db.OwnerURL)
	start := time.Now().UTC().Truncate(time.Hour).Add(-2 * time.Hour)
	for m := range 120 {
		sampled(t, s, list[0], start.Add(time.Duration(m)*time.Minute), float64(m), 100, 0, 0)
	}
	sampled(t, s, list[1], start, 1000, 1000, 1000, 1000) // of another
	post(t, s, list[0], "custom", "queue", 4, start.Add(time.Minute))
	post(t, s, list[0], "custom", "queue", 6, start.Add(2*time.Minute))
	read := func(step time.Duration) fleet.InstanceMetrics {
		m, err := s.Metrics(system(t), fleet.MetricRange{InstanceID: list[0].ID, From: start, To: start.Add(2 * time.Hour), Step: step})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	check := func(when string, step time.Duration, points int, second float64) {
		t.Helper()
		m := read(step)
		if len(m.Points) != points || !m.Points[1].At.Equal(start.Add(step)) || !near(*m.Points[1].CPUPercent, second) || *m.Points[1].NetworkTx != 20 || *m.Points[1].DiskMB != 7 {
			t.Errorf("%s, by %s: %d points, the second %+v; want %d with %v", when, step, len(m.Points), m.Points[1], points, second)
		}
		if len(m.Posted) != 1 || m.Posted[0].Name != "queue" || step == time.Hour && (len(m.Posted[0].Points) != 1 || m.Posted[0].Points[0].Value != 5) {
			t.Errorf("%s, by %s: posted are %+v", when, step, m.Posted)
		}
	}
	check("from samples", time.Minute, 120, 1)
	check("from samples", 5*time.Minute, 24, 7)
	check("from samples", time.Hour, 2, 89.5)
	rollUp(t, s, start.Add(2*time.Hour+time.Minute))
	check("with roll-ups", time.Minute, 120, 1)
	exec(t, conn, `DELETE FROM container_metric_samples`)
	check("from roll-ups", 5*time.Minute, 24, 7)
	exec(t, conn, `DELETE FROM container_metric_rollups_5m`)
	check("from roll-ups", time.Hour, 2, 89.5)

	_, err := s.Metrics(as(t, s, developer, "production"), fleet.MetricRange{InstanceID: list[0].ID, From: start, To: start.Add(time.Hour), Step: time.Hour})
	wantKind(t, err, fleet.ErrNotFound)
}

// TestMetricsBesideManyPosted: however many names were posted, the answer has what was
// measured as it was asked for; what was posted comes by longer steps, or by its name.
func TestMetricsBesideManyPosted(t *testing.T) {
	s, db := open(t)
	_, list := replicas(t, s, "api", 1)
	conn := connect(t, db.OwnerURL)
	start := time.Now().UTC().Truncate(time.Hour).Add(-time.Hour)
	sampled(t, s, list[0], start.Add(time.Minute), 50, 10, 0, 0)
	fill := func(names int) {
		t.Helper()
		exec(t, conn, `INSERT INTO container_custom_metrics (instance_id, environment, metric_name, metric_value, collected_at)
			SELECT $1, 'staging', 'name-' || lpad(n::text, 6, '0'), n, at
			FROM generate_series(1, $2::int) AS n, generate_series($3::timestamptz, $3::timestamptz + interval '59 minutes', '1 minute') AS at ON CONFLICT DO NOTHING`,
			list[0].ID, names, start)
	}
	read := func(name string) fleet.InstanceMetrics {
		t.Helper()
		m, err := s.Metrics(system(t), fleet.MetricRange{InstanceID: list[0].ID, From: start, To: start.Add(time.Hour), Step: 10 * time.Second, PostedName: name})
		if err != nil || len(m.Points) != 1 || *m.Points[0].CPUPercent != 50 {
			t.Fatalf("measured %+v, %v", m.Points, err)
		}
		return m
	}
	values := func(m fleet.InstanceMetrics) (n int) {
		for _, p := range m.Posted {
			n += len(p.Points)
		}
		return n
	}
	fill(300)
	if m := read(""); len(m.Posted) != 300 || values(m) != 300*60 || m.PostedStep != 10*time.Second {
		t.Errorf("%d values of %d names by %s, want all", values(m), len(m.Posted), m.PostedStep)
	}
	fill(1000)
	m := read("")
	if n := values(m); len(m.Posted) != 1000 || n > 20_000 || n < 10_000 || m.PostedStep%(10*time.Second) != 0 || m.PostedStep < 3*time.Minute {
		t.Errorf("%d values of %d names by %s, want all names by a longer step", n, len(m.Posted), m.PostedStep)
	}
	if p := m.Posted[7]; p.Name != "name-000008" || p.Points[0].Value != 8 {
		t.Errorf("the eighth is %+v", p)
	}
	if m := read("name-000042"); len(m.Posted) != 1 || values(m) != 60 || m.PostedStep != 10*time.Second {
		t.Errorf("asked by name, there are %d values of %d names by %s", values(m), len(m.Posted), m.PostedStep)
	}
	exec(t, conn, `INSERT INTO container_custom_metrics (instance_id, environment, metric_name, metric_value, collected_at)
		SELECT $1, 'staging', 'other-' || n, n, $2 FROM generate_series(1, 30000) AS n`, list[0].ID, start)
	if m := read(""); values(m) != 20_000 || m.Posted[0].Name != "name-000001" {
		t.Errorf("of 31,000 names there are %d values, from %s on; want the first 20,000", values(m), m.Posted[0].Name)
	}
}

func TestWorkloadSeries(t *testing.T) {
	s, _ := open(t)
	d, list := replicas(t, s, "api", 2)
	_, others := replicas(t, s, "web", 1)
	start := time.Now().UTC().Truncate(time.Hour).Add(-time.Hour)
	sampled(t, s, list[0], start.Add(time.Second), 10, 10, 1, 0)
	sampled(t, s, list[0], start.Add(2*time.Second), 20, 10, 1, 0)
	sampled(t, s, list[1], start.Add(time.Second), 45, 10, 1, 0)
	sampled(t, s, others[0], start.Add(time.Second), 1e6, 10, 1, 0)
	sampled(t, s, list[1], start.Add(61*time.Second), 50, 10, 1, 0)
	post(t, s, list[1], "cpu", "cpu_percent", 85, start.Add(70*time.Second))
	series, err := s.WorkloadSeries(system(t), d.Workload(), []fleet.MetricKey{keyCPU, keyQueue}, start, start.Add(time.Hour), time.Minute)
	if err != nil || len(series) != 2 {
		t.Fatalf("series %+v, %v", series, err)
	}
	if p := series[0]; !p.At.Equal(start) || p.Instances != 2 || len(p.Values) != 1 || p.Values[keyCPU] != (fleet.WorkloadValue{Instances: 2, Sum: 60, Mean: 30}) {
		t.Errorf("first point %+v", p)
	}
	if p := series[1]; !p.At.Equal(start.Add(time.Minute)) || p.Instances != 1 || p.Values[keyCPU] != (fleet.WorkloadValue{Instances: 1, Sum: 85, Mean: 85}) {
		t.Errorf("second point %+v", p)
	}
	_, err = s.WorkloadSeries(system(t), d.Workload(), nil, start, start.Add(time.Hour), time.Millisecond)
	wantKind(t, err, fleet.ErrInvalid)
}

// TestWorkloadSeriesOfARollout: replicas that take the place of others are not as many
// more, whether the step is short or the whole rollout is within one.
func TestWorkloadSeriesOfARollout(t *testing.T) {
	s, _ := open(t)
	d, list := replicas(t, s, "api", 4)
	start := time.Now().UTC().Truncate(time.Hour).Add(-time.Hour)
	const cycles, change = 45, 23 // two a minute
	for k := range cycles {
		pair := list[:2]
		if k >= change {
			pair = list[2:]
		}
		for _, i := range pair {
			sampled(t, s, i, start.Add(time.Duration(k)*30*time.Second), 50, 10, 1, 0)
		}
	}
	check := func(when string, step time.Duration) {
		t.Helper()
		series, err := s.WorkloadSeries(system(t), d.Workload(), []fleet.MetricKey{keyCPU}, start, start.Add(cycles*30*time.Second), step)
		if err != nil || len(series) != int(math.Ceil(cycles*30/step.Seconds())) {
			t.Fatalf("%s, by %s: %d steps, %v", when, step, len(series), err)
		}
		for _, p := range series {
			if v := p.Values[keyCPU]; p.Instances != 2 || !near(v.Sum, 100) || !near(v.Mean, 50) {
				t.Errorf("%s, by %s: at %s %d replicas with %+v, want two with 50 %% each", when, step, p.At.Format(time.TimeOnly), p.Instances, v)
			}
		}
	}
	check("from samples", 30*time.Second)
	check("from samples", time.Minute)
	check("from samples", 5*time.Minute)
	rollUp(t, s, start.Add(time.Hour))
	check("from roll-ups", 5*time.Minute)
}

// TestWorkloadSeriesIsBounded: eleven replicas that are measured each second for five hours.
func TestWorkloadSeriesIsBounded(t *testing.T) {
	s, db := open(t)
	d, list := replicas(t, s, "api", 11)
	start := time.Now().UTC().Add(-6 * time.Hour).Truncate(time.Hour)
	exec(t, connect(t, db.OwnerURL), `INSERT INTO container_metric_samples (instance_id, environment, collected_at, cpu_percent)
		SELECT i.id, i.environment, s.at, 50 FROM container_instances i, generate_series($1::timestamptz, $1::timestamptz + interval '18999 seconds', '1 second') AS s (at)
		WHERE i.definition_id = $2`, start, d.DefinitionID)
	series := func(step time.Duration) ([]fleet.WorkloadPoint, error) {
		return s.WorkloadSeries(system(t), d.Workload(), []fleet.MetricKey{keyCPU}, start, start.Add(19_000*time.Second), step)
	}
	_, err := series(time.Second)
	wantKind(t, err, fleet.ErrInvalid)
	points, err := series(2 * time.Second)
	if err != nil || len(points) != 9500 || points[0].Instances != len(list) {
		t.Errorf("%d points, %v; want 9,500", len(points), err)
	}
}

func TestPostMetrics(t *testing.T) {
	s, db := open(t)
	_, list := replicas(t, s, "api", 1)
	conn := connect(t, db.OwnerURL)
	metrics := []fleet.PostedMetric{
		{Type: "custom", Name: "queue", Value: 1, Unit: "jobs", Labels: map[string]string{"a": "b"}, At: time.Now()},
		{Type: "memory", Name: "heap", Value: 2, At: time.Now()},
	}
	ctx := keyed(as(t, s, monitoring, "staging"), "k", "f")
	for range 2 { // the second repeats the first
		if err := s.PostMetrics(ctx, list[0].ID, metrics); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	err := conn.QueryRow(t.Context(), `SELECT count(*) FROM container_metrics WHERE instance_id = $1 AND (metric_name, metric_unit, labels) = ('queue', 'jobs', '{"a": "b"}')
		OR (metric_name = 'heap' AND metric_unit IS NULL AND metric_value = 2)`, list[0].ID).Scan(&n)
	if err != nil || n != 2 {
		t.Errorf("%d rows, %v; want both, once", n, err)
	}
	wantKind(t, s.PostMetrics(keyed(ctx, "k", "g"), list[0].ID, metrics), fleet.ErrIdempotencyMismatch)
	wantKind(t, s.PostMetrics(as(t, s, monitoring, "production"), list[0].ID, metrics), fleet.ErrNotFound)
	wantKind(t, s.PostMetrics(as(t, s, developer, "staging"), list[0].ID, metrics), fleet.ErrForbidden)
	wantKind(t, s.PostMetrics(system(t), definitionID, metrics), fleet.ErrNotFound)
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1.1e100, -1.1e100} {
		wantKind(t, s.PostMetrics(system(t), list[0].ID, []fleet.PostedMetric{metrics[0], {Type: "custom", Name: "bad", Value: v, At: time.Now()}}), fleet.ErrInvalid)
	}
	exec(t, conn, `UPDATE container_instances SET current_status = 'terminated' WHERE id = $1`, list[0].ID)
	wantKind(t, s.PostMetrics(system(t), list[0].ID, metrics), fleet.ErrConflict)
	wantKind(t, s.PostMetrics(as(t, s, monitoring, "production"), list[0].ID, metrics), fleet.ErrNotFound)
	if n := count(t, conn, "container_custom_metrics"); n != 2 {
		t.Errorf("%d rows after refusals, want 2", n)
	}
}

// TestMeansOfTheLargestMetrics: nothing that may be posted is too large for a mean,
// which would keep the autoscaler from all workloads.
func TestMeansOfTheLargestMetrics(t *testing.T) {
	s, _ := open(t)
	_, list := replicas(t, s, "api", 1)
	now := time.Now()
	for label, v := range map[string]float64{"a": 1e100, "b": -1e100, "c": 3} {
		err := s.PostMetrics(system(t), list[0].ID, []fleet.PostedMetric{{Type: "custom", Name: "queue", Value: v, At: now, Labels: map[string]string{"shard": label}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Readings(system(t), now, lately, []string{list[0].ID}, allKeys); err != nil || len(got[list[0].ID]) != 1 {
		t.Errorf("readings are %v, %v", got, err)
	}
	m, err := s.Metrics(system(t), fleet.MetricRange{InstanceID: list[0].ID, From: now.Add(-time.Minute), To: now.Add(time.Minute), Step: time.Hour})
	if err != nil || len(m.Posted) != 1 {
		t.Errorf("metrics are %+v, %v", m, err)
	}
}

func TestRecordUsage(t *testing.T) {
	s, db := open(t)
	_, list := replicas(t, s, "api", 2)
	want := fleet.Usage{CPUPercent: 12.5, MemoryMB: 30, DiskMB: 1}
	before, err := s.Instance(system(t), list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // also where it is so already
		written, err := s.RecordUsage(system(t), map[string]fleet.Usage{list[0].ID: want, definitionID: {}})
		if err != nil || !slices.Equal(written, []string{list[0].ID}) {
			t.Fatalf("wrote that of %v, %v", written, err)
		}
	}
	tx, err := connect(t, db.OwnerURL).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM container_instances WHERE id = $1 FOR UPDATE`, list[0].ID); err != nil {
		t.Fatal(err)
	}
	written, err := s.RecordUsage(system(t), map[string]fleet.Usage{list[0].ID: {}, list[1].ID: want})
	if err != nil || !slices.Equal(written, []string{list[1].ID}) {
		t.Errorf("beside somebody who writes the first it wrote that of %v, %v", written, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := s.Instance(system(t), list[0].ID)
	if err != nil || after.Usage != want || !after.UpdatedAt.Equal(before.UpdatedAt) {
		t.Errorf("usage is %+v, updated at %v, %v", after.Usage, after.UpdatedAt, err)
	}
}

// TestPruneDecisions: what changed nothing goes with the samples, what changed something
// with the roll-ups that are kept the longest.
func TestPruneDecisions(t *testing.T) {
	s, db := open(t)
	conn := connect(t, db.OwnerURL)
	d := createDefinition(t, s, "api")
	for _, days := range []int{1, 3, 500} {
		for _, outcome := range []fleet.ScalingOutcome{fleet.OutcomeScaledUp, fleet.OutcomeScaledDown, fleet.OutcomeResized, fleet.OutcomeLimited, fleet.OutcomeNoChange} {
			at := testTime.AddDate(0, 0, -days)
			decided(t, conn, fleet.ScalingDecision{DefinitionID: d.ID, Environment: "staging", Outcome: outcome, Inputs: []fleet.ScalingReading{}, DecidedAt: at, LastEvaluatedAt: at})
		}
	}
	keep := fleet.MetricRetention{Samples: testTime.AddDate(0, 0, -2), Rollups5m: testTime.AddDate(0, 0, -30), Rollups1h: testTime.AddDate(0, 0, -400)}
	if _, err := s.DropMetrics(system(t), keep); err != nil {
		t.Fatal(err)
	}
	for days, want := range map[int]int{1: 5, 3: 3, 500: 0} {
		at := testTime.AddDate(0, 0, -days)
		list, err := s.ListScalingDecisions(system(t), fleet.ScalingDecisionFilter{From: &at, To: &at}, fleet.Page{})
		if err != nil || list.Total != want {
			t.Errorf("%d days later %d decisions are left, %v; want %d", days, list.Total, err, want)
		}
	}
}

// TestDropMetrics drops the oldest partitions, one by one, and never the last day or
// what is not rolled up.
func TestDropMetrics(t *testing.T) {
	s, db := open(t)
	conn := connect(t, db.OwnerURL)
	now := time.Now().UTC()
	day := func(back int) time.Time { return now.Truncate(24*time.Hour).AddDate(0, 0, -back) }
	for n := range 5 {
		for _, parent := range []string{"container_metric_samples", "container_custom_metrics", "container_metric_rollups_5m"} {
			exec(t, conn, `SELECT wedsync_make_metric_partition($1, $2, $3, $4)`, parent, day(n).Format("20060102"), day(n), day(n-1))
		}
	}
	dropAll := func(keep fleet.MetricRetention) (names []string) {
		t.Helper()
		for {
			name, err := s.DropMetrics(system(t), keep)
			if err != nil {
				t.Fatal(err)
			}
			if name == "" {
				return names
			}
			names = append(names, name)
		}
	}
	all := fleet.MetricRetention{Samples: now, Rollups5m: now, Rollups1h: now}
	if names := dropAll(all); len(names) > 0 {
		t.Errorf("dropped %v, of which nothing was rolled up", names)
	}
	exec(t, conn, `INSERT INTO metric_watermarks VALUES ('5m', now()), ('1h', now())`)
	want := []string{"container_custom_metrics_" + day(4).Format("20060102"), "container_metric_samples_" + day(4).Format("20060102")}
	if names := dropAll(fleet.MetricRetention{Samples: day(3), Rollups5m: day(9), Rollups1h: day(900)}); !slices.Equal(names, want) {
		t.Errorf("dropped %v, want %v", names, want)
	}
	if names := dropAll(all); len(names) != 2*2+3 {
		t.Errorf("dropped %v, want all but of the last day", names)
	}
	if err := s.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, conn, `pg_inherits WHERE inhparent = 'container_metric_samples'::regclass`); n != 16 {
		t.Errorf("%d partitions, want yesterday's, today's and a fortnight's", n)
	}
}
