package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	// usageEvery is how often the instances' rows are brought up to date, at most.
	usageEvery = 30 * time.Second
	// diskEvery is the time between two measurements of writable layers, and
	// freshDiskEvery is so where one has not been measured yet.
	diskEvery      = 5 * time.Minute
	freshDiskEvery = 20 * time.Second
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
	return &Collector{Config: c, stale: make(chan struct{}, 1)}
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
// that takes longer has those missed that were due meanwhile.
func (c *Collector) cycles(ctx context.Context) error {
	due := time.Now()
	for {
		if err := c.sleepUntil(ctx, due); err != nil {
			return err
		}
		start := time.Now()
		stages, rows, err := c.runOnce(ctx, due)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		took := time.Since(start)
		next := due.Truncate(c.Interval).Add(c.Interval)
		if next.Sub(due) < c.Interval/2 { // after the first: a rate needs some time
			next = next.Add(c.Interval)
		}
		missed := uint64(0)
		if now := time.Now(); now.After(next) {
			missed = uint64(now.Sub(next)/c.Interval) + 1
			next = now.Truncate(c.Interval).Add(c.Interval)
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
		due = next
	}
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
		pause := time.Until(time.Now().Truncate(every).Add(every))
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
	if err := took.time("list instances", func() error { return c.readTargets(ctx, at) }); err != nil {
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
	err = took.time("write usage", func() error { return c.recordUsage(ctx, at, samples) })
	return took, len(samples), err
}

// readTargets reads the list of instances, if it may be out of date.
func (c *Collector) readTargets(ctx context.Context, at time.Time) error {
	stale := false
	select {
	case <-c.stale:
		stale = true
	default:
	}
	if !stale && at.Sub(c.targetsRead) < targetsEvery && !c.targetsRead.IsZero() {
		return nil
	}
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
	c.targets, c.targetsRead = targets, at
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
// or less than is written there.
func (c *Collector) recordUsage(ctx context.Context, at time.Time, samples []fleet.Sample) error {
	if at.Sub(c.usageAt) < usageEvery && !c.usageAt.IsZero() {
		return nil
	}
	changed := make(map[string]fleet.Usage)
	present := make(map[string]fleet.Usage, len(samples))
	for _, s := range samples {
		before, known := c.written[s.InstanceID]
		now := usageOf(s)
		switch {
		case s.MemoryMB == nil || s.CPUPercent == nil: // it has just begun
			continue
		case known && !differs(before, now):
			present[s.InstanceID] = before
		default:
			changed[s.InstanceID], present[s.InstanceID] = now, now
		}
	}
	if len(changed) > 0 {
		if err := c.Store.RecordUsage(ctx, changed); err != nil {
			return err
		}
	}
	c.written, c.usageAt = present, at
	return nil
}

// measureDisks measures writable layers from time to time, apart from the cycles: it
// takes the engine seconds.
func (c *Collector) measureDisks(ctx context.Context) error {
	ticker := time.NewTicker(freshDiskEvery)
	defer ticker.Stop()
	var measured time.Time
	for {
		if time.Since(measured) >= diskEvery || c.unmeasured() {
			measured = time.Now()
			c.measureDisk(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// unmeasured reports whether there is an instance whose writable layer is not known.
func (c *Collector) unmeasured() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.shown.targets, func(t fleet.MetricTarget) bool {
		_, known := c.disk[t.ContainerID]
		return !known
	})
}

func (c *Collector) measureDisk(ctx context.Context) {
	sizes, err := c.Engine.DiskUsage(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.Logger.Warn("cannot measure writable layers", "error", err)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disk = sizes
}
