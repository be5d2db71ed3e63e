package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// fakeStore is a database in memory.
type fakeStore struct {
	mu      sync.Mutex
	targets []fleet.MetricTarget
	loads   []fleet.Load
	counts  []fleet.WorkloadCount
	cycles  [][]fleet.Sample
	usage   []map[string]fleet.Usage
	locked  int // how many times usage is not written yet
	reads   int // of targets
	fail    error
	delay   time.Duration
}

func (s *fakeStore) MetricTargets(context.Context) ([]fleet.MetricTarget, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	return slices.Clone(s.targets), nil
}

func (s *fakeStore) Loads(context.Context) ([]fleet.Load, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads, nil
}

func (s *fakeStore) RecordSamples(_ context.Context, samples []fleet.Sample) error {
	s.mu.Lock()
	delay, fail := s.delay, s.fail
	s.delay = 0
	s.mu.Unlock()
	time.Sleep(delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	if fail == nil {
		s.cycles = append(s.cycles, samples)
	}
	return fail
}

func (s *fakeStore) RecordUsage(_ context.Context, usage map[string]fleet.Usage) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usage = append(s.usage, usage)
	if s.locked--; s.locked >= 0 {
		return nil, nil
	}
	return slices.Collect(maps.Keys(usage)), nil
}

func (s *fakeStore) WorkloadCounts(context.Context) ([]fleet.WorkloadCount, error) {
	return s.counts, s.fail
}

func (s *fakeStore) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// fakeEngine has containers that each use one processor, in the time of the test.
type fakeEngine struct {
	mu    sync.Mutex
	began time.Time
	run   string
	asked [][]string
	disks [][]string // that were asked for; nil for all
}

func (e *fakeEngine) Stats(_ context.Context, ids []string) []fleet.ContainerStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, ids)
	stats := make([]fleet.ContainerStats, len(ids))
	for k := range stats {
		now := time.Now()
		stats[k] = fleet.ContainerStats{Known: true, At: now, Run: e.run, CPU: now.Sub(e.began), MemoryBytes: 8 << 20, HasNetwork: true, NetworkRx: 5, NetworkTx: 6}
	}
	return stats
}

func (e *fakeEngine) DiskUsage(_ context.Context, ids []string) (map[string]int64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.disks = append(e.disks, ids)
	if ids == nil {
		ids = []string{"c1"}
	}
	sizes := make(map[string]int64)
	for _, id := range ids {
		sizes[id] = 3 << 20
	}
	return sizes, nil
}

func (e *fakeEngine) Machine(context.Context) (fleet.Machine, error) {
	return fleet.Machine{Processors: 4, MemoryBytes: 1 << 30}, nil
}

func target(n int) fleet.MetricTarget {
	return fleet.MetricTarget{
		InstanceID: fmt.Sprintf("i%d", n), Environment: "staging", DefinitionName: "api", ServiceName: "api", ContainerID: fmt.Sprintf("c%d", n),
		Health: fleet.HealthHealthy, Restarts: 2, CPULimit: 2, MemoryLimit: 16 << 20,
	}
}

func newTest(interval time.Duration) (*Collector, *fakeStore, *fakeEngine) {
	s, e := &fakeStore{targets: []fleet.MetricTarget{target(1)}}, &fakeEngine{began: time.Now(), run: "first"}
	return NewCollector(Config{Store: s, Engine: e, Interval: interval, Logger: slog.New(slog.DiscardHandler)}), s, e
}

