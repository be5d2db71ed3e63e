package traffic

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// storedTraffic is a registry in memory that can be away.
type storedTraffic struct {
	mu       sync.Mutex
	traffic  fleet.Traffic
	away     error
	changes  chan struct{}
	beats    int
	calls    []string // followed, unfollowed, drained and so on, in order
	loads    [][]fleet.Load
	snapshot int // how often the traffic was read
}

func (r *storedTraffic) do(f func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away != nil {
		return r.away
	}
	f()
	return nil
}

func (r *storedTraffic) Traffic(context.Context) (t fleet.Traffic, err error) {
	err = r.do(func() { t, r.snapshot = r.traffic, r.snapshot+1 })
	return t, err
}

func (r *storedTraffic) TrafficChanges(context.Context) <-chan struct{} { return r.changes }

func (r *storedTraffic) Follow(context.Context, string, string) error {
	return r.do(func() { r.beats++ })
}

func (r *storedTraffic) Unfollow(context.Context, string) error {
	return r.do(func() { r.calls = append(r.calls, "unfollow") })
}

func (r *storedTraffic) RecordDrained(_ context.Context, _ string, ids []string) error {
	return r.do(func() { r.calls = append(r.calls, "drained "+strings.Join(ids, " ")) })
}

func (r *storedTraffic) RecordLoads(_ context.Context, _ string, loads []fleet.Load) error {
	return r.do(func() { r.loads = append(r.loads, loads) })
}

func (r *storedTraffic) set(away error, t fleet.Traffic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away, r.traffic = away, t
}

func (r *storedTraffic) beaten() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.beats
}

func (r *storedTraffic) recorded() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// listener is a receiver that is busy with some instances.
type listener struct {
	mu       sync.Mutex
	received []fleet.Traffic
	busy     map[string]bool
}

func (l *listener) Receive(t fleet.Traffic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received = append(l.received, t)
}

func (l *listener) Drained(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.busy[id]
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.received)
}

func (l *listener) last() fleet.Traffic {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.received) == 0 {
		return fleet.Traffic{}
	}
	return l.received[len(l.received)-1]
}

func (l *listener) free(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, id)
}

// follow runs a follower for the test.
func follow(t *testing.T, r *storedTraffic, meter Meter, idle chan struct{}, receivers ...Receiver) *Follower {
	t.Helper()
	f := NewFollower(FollowerConfig{Store: r, Receivers: receivers, Meter: meter, Idle: idle, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

func servicesNamed(names ...string) fleet.Traffic {
	var t fleet.Traffic
	for _, n := range names {
		t.Services = append(t.Services, fleet.Service{Name: n, Environment: "staging"})
	}
	return t
}

func TestFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &storedTraffic{changes: make(chan struct{}, 1), traffic: servicesNamed("a")}
		l := &listener{}
		follow(t, r, nil, nil, l)
		synctest.Wait()
		if !reflect.DeepEqual(l.last(), servicesNamed("a")) || r.beaten() != 1 {
			t.Fatalf("at the start: %v, %d beats", l.last(), r.beaten())
		}
		r.set(nil, servicesNamed("b"))
		r.changes <- struct{}{}
		synctest.Wait()
		if !reflect.DeepEqual(l.last(), servicesNamed("b")) {
			t.Error("a change that was told did not arrive at once")
		}
		r.set(nil, servicesNamed("c"))
		time.Sleep(pollEvery + time.Millisecond)
		synctest.Wait()
		if !reflect.DeepEqual(l.last(), servicesNamed("c")) {
			t.Error("a change that was not told did not arrive with the next poll")
		}

		r.set(errors.New("away"), servicesNamed())
		received := l.count()
		time.Sleep(time.Minute)
		synctest.Wait()
		if l.count() != received {
			t.Error("receivers got something while the registry was away")
		}
		r.set(nil, servicesNamed("d"))
		time.Sleep(pollEvery + time.Millisecond)
		synctest.Wait()
		if !reflect.DeepEqual(l.last(), servicesNamed("d")) {
			t.Error("the follower did not go on when the registry was back")
		}
		beats := r.beaten()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := r.beaten() - beats; n < 12 { // every 15 s it would be taken for gone
			t.Errorf("%d beats in a minute", n)
		}
	})
}

// An instance is reported when the last receiver has let go of it, once, and again
// when it drains for a second time.
func TestReportsWhatHasDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &storedTraffic{changes: make(chan struct{}, 1), traffic: fleet.Traffic{Draining: []string{"x", "y"}}}
		one, two := &listener{busy: map[string]bool{"x": true}}, &listener{busy: map[string]bool{"x": true}}
		idle := make(chan struct{}, 1)
		f := follow(t, r, nil, idle, one, two)
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			if got := r.recorded(); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		expect("y is idle", "drained y")
		one.free("x")
		time.Sleep(time.Minute)
		expect("one of two receivers let go of x", "drained y")
		two.free("x")
		idle <- struct{}{}
		expect("both let go of x", "drained y", "drained x")
		time.Sleep(time.Minute)
		expect("later", "drained y", "drained x")
		r.set(nil, fleet.Traffic{Draining: []string{"y"}})
		time.Sleep(pollEvery + time.Millisecond)
		r.set(nil, fleet.Traffic{Draining: []string{"x", "y"}})
		time.Sleep(pollEvery + time.Millisecond)
		expect("x drains again", "drained y", "drained x", "drained x")
		if err := f.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		expect("it leaves", "drained y", "drained x", "drained x", "unfollow")
	})
}

