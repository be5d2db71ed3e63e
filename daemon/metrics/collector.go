package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// MinInterval is the shortest time between two cycles.
	MinInterval = time.Second

	// targetsEvery is how often, at most, the list of instances is read though nothing
	// was announced; loadsEvery how often the balancers' loads are, at least.
	targetsEvery = 5 * time.Second
	loadsEvery   = time.Second
	// loadReadings is how often loads are read within a long interval.
	loadReadings = 10
	// usageEvery is how often an instance's row is brought up to date, at most.
	usageEvery = 30 * time.Second
	// diskEvery is the time between two measurements of all writable layers, and
	// freshDiskEvery between two of those that have not been measured yet.
	diskEvery      = 5 * time.Minute
	freshDiskEvery = 10 * time.Second
)

// Config is what a Collector is made of.
type Config struct {
	Store  Store
	Engine Engine
	// Interval is the time between two cycles, MinInterval at least.
	Interval time.Duration
	Logger   *slog.Logger
	// Written is called after a cycle's rows were written; nil for nobody.
	Written func()
}

// Collector measures all running instances. It is safe for concurrent use, except
// for Run, of which there is one at a time.
type Collector struct {
	Config

	// Of the cycle alone.
	targets     []fleet.MetricTarget
	containers  []string
	targetsRead time.Time
	machine     fleet.Machine
	before      map[string]fleet.ContainerStats // by container
	loads       loads
	written     map[string]fleet.Usage
	usageAt     time.Time

	// clock tells the time of day, which may be put back or forward; what lies between
	// two moments is measured with time.Now, whose own clock only goes on.
	clock func() time.Time

	// stale says that the list of instances is out of date.
	stale chan struct{}

	mu sync.Mutex
	// disk are the sizes of writable layers by container.
	disk   map[string]int64
	shown  shown
	leads  bool
	health Health
}

// shown is what the last cycle measured, for Prometheus.
type shown struct {
	targets []fleet.MetricTarget
	samples map[string]fleet.Sample
	stats   map[string]fleet.ContainerStats // by instance
}

// Health tells how the Collector does.
type Health struct {
	// Cycles, Failed and Missed count those that were done, those of them that wrote
	// nothing, and those that were due while another took too long.
	Cycles, Failed, Missed uint64
	// Rows are those written in all.
	Rows uint64
	// Duration is that of the last cycle.
	Duration time.Duration
}

// NewCollector makes a Collector; Run sets it to work.
func NewCollector(c Config) *Collector {
	return &Collector{Config: c, clock: time.Now, stale: make(chan struct{}, 1)}
}

// Poke has the list of instances read anew in the next cycle, because one was started.
func (c *Collector) Poke() {
	select {
	case c.stale <- struct{}{}:
	default:
	}
}

// Health tells how it has gone since the Collector was made.
func (c *Collector) Health() Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

// Run measures until the context ends.
func (c *Collector) Run(ctx context.Context) error {
	ctx = fleet.AsSystem(ctx)
	c.begin()
	defer c.end()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.cycles(ctx) })
	group.Go(func() error { return c.measureDisks(ctx) })
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// begin forgets what an earlier Run knew: another daemon may have led since.
func (c *Collector) begin() {
	c.targets, c.containers, c.targetsRead = nil, nil, time.Time{}
	c.machine, c.before, c.loads, c.written, c.usageAt = fleet.Machine{}, nil, loads{}, make(map[string]fleet.Usage), time.Time{}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disk, c.shown, c.leads = nil, shown{}, true
}