// running runs the collector during f, in a bubble.
func running(t *testing.T, c *Collector, f func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	f()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestSampleOf(t *testing.T) {
	at := time.Date(2026, 6, 6, 8, 30, 0, 0, time.UTC)
	read := func(run string, cpu, after time.Duration) fleet.ContainerStats {
		return fleet.ContainerStats{Known: true, At: at.Add(after), Run: run, CPU: cpu, MemoryBytes: 4 << 20}
	}
	begun := read("b", time.Second, time.Second)
	begun.Started = at.Add(-time.Second)
	old := begun
	old.Started = at.Add(-time.Hour)
	unlimited := target(1)
	unlimited.CPULimit, unlimited.MemoryLimit = 0, 0
	machine := fleet.Machine{Processors: 4, MemoryBytes: 64 << 20}
	none := math.NaN()
	for name, c := range map[string]struct {
		target               fleet.MetricTarget
		machine              fleet.Machine
		before, now          fleet.ContainerStats
		cores, share, memory float64
	}{
		"of the limit":           {target(1), machine, read("a", time.Second, 0), read("a", 2*time.Second, time.Second), 1, 50, 25},
		"of the machine":         {unlimited, machine, read("a", time.Second, 0), read("a", 2*time.Second, time.Second), 1, 25, 6.25},
		"machine unknown":        {unlimited, fleet.Machine{}, read("a", time.Second, 0), read("a", 2*time.Second, time.Second), 1, none, none},
		"first reading":          {target(1), machine, fleet.ContainerStats{}, read("a", 2*time.Second, time.Second), none, none, 25},
		"restarted":              {target(1), machine, read("a", time.Hour, 0), read("b", time.Second, time.Second), none, none, 25},
		"restarted a moment ago": {target(1), machine, read("a", time.Hour, 0), begun, 0.5, 25, 25},
		"began long ago":         {target(1), machine, fleet.ContainerStats{}, old, none, none, 25},
		"counter fell":           {target(1), machine, read("a", time.Hour, 0), read("a", time.Second, time.Second), none, none, 25},
		"no time between":        {target(1), machine, read("a", 0, time.Second), read("a", time.Second, time.Second), none, none, 25},
	} {
		t.Run(name, func(t *testing.T) {
			s, ok := sampleOf(at, c.target, c.machine, c.before, c.now, time.Second, nil)
			if !ok || !is(s.CPUCores, c.cores) || !is(s.CPUPercent, c.share) || !is(s.MemoryPercent, c.memory) || !is(s.MemoryMB, 4) || *s.Restarts != 2 || s.RequestRate != nil || s.NetworkRx != nil {
				t.Errorf("%t, cores %v, %v %%, memory %v %%", ok, show(s.CPUCores), show(s.CPUPercent), show(s.MemoryPercent))
			}
		})
	}
	if _, ok := sampleOf(at, target(1), machine, read("a", 0, 0), fleet.ContainerStats{}, time.Second, nil); ok {
		t.Error("made a sample of nothing")
	}
	s, ok := sampleOf(at, target(1), machine, read("a", 0, 0), fleet.ContainerStats{}, time.Second, &load{readings: 2, requests: 4, weighted: 60})
	if !ok || !is(s.RequestRate, 2) || !is(s.ResponseTime, 15) || s.MemoryMB != nil {
		t.Errorf("of what the balancers tell: %t, %+v", ok, s)
	}
}

func TestFinite(t *testing.T) {
	for v, want := range map[float64]float64{1.5: 1.5, 0: 0, -2: -2, 1e-300: 0, 1e300: math.NaN(), math.Inf(1): math.NaN(), math.Inf(-1): math.NaN()} {
		if got := finite(v); !is(got, want) {
			t.Errorf("%v is kept as %v, want %v", v, show(got), want)
		}
	}
	if finite(math.NaN()) != nil {
		t.Error("kept what is no number")
	}
}

// is compares; NaN stands for nothing.
func is(v *float64, want float64) bool {
	if v == nil {
		return math.IsNaN(want)
	}
	return math.Abs(*v-want) < 1e-9
}

func show(v *float64) any {
	if v == nil {
		return nil
	}
	return *v
}

func TestLoads(t *testing.T) {
	all := loads{}
	all.add([]fleet.Load{{EndpointID: "a", RequestRate: 3, P95: 10}, {EndpointID: "a", RequestRate: 1, P95: 50}, {EndpointID: "b"}})
	all.add([]fleet.Load{{EndpointID: "a", RequestRate: 12, P95: 10}})
	if a := all["a"]; a.rate() != 8 || a.responseTime() != 20 {
		t.Errorf("rate %v, response time %v; want the mean of 4 and 12, and of 50 ms for 4 and 10 ms for 12", a.rate(), a.responseTime())
	}
	if b := all["b"]; b.rate() != 0 || b.responseTime() != 0 {
		t.Errorf("rate %v, response time %v without requests", b.rate(), b.responseTime())
	}
}

// TestCycles: rows come at multiples of the interval, and whoever waits for them is told.
func TestCycles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, e := newTest(10 * time.Second)
		written := 0
		c.Written = func() { written++ }
		running(t, c, func() {
			time.Sleep(45 * time.Second)
			synctest.Wait()
			s.change(func() {
				if len(s.cycles) < 5 || written != len(s.cycles) {
					t.Fatalf("%d cycles, %d told of", len(s.cycles), written)
				}
				for k, cycle := range s.cycles[1:] {
					if len(cycle) != 1 || cycle[0].At.UnixNano()%int64(10*time.Second) != 0 || !is(cycle[0].CPUCores, 1) || !is(cycle[0].CPUPercent, 50) {
						t.Errorf("cycle %d is %+v", k+1, cycle)
					}
				}
				if last := s.cycles[len(s.cycles)-1][0]; !is(last.DiskMB, 3) || *last.NetworkTx != 6 {
					t.Errorf("the last sample is %+v", last)
				}
			})
		})
		if last := e.asked[len(e.asked)-1]; len(last) != 0 {
			t.Errorf("holds on to %v after the end", last)
		}
	})
}

