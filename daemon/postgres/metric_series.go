package postgres

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
)

const (
	fiveMinutes = 5 * time.Minute
	// maxSeriesPoints bounds the steps of one series of a workload, and maxSeriesRows
	// what its instances tell in them.
	maxSeriesPoints, maxSeriesRows = 20_000, 200_000
	// maxPostedPoints bounds what is told of posted metrics at once.
	maxPostedPoints = 20_000
)

// metricSpan is a part of a range and the table that tells of it.
type metricSpan struct {
	source   metricSource
	from, to time.Time
}

// metricSource is a table of samples or roll-ups.
type metricSource struct{ table, at, columns string }

var (
	fromSamples = metricSource{"container_metric_samples", "collected_at",
		"1 AS samples, cpu_percent, cpu_cores, memory_mb, memory_percent, disk_mb, network_rx_bytes, network_tx_bytes, restart_count, request_rate, response_time_ms"}
	fromRollups5m = metricSource{"container_metric_rollups_5m", "bucket_at", rollupColumns}
	fromRollups1h = metricSource{"container_metric_rollups_1h", "bucket_at", rollupColumns}
)

const rollupColumns = "samples, cpu_percent_avg AS cpu_percent, cpu_cores_avg AS cpu_cores, memory_mb_avg AS memory_mb, memory_percent_avg AS memory_percent, " +
	"disk_mb, network_rx_bytes, network_tx_bytes, restart_count, request_rate_avg AS request_rate, response_time_ms_avg AS response_time_ms"