// While the registry is away nothing is forgotten that has to be reported.
func TestReportsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &storedTraffic{changes: make(chan struct{}, 1), traffic: fleet.Traffic{Draining: []string{"x"}}}
		l := &listener{busy: map[string]bool{"x": true}}
		follow(t, r, nil, nil, l)
		synctest.Wait()
		r.set(errors.New("away"), r.traffic)
		l.free("x")
		time.Sleep(time.Minute)
		r.set(nil, r.traffic)
		time.Sleep(pollEvery + time.Millisecond)
		synctest.Wait()
		if got := r.recorded(); !slices.Equal(got, []string{"drained x"}) {
			t.Errorf("reported %q", got)
		}
	})
}

type fixedMeter []fleet.Load

func (m fixedMeter) Loads() []fleet.Load { return m }

func TestWritesLoadsEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &storedTraffic{changes: make(chan struct{}, 1)}
		follow(t, r, fixedMeter{{EndpointID: "x", RequestRate: 5}}, nil)
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.loads) != 10 || r.loads[0][0].RequestRate != 5 {
			t.Errorf("in 10 s: %d writes", len(r.loads))
		}
	})
}

// TestWritesIdleLoadsLessOften: that there is no load is written anew before it expires.
func TestWritesIdleLoadsLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &storedTraffic{changes: make(chan struct{}, 1)}
		follow(t, r, fixedMeter{{EndpointID: "busy", RequestRate: 5}, {EndpointID: "waiting", InFlight: 1}, {EndpointID: "idle"}}, nil)
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		written := map[string]int{}
		for _, loads := range r.loads {
			for _, l := range loads {
				written[l.EndpointID]++
			}
		}
		if want := map[string]int{"busy": 10, "waiting": 10, "idle": 2}; !maps.Equal(written, want) {
			t.Errorf("in 10 s wrote %v, want %v", written, want)
		}
	})
}

func TestSnapshotFile(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	path := filepath.Join(t.TempDir(), "traffic.json")
	if _, found, err := ReadSnapshot(path); found || err != nil {
		t.Fatalf("no file: %v, %v", found, err)
	}
	now := time.Now().UTC()
	want := fleet.Traffic{
		Services:  []fleet.Service{{Name: "api", Environment: "staging"}},
		Endpoints: []fleet.Endpoint{{ID: "a", URL: "http://10.0.0.1:80", Healthy: true, Weight: 50, Metadata: map[string]string{"k": "v"}, RegisteredAt: now, TTL: time.Second}},
		Splits:    []fleet.Split{{DefinitionID: "d", Weight: 10}},
		Routes:    []fleet.Route{{ID: "r", Hosts: []string{"h"}, PathPrefixes: []string{"/"}}},
	}
	s := NewSnapshotFile(path, log)
	with := want
	with.Endpoints = slices.Clone(want.Endpoints)
	with.Endpoints[0].LastHeartbeat = now
	s.Receive(with)
	got, found, err := ReadSnapshot(path)
	if !found || err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("read %+v, %v, %v", got, found, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	with.Endpoints[0].LastHeartbeat = now.Add(time.Hour)
	s.Receive(with)
	if again, err := os.Stat(path); err != nil || !os.SameFile(info, again) {
		t.Error("a heartbeat had the file written anew")
	}
	for _, content := range []string{"", "{", `{"version": 2}`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, found, err := ReadSnapshot(path); found || err == nil {
			t.Errorf("content %q: found %v, error %v", content, found, err)
		}
	}
	NewSnapshotFile(filepath.Join(t.TempDir(), "missing", "x"), log).Receive(want) // is logged, and no more
}

// What Prometheus sees is what happened.
func TestCollects(t *testing.T) {
	w := newWorld(t)
	id := w.instance("api", says("ok"))
	for range 3 {
		w.get("api", "/")
	}
	w.get("nobody", "/")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(w.Balancer)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string, labels map[string]string) float64 {
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == name && fits(m, labels) {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
		return -1
	}
	instance := map[string]string{"environment": "staging", "service": "api", "instance": id}
	for name, want := range map[string]float64{
		"wedsync_balancer_answers_total": 3, "wedsync_balancer_response_seconds": 3, "wedsync_balancer_requests_in_flight": 0,
		"wedsync_balancer_retries_total": 0, "wedsync_balancer_ejections_total": 0,
	} {
		if got := value(name, instance); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := value("wedsync_balancer_refusals_total", map[string]string{"reason": "unknown_host"}); got != 1 {
		t.Errorf("refusals are %v", got)
	}
	loads := w.Loads()
	if len(loads) != 1 || loads[0].EndpointID != id || loads[0].RequestRate <= 0 || loads[0].P99 <= 0 || loads[0].ErrorRate != 0 {
		t.Errorf("loads are %+v", loads)
	}
}

func fits(m *dto.Metric, labels map[string]string) bool {
	found := 0
	for _, l := range m.GetLabel() {
		if want, ok := labels[l.GetName()]; ok && want == l.GetValue() {
			found++
		}
	}
	return found == len(labels)
}