// TestSlowCycle: cycles that are due while one takes too long are missed, not made up
// for; the period holds afterwards.
func TestSlowCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, _ := newTest(time.Second)
		running(t, c, func() {
			time.Sleep(3500 * time.Millisecond)
			s.change(func() { s.delay = 2700 * time.Millisecond })
			time.Sleep(6 * time.Second)
			synctest.Wait()
			h := c.Health()
			if h.Missed != 2 && h.Missed != 3 || h.Failed != 0 {
				t.Errorf("health is %+v", h)
			}
			s.change(func() {
				var times []time.Time
				for _, cycle := range s.cycles {
					times = append(times, cycle[0].At)
				}
				for k := 1; k < len(times); k++ {
					if d := times[k].Sub(times[k-1]); d < time.Second && k > 1 || d > 4*time.Second {
						t.Errorf("cycles are at %v", times)
					}
				}
			})
		})
	})
}

// TestFailedCycle: nobody is told of rows that were not written, and the next cycle is tried.
func TestFailedCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, _ := newTest(time.Second)
		written := 0
		c.Written = func() { written++ }
		s.fail = errors.New("away")
		running(t, c, func() {
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if h := c.Health(); h.Failed < 2 || h.Failed != h.Cycles || written != 0 {
				t.Errorf("health is %+v, told %d times", h, written)
			}
			s.change(func() { s.fail = nil })
			time.Sleep(1500 * time.Millisecond)
			synctest.Wait()
			if written == 0 || written != len(s.cycles) {
				t.Errorf("told %d times of %d cycles", written, len(s.cycles))
			}
		})
	})
}

// TestTargets: the list of instances is not read each second, but when one was started.
func TestTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, _ := newTest(time.Second)
		running(t, c, func() {
			time.Sleep(3500 * time.Millisecond)
			synctest.Wait()
			s.change(func() {
				if s.reads != 1 {
					t.Errorf("read the list %d times in 3 seconds", s.reads)
				}
				s.targets = append(s.targets, target(2))
			})
			c.Poke()
			time.Sleep(time.Second)
			synctest.Wait()
			s.change(func() {
				if last := s.cycles[len(s.cycles)-1]; len(last) != 2 {
					t.Errorf("measured %d instances after one was started, want 2", len(last))
				}
			})
		})
	})
}

// TestClockPutAnywhere: measuring goes on in its pace, by the clock as it is, however
// far that is put back or forward, and nothing counts as missed.
func TestClockPutAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, _ := newTest(10 * time.Second)
		var offset time.Duration
		c.clock = func() time.Time {
			s.mu.Lock()
			defer s.mu.Unlock()
			return time.Now().Add(offset)
		}
		running(t, c, func() {
			time.Sleep(35 * time.Second)
			for _, step := range []time.Duration{-time.Hour, 3 * time.Hour, -17 * time.Second, 13 * time.Second, -500 * time.Hour} {
				var before int
				s.change(func() { offset, before = offset+step, len(s.cycles) })
				time.Sleep(65 * time.Second)
				synctest.Wait()
				now := c.wall()
				s.change(func() {
					cycles := s.cycles[before:]
					if len(cycles) < 5 || len(cycles) > 7 {
						t.Fatalf("%d cycles in 65 seconds after the clock was put by %s", len(cycles), step)
					}
					if first := cycles[0][0].At; first.After(now.Add(-65*time.Second).Add(4*c.Interval)) || first.Before(now.Add(-65*time.Second).Add(-2*c.Interval)) {
						t.Errorf("after the clock was put by %s, the first cycle was of %s; it is %s", step, first, now)
					}
					for _, cycle := range cycles[1:] {
						if at := cycle[0].At; at.UnixNano()%int64(c.Interval) != 0 || at.After(now) {
							t.Errorf("after the clock was put by %s, a cycle was of %s; it is %s", step, at, now)
						}
					}
				})
			}
		})
		if h := c.Health(); h.Missed != 0 {
			t.Errorf("health is %+v, want none missed", h)
		}
	})
}