// end lets go of the containers.
func (c *Collector) end() {
	c.Engine.Stats(context.Background(), nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown, c.leads = shown{}, false
}

// cycles runs one cycle at once and then one at each multiple of the interval. One
// that takes longer has those missed that were due meanwhile. However the clock is put,
// the next cycle is two intervals off at most.
func (c *Collector) cycles(ctx context.Context) error {
	due, at := time.Now(), c.wall()
	for {
		if err := c.sleepUntil(ctx, due); err != nil {
			return err
		}
		at = momentOf(at, c.wall(), c.Interval)
		start := time.Now()
		stages, rows, err := c.runOnce(ctx, at)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		took, gap := time.Since(start), gapAfter(at, c.Interval)
		missed := uint64(0)
		if late := time.Since(due) - gap; late > 0 {
			missed = uint64(late/c.Interval) + 1
		}
		c.account(took, rows, missed, err)
		switch {
		case err != nil:
			c.Logger.Warn("cannot measure instances", "error", err)
		case missed > 0:
			c.Logger.Warn("measuring instances took longer than the interval", "took", took, "interval", c.Interval, "missed", missed, "instances", len(c.targets), "slowest", stages.slowest())
		}
		if err == nil && c.Written != nil {
			c.Written()
		}
		due, at = c.next(at.Add(gap))
	}
}

// wall is what the clock shows, without the reading of the other that time.Time carries.
func (c *Collector) wall() time.Time { return c.clock().Round(0) }

// next is when the next cycle is due, and the time that it is of: as planned, or where
// that is over, or too far off by a clock that has been put back, the coming multiple
// of the interval.
func (c *Collector) next(planned time.Time) (due, at time.Time) {
	now := c.wall()
	if wait := planned.Sub(now); wait < 0 || wait > 2*c.Interval {
		planned = now.Truncate(c.Interval).Add(c.Interval)
	}
	return time.Now().Add(planned.Sub(now)), planned
}

// momentOf is the time of a cycle that is due: as planned, or the last multiple of the
// interval by a clock that has been put back or forward meanwhile.
func momentOf(planned, now time.Time, interval time.Duration) time.Time {
	if now.Sub(planned).Abs() > 2*interval {
		return now.Truncate(interval)
	}
	return planned
}

// gapAfter is from a time to the coming multiple of the interval, or where that is too
// soon to tell of a rate, to the one after it.
func gapAfter(at time.Time, interval time.Duration) time.Duration {
	gap := at.Truncate(interval).Add(interval).Sub(at)
	if gap < interval/2 {
		gap += interval
	}
	return gap
}

func (c *Collector) account(took time.Duration, rows int, missed uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.Cycles++
	c.health.Missed += missed
	c.health.Rows += uint64(max(0, rows))
	c.health.Duration = took
	if err != nil {
		c.health.Failed++
	}
}

// sleepUntil waits for the next cycle, and reads loads meanwhile if it is far off.
func (c *Collector) sleepUntil(ctx context.Context, due time.Time) error {
	every := max(loadsEvery, c.Interval/loadReadings)
	for {
		wait := time.Until(due)
		now := c.wall()
		pause := now.Truncate(every).Add(every).Sub(now)
		readLoads := wait > pause+every/2 // the cycle reads for itself
		if !readLoads {
			pause = wait
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		if !readLoads {
			return nil
		}
		if err := c.readLoads(ctx); err != nil && ctx.Err() == nil {
			c.Logger.Debug("cannot read the balancers' loads between two cycles", "error", err)
		}
	}
}

// stage is how long a part of a cycle took.
type stage struct {
	name string
	took time.Duration
}

type stages []stage

func (s *stages) time(name string, f func() error) error {
	start := time.Now()
	err := f()
	*s = append(*s, stage{name, time.Since(start)})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// slowest names the part that took longest.
func (s stages) slowest() string {
	var worst stage
	for _, one := range s {
		if one.took >= worst.took {
			worst = one
		}
	}
	return fmt.Sprintf("%s (%s)", worst.name, worst.took.Round(time.Millisecond))
}

// runOnce measures all instances once and writes a row for each.
func (c *Collector) runOnce(ctx context.Context, at time.Time) (took stages, rows int, err error) {
	at = at.UTC().Truncate(time.Microsecond)
	if err := took.time("list instances", func() error { return c.readTargets(ctx) }); err != nil {
		return took, 0, err
	}
	if err := took.time("read loads", func() error { return c.readLoads(ctx) }); err != nil {
		return took, 0, err
	}
	var stats []fleet.ContainerStats
	_ = took.time("read containers", func() error {
		stats = c.Engine.Stats(ctx, c.containers)
		return nil
	})
	samples := c.samples(at, stats)
	if err := took.time("write samples", func() error { return c.Store.RecordSamples(ctx, samples) }); err != nil {
		return took, 0, err
	}
	err = took.time("write usage", func() error { return c.recordUsage(ctx, samples) })
	return took, len(samples), err
}

// readTargets reads the list of instances, if it may be out of date.
func (c *Collector) readTargets(ctx context.Context) error {
	stale := false
	select {
	case <-c.stale:
		stale = true
	default:
	}
	if !stale && time.Since(c.targetsRead) < targetsEvery {
		return nil
	}
	now := time.Now()
	targets, err := c.Store.MetricTargets(ctx)
	if err != nil {
		c.Poke()
		return err
	}
	if c.machine == (fleet.Machine{}) && len(targets) > 0 {
		if c.machine, err = c.Engine.Machine(ctx); err != nil {
			c.Logger.Debug("the engine does not tell of its machine yet", "error", err)
		}
	}
	c.targets, c.targetsRead = targets, now
	c.containers = make([]string, len(targets))
	for k, t := range targets {
		c.containers[k] = t.ContainerID
	}
	return nil
}

func (c *Collector) readLoads(ctx context.Context) error {
	readings, err := c.Store.Loads(ctx)
	if err != nil {
		return err
	}
	c.loads.add(readings)
	return nil
}

// samples are those of the cycle, and what the next one and Prometheus need of it.
func (c *Collector) samples(at time.Time, stats []fleet.ContainerStats) []fleet.Sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	samples := make([]fleet.Sample, 0, len(c.targets))
	after := make(map[string]fleet.ContainerStats, len(stats))
	show := shown{targets: c.targets, samples: make(map[string]fleet.Sample, len(stats)), stats: make(map[string]fleet.ContainerStats, len(stats))}
	for k, t := range c.targets {
		s, ok := sampleOf(at, t, c.machine, c.before[t.ContainerID], stats[k], c.Interval, c.loads[t.InstanceID])
		if stats[k].Known {
			after[t.ContainerID], show.stats[t.InstanceID] = stats[k], stats[k]
		}
		if size, known := c.disk[t.ContainerID]; known && ok {
			s.DiskMB = new(float64(size) / mebibyte)
		}
		if ok {
			samples = append(samples, s)
			show.samples[t.InstanceID] = s
		}
	}
	c.before, c.loads, c.shown = after, loads{}, show
	return samples
}

// recordUsage brings the rows of those instances up to date that use noticeably more
// or less than is written there: of an instance that was not written yet at once, of
// the others from time to time.
func (c *Collector) recordUsage(ctx context.Context, samples []fleet.Sample) error {
	due := time.Since(c.usageAt) >= usageEvery
	changed := make(map[string]fleet.Usage)
	present := make(map[string]fleet.Usage, len(samples))
	for _, s := range samples {
		before, known := c.written[s.InstanceID]
		now := usageOf(s)
		switch {
		case known && (!due || !measured(s) || !differs(before, now)):
			present[s.InstanceID] = before
		case measured(s):
			changed[s.InstanceID] = now
		}
	}
	if len(changed) > 0 {
		written, err := c.Store.RecordUsage(ctx, changed)
		if err != nil {
			return err
		}
		for _, id := range written { // those passed by have their turn in the next cycle
			present[id] = changed[id]
		}
	}
	c.written = present
	if due {
		c.usageAt = time.Now()
	}
	return nil
}

// measured reports whether a sample tells what is shown of an instance; that of one
// that has just begun does not.
func measured(s fleet.Sample) bool { return s.MemoryMB != nil && s.CPUPercent != nil }

// measureDisks measures writable layers apart from the cycles, as it takes the engine
// seconds: all of them from time to time, and between that those of new containers.
func (c *Collector) measureDisks(ctx context.Context) error {
	ticker := time.NewTicker(freshDiskEvery)
	defer ticker.Stop()
	var all time.Time
	for {
		if time.Since(all) >= diskEvery {
			all = time.Now()
			c.measureDisk(ctx, nil)
		} else if fresh := c.unmeasured(); len(fresh) > 0 {
			c.measureDisk(ctx, fresh)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// unmeasured are the containers whose writable layers are not known.
func (c *Collector) unmeasured() (containers []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.shown.targets {
		if _, known := c.disk[t.ContainerID]; !known {
			containers = append(containers, t.ContainerID)
		}
	}
	return containers
}

// measureDisk measures the writable layers of some containers, or with nil of all.
func (c *Collector) measureDisk(ctx context.Context, containers []string) {
	sizes, err := c.Engine.DiskUsage(ctx, containers)
	if err != nil {
		if ctx.Err() == nil {
			c.Logger.Warn("cannot measure writable layers", "error", err)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if containers == nil || c.disk == nil {
		c.disk = sizes
		return
	}
	maps.Copy(c.disk, sizes)
}