// metricSpans divides a range: the coarsest source that is fine enough for the step
// and made already, and where nothing finer is kept any more, what there is.
func metricSpans(from, to time.Time, step time.Duration, have dbsqlc.MetricSourcesRow) []metricSpan {
	hours, fives := have.Rollups5mSince, have.SamplesSince
	if step%time.Hour == 0 {
		hours = later(hours, have.RolledUp1h)
	}
	if step%fiveMinutes == 0 {
		fives = later(fives, have.RolledUp5m)
	}
	hours = earlier(hours, have.RolledUp1h)
	fives = later(earlier(fives, have.RolledUp5m), hours)
	var spans []metricSpan
	for _, s := range []metricSpan{{fromRollups1h, from, earlier(hours, to)}, {fromRollups5m, later(from, hours), earlier(fives, to)}, {fromSamples, later(from, fives), to}} {
		if s.from.Before(s.to) {
			spans = append(spans, s)
		}
	}
	return spans
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// seriesQuery is the query of means by instance and step over spans. who is the
// condition on instance_id; args are its arguments, and the query's come after them.
func seriesQuery(spans []metricSpan, step time.Duration, who string, args []any) (string, []any) {
	args = append(args, step.Seconds())
	bin := fmt.Sprintf("make_interval(secs => $%d)", len(args))
	parts := make([]string, len(spans))
	for k, s := range spans {
		args = append(args, s.from, s.to)
		parts[k] = fmt.Sprintf("SELECT instance_id, date_bin(%s, %s, 'epoch') AS at, date_part('epoch', %s) AS seconds, %s FROM %s WHERE %s AND %s >= $%d AND %s < $%d",
			bin, s.source.at, s.source.at, s.source.columns, s.source.table, who, s.source.at, len(args)-1, s.source.at, len(args))
	}
	return `SELECT instance_id, at, sum(samples)::bigint, ` + mean("cpu_percent") + `, ` + mean("cpu_cores") + `, ` + mean("memory_mb") + `, ` + mean("memory_percent") + `,
	` + last("disk_mb") + `, ` + last("network_rx_bytes") + `::bigint, ` + last("network_tx_bytes") + `::bigint, max(restart_count), ` + mean("request_rate") + `,
	coalesce(sum(response_time_ms * samples * request_rate) / nullif(sum(samples * request_rate) FILTER (WHERE response_time_ms IS NOT NULL), 0), ` + mean("response_time_ms") + `)
FROM (` + strings.Join(parts, "\nUNION ALL\n") + `) s GROUP BY instance_id, at ORDER BY instance_id, at LIMIT ` + strconv.Itoa(maxSeriesRows+1), args
}

// mean weighs by the samples that have the column.
func mean(column string) string {
	return fmt.Sprintf("sum(%s * samples) / sum(samples) FILTER (WHERE %s IS NOT NULL)", column, column)
}

// last is the value of the column at the latest time that has one: the writable layer
// shrinks, and counters begin anew with a restart. Arrays are ordered by their first.
func last(column string) string {
	return fmt.Sprintf("(max(ARRAY[seconds, %s]) FILTER (WHERE %s IS NOT NULL))[2]", column, column)
}

// measuredPoint is what an instance used in a step, of so many samples.
type measuredPoint struct {
	fleet.MetricPoint
	samples int64
}

// postedRow is the mean of a posted metric in a step, and when the newest of it is of.
type postedRow struct {
	instance, kind, name, unit string
	at, newest                 time.Time
	value                      float64
}

// postedQuery is the query of means of posted metrics by instance, type, name and step,
// in that order; who and args as of seriesQuery.
func postedQuery(from, to time.Time, step time.Duration, who string, args []any) (string, []any) {
	args = append(args, step.Seconds(), from, to)
	n := len(args)
	return fmt.Sprintf(`
		SELECT instance_id, metric_type, metric_name, coalesce(max(metric_unit), ''), date_bin(make_interval(secs => $%d), collected_at, 'epoch') AS at, max(collected_at), avg(metric_value)
		FROM container_custom_metrics WHERE %s AND collected_at >= $%d AND collected_at < $%d
		GROUP BY instance_id, metric_type, metric_name, at ORDER BY instance_id, metric_type, metric_name, at LIMIT %d`,
		n-2, who, n-1, n, maxPostedPoints+1), args
}

// condition selects instances.
type condition struct {
	sql  string
	args []any
}

// history asks for what instances did, in one round trip: measured selects those that
// were measured, and posted what was posted. More than maxPostedPoints of that means
// that there is more.
func (c *claimed) history(ctx context.Context, spans []metricSpan, from, to time.Time, step time.Duration, measured, posted condition) (points []measuredPoint, rows []postedRow, err error) {
	b := &pgx.Batch{}
	sql, args := seriesQuery(spans, step, measured.sql, measured.args)
	b.Queue(sql, args...)
	sql, args = postedQuery(from, to, step, posted.sql, posted.args)
	b.Queue(sql, args...)
	results := c.SendBatch(ctx, b)
	if points, err = collect(results, scanPoint); err == nil {
		rows, err = collect(results, scanPosted)
	}
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err == nil && len(points) > maxSeriesRows {
		err = fleet.FieldErrorf(fleet.ErrInvalid, "step", "the replicas have measured more than %d values in this range; ask for a shorter one, or a larger step", maxSeriesRows)
	}
	return points, rows, err
}

// widerPosted asks for what was posted about an instance by a multiple of the step, by
// which it is maxPostedPoints at most. If two points for each name are more than that,
// the first by type and name remain.
func (c *claimed) widerPosted(ctx context.Context, r fleet.MetricRange, posted condition) (rows []postedRow, step time.Duration, err error) {
	n, names := len(posted.args), 0
	err = c.QueryRow(ctx, fmt.Sprintf(`
		SELECT count(*) FROM (SELECT DISTINCT metric_type, metric_name FROM container_custom_metrics WHERE %s AND collected_at >= $%d AND collected_at < $%d) n`,
		posted.sql, n+1, n+2), append(slices.Clip(posted.args), r.From, r.To)...).Scan(&names)
	if err != nil {
		return nil, 0, err
	}
	step = postedStep(r.Step, r.To.Sub(r.From), names)
	sql, args := postedQuery(r.From, r.To, step, posted.sql, posted.args)
	found, err := c.Query(ctx, sql, args...)
	if err != nil {
		return nil, 0, err
	}
	rows, err = pgx.CollectRows(found, scanPosted)
	return rows[:min(len(rows), maxPostedPoints)], step, err
}

// postedStep is the least multiple of a step with which metrics of so many names have
// maxPostedPoints in a span at most; or two each, if they are too many for that. Steps
// do not begin where the span does, so that there is one more of them.
func postedStep(step, span time.Duration, names int) time.Duration {
	each := max(2, maxPostedPoints/max(1, names))
	most := step * time.Duration(each-1)
	times := int((span + most - 1) / most)
	return step * time.Duration(max(1, times))
}

func collect[T any](results pgx.BatchResults, scan pgx.RowToFunc[T]) ([]T, error) {
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

func scanPoint(row pgx.CollectableRow) (p measuredPoint, err error) {
	err = row.Scan(&p.InstanceID, &p.At, &p.samples, &p.CPUPercent, &p.CPUCores, &p.MemoryMB, &p.MemoryPercent, &p.DiskMB,
		&p.NetworkRx, &p.NetworkTx, &p.Restarts, &p.RequestRate, &p.ResponseTime)
	return p, err
}

func scanPosted(row pgx.CollectableRow) (p postedRow, err error) {
	err = row.Scan(&p.instance, &p.kind, &p.name, &p.unit, &p.at, &p.newest, &p.value)
	return p, err
}

// Metrics implements httpapi.Store. However much was posted, what was measured comes
// as it was asked for.
func (s *Store) Metrics(ctx context.Context, r fleet.MetricRange) (fleet.InstanceMetrics, error) {
	m := fleet.InstanceMetrics{PostedStep: r.Step}
	db, err := s.claimed(ctx, setListClaims)
	if err != nil {
		return m, err
	}
	have, err := db.metricSources(ctx, r.InstanceID)
	if err != nil {
		return m, missing("instance", r.InstanceID, err)
	}
	measured := condition{"instance_id = $1", []any{r.InstanceID}}
	posted := measured
	if r.PostedName != "" {
		posted = condition{"instance_id = $1 AND metric_name = $2", []any{r.InstanceID, r.PostedName}}
	}
	points, rows, err := db.history(ctx, metricSpans(r.From, r.To, r.Step, have), r.From, r.To, r.Step, measured, posted)
	if err == nil && len(rows) > maxPostedPoints {
		rows, m.PostedStep, err = db.widerPosted(ctx, r, posted)
	}
	if err != nil {
		return m, translate("read metrics", err)
	}
	m.Points = convertAll(points, func(p measuredPoint) fleet.MetricPoint { return p.MetricPoint })
	m.Posted = postedSeries(rows)
	return m, nil
}

// postedSeries puts together the rows of one instance, which come by type, name and time.
func postedSeries(rows []postedRow) (series []fleet.PostedSeries) {
	for _, p := range rows {
		last := len(series) - 1
		if last < 0 || series[last].Type != p.kind || series[last].Name != p.name {
			series = append(series, fleet.PostedSeries{Type: p.kind, Name: p.name, Unit: p.unit})
			last++
		}
		series[last].Points = append(series[last].Points, fleet.PostedPoint{At: p.at, Value: p.value})
	}
	return series
}

// metricSources reads what there is, and in the same round trip whether there is the
// instance; pgx.ErrNoRows.
func (c *claimed) metricSources(ctx context.Context, instanceID string) (have dbsqlc.MetricSourcesRow, err error) {
	b, err := record(func(q *dbsqlc.Queries) { _, _ = q.InstanceEnvironment(ctx, instanceID) }, func(q *dbsqlc.Queries) { _, _ = q.MetricSources(ctx) })
	if err != nil {
		return have, err
	}
	results := c.SendBatch(ctx, b)
	q := dbsqlc.New(replayed{results})
	if _, err = q.InstanceEnvironment(ctx, instanceID); err == nil {
		have, err = q.MetricSources(ctx)
	}
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return have, err
}

// WorkloadSeries tells what the replicas of a workload did, for each step from one
// time to another in which any of them reported: of each replica the mean within the
// step, and of these the sum and the mean, each for as long as it ran. Keys are found
// as by Readings. ErrInvalid when there are more than 20,000 steps, or more than
// 200,000 of all replicas.
func (s *Store) WorkloadSeries(ctx context.Context, w fleet.Workload, keys []fleet.MetricKey, from, to time.Time, step time.Duration) ([]fleet.WorkloadPoint, error) {
	db, err := s.claimed(ctx, setListClaims)
	if err != nil {
		return nil, err
	}
	if !from.Before(to) {
		return nil, nil
	}
	if step < time.Second || to.Sub(from)/step > maxSeriesPoints {
		return nil, fleet.FieldErrorf(fleet.ErrInvalid, "step", "a series has steps of a second at least, and %d of them at most; ask for a shorter range, or a larger step", maxSeriesPoints)
	}
	have, err := dbsqlc.New(db).MetricSources(ctx)
	if err != nil {
		return nil, translate("read metrics", err)
	}
	const mine = "instance_id IN (SELECT id FROM container_instances WHERE definition_id = $1 AND environment = $2)"
	points, posted, err := db.history(ctx, metricSpans(from, to, step, have), from, to, step,
		condition{mine, []any{w.DefinitionID, w.Environment}},
		condition{mine + " AND metric_name = ANY ($3)", []any{w.DefinitionID, w.Environment, postedNames(keys)}})
	if err == nil && len(posted) > maxPostedPoints {
		err = fleet.FieldErrorf(fleet.ErrInvalid, "step", "there are more than %d values of posted metrics in this range; ask for a shorter one, or a larger step", maxPostedPoints)
	}
	if err != nil {
		return nil, translate("read metrics", err)
	}
	return workloadPoints(points, posted, keys), nil
}

// reported is what an instance reported in a step, in so many samples.
type reported struct {
	values  map[fleet.MetricKey]float64
	samples int64
}

// workloadPoints puts together what the instances tell. Of types that share a name, the
// one that was posted last in a step is the one that counts.
func workloadPoints(points []measuredPoint, posted []postedRow, keys []fleet.MetricKey) []fleet.WorkloadPoint {
	steps := make(map[int64]map[string]*reported)
	of := func(at time.Time, instance string) *reported {
		instances := steps[at.UnixNano()]
		if instances == nil {
			instances = make(map[string]*reported)
			steps[at.UnixNano()] = instances
		}
		if instances[instance] == nil {
			instances[instance] = &reported{values: make(map[fleet.MetricKey]float64, len(keys))}
		}
		return instances[instance]
	}
	for _, p := range points {
		r := of(p.At, p.InstanceID)
		r.samples = p.samples
		for key, v := range measuredValues(orNaN(p.CPUPercent), orNaN(p.MemoryPercent), orNaN(p.RequestRate), orNaN(p.ResponseTime)) {
			if !math.IsNaN(v) {
				r.values[key] = v
			}
		}
	}
	for _, p := range slices.SortedStableFunc(slices.Values(posted), func(a, b postedRow) int { return a.newest.Compare(b.newest) }) {
		for _, key := range postedKeys(p.kind, p.name) {
			of(p.at, p.instance).values[key] = p.value
		}
	}
	order := slices.Sorted(maps.Keys(steps))
	series := make([]fleet.WorkloadPoint, len(order))
	for k, at := range order {
		before, after := steps[at], steps[at] // at the ends, all are taken to have been there, and to stay
		if k > 0 {
			before = steps[order[k-1]]
		}
		if k+1 < len(order) {
			after = steps[order[k+1]]
		}
		series[k] = workloadPoint(time.Unix(0, at).UTC(), steps[at], shares(before, steps[at], after), keys)
	}
	return series
}

// shares are the parts of a step that its instances ran for. Those that had reported
// before it and went on afterwards did so all the time; of one that came or went in it
// the number of samples tells, beside that of the others, or of the steps around it.
func shares(before, now, after map[string]*reported) map[string]float64 {
	shares := make(map[string]float64, len(now))
	var stayed, most int64
	for id, r := range now {
		if before[id] != nil && after[id] != nil {
			shares[id] = 1
			stayed = max(stayed, r.samples)
		}
		most = max(most, r.samples)
	}
	if stayed > 0 {
		most = stayed
	} else {
		for _, around := range []map[string]*reported{before, after} {
			for _, r := range around {
				most = max(most, r.samples)
			}
		}
	}
	for id, r := range now {
		if shares[id] == 0 {
			shares[id] = 1
			if r.samples > 0 {
				shares[id] = min(1, float64(r.samples)/float64(most))
			}
		}
	}
	return shares
}

func workloadPoint(at time.Time, instances map[string]*reported, shares map[string]float64, keys []fleet.MetricKey) fleet.WorkloadPoint {
	p := fleet.WorkloadPoint{At: at, Values: make(map[fleet.MetricKey]fleet.WorkloadValue, len(keys))}
	ran := 0.0
	for _, share := range shares {
		ran += share
	}
	p.Instances = max(1, int(math.Round(ran)))
	for _, key := range keys {
		var v fleet.WorkloadValue
		weight := 0.0
		for id, r := range instances {
			if x, ok := r.values[key]; ok {
				v.Instances++
				v.Sum += x * shares[id]
				weight += shares[id]
			}
		}
		if v.Instances > 0 {
			v.Mean = v.Sum / weight
			p.Values[key] = v
		}
	}
	return p
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}