// TestNextCycle: a clock that is put while a cycle is at work has the next one neither
// wait nor be of another time.
func TestNextCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := newTest(10 * time.Second)
		now := time.Now().Round(0).Truncate(time.Minute).Add(3 * time.Second)
		c.clock = func() time.Time { return now }
		for planned, want := range map[time.Duration]time.Duration{ // from now on
			7 * time.Second: 7 * time.Second, 17 * time.Second: 17 * time.Second, 0: 0,
			-time.Second: 7 * time.Second, -time.Hour: 7 * time.Second, time.Hour: 7 * time.Second,
		} {
			if due, at := c.next(now.Add(planned)); !at.Equal(now.Add(want)) || time.Until(due) != want {
				t.Errorf("planned %s from now, the next cycle is due in %s and of %s from now; want %s", planned, time.Until(due), at.Sub(now), want)
			}
		}
	})
}

// TestFreshDisks: of a container that is new the writable layer is measured soon, and
// those of all others at their own pace.
func TestFreshDisks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, e := newTest(time.Second)
		running(t, c, func() {
			time.Sleep(30 * time.Second)
			s.change(func() { s.targets = append(s.targets, target(2)) })
			c.Poke()
			time.Sleep(diskEvery - 25*time.Second)
			synctest.Wait()
			e.mu.Lock()
			defer e.mu.Unlock()
			if want := [][]string{nil, {"c2"}, nil}; !slices.EqualFunc(e.disks, want, slices.Equal) || e.disks[2] != nil {
				t.Errorf("asked for %q, want all, the new one, and all again", e.disks)
			}
			s.change(func() {
				before := s.cycles[len(s.cycles)-30]
				if len(before) != 2 || !is(before[0].DiskMB, 3) || !is(before[1].DiskMB, 3) {
					t.Errorf("before all were measured again, the samples were %+v", before)
				}
			})
		})
	})
}

// TestUsage: the instances' rows are written at once where nothing is written yet, and
// then twice a minute, where something changed.
func TestUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, _ := newTest(time.Second)
		running(t, c, func() {
			time.Sleep(2500 * time.Millisecond)
			synctest.Wait()
			s.change(func() {
				if len(s.usage) != 1 {
					t.Errorf("wrote usage %v in the first seconds, want it once, as soon as it was known", s.usage)
				}
			})
			time.Sleep(95 * time.Second)
			synctest.Wait()
			s.change(func() {
				if len(s.usage) != 1 || s.usage[0]["i1"].CPUPercent != 50 || s.usage[0]["i1"].MemoryMB != 8 {
					t.Errorf("wrote usage %v, want it once, as it does not change", s.usage)
				}
			})
		})
	})
}

// TestUsageIsTriedAgain: what was passed by is not taken to be written.
func TestUsageIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, _ := newTest(time.Second)
		s.locked = 2
		running(t, c, func() {
			time.Sleep(25 * time.Second)
			synctest.Wait()
			s.change(func() {
				if len(s.usage) != 3 {
					t.Errorf("wrote usage %d times, want two more than it takes, as the row was locked twice", len(s.usage))
				}
			})
		})
	})
}

// TestLoadsBetweenCycles: a long interval's request rate is not that of one second.
func TestLoadsBetweenCycles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, _ := newTest(30 * time.Second)
		running(t, c, func() {
			time.Sleep(time.Until(time.Now().Truncate(30 * time.Second).Add(60 * time.Second)))
			synctest.Wait()
			s.change(func() { s.loads = []fleet.Load{{EndpointID: "i1", RequestRate: 10, P95: 4}} })
			time.Sleep(16 * time.Second)
			synctest.Wait()
			s.change(func() { s.loads = []fleet.Load{{EndpointID: "i1", RequestRate: 0}} })
			time.Sleep(15 * time.Second)
			synctest.Wait()
			s.change(func() {
				last := s.cycles[len(s.cycles)-1][0]
				if last.RequestRate == nil || *last.RequestRate < 4 || *last.RequestRate > 6 || !is(last.ResponseTime, 4) {
					t.Errorf("request rate %v, response time %v; half of the time it was 10", show(last.RequestRate), show(last.ResponseTime))
				}
			})
		})
	})
}

func TestPrometheus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, _ := newTest(time.Second)
		s.counts = []fleet.WorkloadCount{{Environment: "staging", DefinitionName: "api", ServiceName: "api", Wanted: 3, Running: 2, Healthy: 1}}
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(c)
		running(t, c, func() {
			time.Sleep(2500 * time.Millisecond)
			synctest.Wait()
			const labels = `{definition=api,environment=staging,instance=i1,service=api}`
			got := gathered(t, registry)
			for series, want := range map[string]float64{
				"wedsync_instance_cpu_percent" + labels: 50, "wedsync_instance_memory_bytes" + labels: 8 << 20, "wedsync_instance_restarts_total" + labels: 2,
				"wedsync_instance_healthy" + labels: 1, "wedsync_instance_network_transmit_bytes_total" + labels: 6, "wedsync_leader{}": 1,
				"wedsync_workload_replicas_wanted{definition=api,environment=staging,service=api}": 3,
			} {
				if v, ok := got[series]; !ok || v != want {
					t.Errorf("%s is %v, %t; want %v", series, v, ok, want)
				}
			}
			s.change(func() { s.targets = nil })
			c.Poke()
			time.Sleep(time.Second)
			synctest.Wait()
			for series := range gathered(t, registry) {
				if strings.HasPrefix(series, "wedsync_instance_") {
					t.Errorf("%s of an instance that is gone", series)
				}
			}
		})
		for series, v := range gathered(t, registry) {
			if strings.HasPrefix(series, "wedsync_workload_") || series == "wedsync_leader{}" && v != 0 {
				t.Errorf("%s is %v where nobody leads", series, v)
			}
		}
	})
}

// gathered are the values of all gauges and counters.
func gathered(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := make([]string, 0, len(m.GetLabel()))
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			values[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

// fakeHouse counts what is done to it.
type fakeHouse struct {
	mu                  sync.Mutex
	rollUps, partitions int // left to do
	calls               map[string]int
	fail                map[string]error
	keep                fleet.MetricRetention
}

func (h *fakeHouse) call(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls == nil {
		h.calls = make(map[string]int)
	}
	h.calls[name]++
	return h.fail[name]
}

func (h *fakeHouse) Maintain(context.Context) error { return h.call("maintain") }

func (h *fakeHouse) RollUp(context.Context, time.Time) (bool, error) {
	h.rollUps--
	return h.rollUps > 0, h.call("roll up")
}

func (h *fakeHouse) DropMetrics(_ context.Context, keep fleet.MetricRetention) (string, error) {
	h.keep = keep
	if err := h.call("drop"); err != nil || h.partitions == 0 {
		return "", err
	}
	h.partitions--
	return "old", nil
}

func TestMaintainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHouse{rollUps: 3, partitions: 2}
		m := &Maintainer{Store: h, Retention: Retention{Samples: time.Hour, Rollups5m: 2 * time.Hour, Rollups1h: 3 * time.Hour}, Logger: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		start := time.Now()
		go func() { done <- m.Run(ctx) }()
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		if want := map[string]int{"maintain": 1, "roll up": 3 + 10, "drop": 3}; !maps.Equal(h.calls, want) {
			t.Errorf("did %v in ten minutes, want %v", h.calls, want)
		}
		if !h.keep.Samples.Equal(start.Add(-time.Hour)) || !h.keep.Rollups1h.Equal(start.Add(-3*time.Hour)) {
			t.Errorf("keeps %+v", h.keep)
		}
		h.mu.Lock()
		h.fail = map[string]error{"drop": errors.New("locked")}
		h.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		if h.calls["drop"] < 5 || h.calls["maintain"] < 3 {
			t.Errorf("did %v, want what failed to be tried again", h.calls)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestMaintainerGoesOn: what fails does not keep the rest from being done.
func TestMaintainerGoesOn(t *testing.T) {
	broken := errors.New("broken")
	h := &fakeHouse{fail: map[string]error{"maintain": broken, "roll up": broken}}
	m := &Maintainer{Store: h, Logger: slog.New(slog.DiscardHandler)}
	if err := m.runOnce(t.Context(), time.Now(), true); !errors.Is(err, broken) || h.calls["drop"] != 1 {
		t.Errorf("%v; did %v", err, h.calls)
	}
}
