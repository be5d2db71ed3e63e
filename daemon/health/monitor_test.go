package health_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/health"
)

// store holds targets and hands out what is recorded.
type store struct {
	mu      sync.Mutex
	targets []fleet.HealthTarget
	updates chan fleet.HealthUpdate
	refuses string // the instance whose verdicts cannot be written
}

func (s *store) HealthTargets(context.Context) ([]fleet.HealthTarget, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.targets, nil
}

func (s *store) RecordHealth(ctx context.Context, updates []fleet.HealthUpdate) error {
	if slices.ContainsFunc(updates, func(u fleet.HealthUpdate) bool { return u.InstanceID == s.refuses }) {
		return fmt.Errorf("record health: %w", fleet.ErrInvalid)
	}
	for _, u := range updates {
		select {
		case s.updates <- u:
		case <-ctx.Done():
		}
	}
	return nil
}

func TestMonitor(t *testing.T) {
	tests := []struct {
		name   string
		answer func(n int64) int // status of the nth request
		want   fleet.Health
	}{
		{"healthy at once", func(int64) int { return http.StatusOK }, fleet.HealthHealthy},
		{"a redirect passes", func(int64) int { return http.StatusFound }, fleet.HealthHealthy},
		{"healthy after failures", func(n int64) int {
			if n < 4 {
				return http.StatusServiceUnavailable
			}
			return http.StatusNoContent
		}, fleet.HealthHealthy},
		{"unhealthy", func(int64) int { return http.StatusInternalServerError }, fleet.HealthUnhealthy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/health" || r.URL.RawQuery != "full=1" {
					t.Errorf("requested %s", r.URL)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.answer(requests.Add(1)))
			}))
			defer server.Close()
			s := &store{updates: make(chan fleet.HealthUpdate), targets: []fleet.HealthTarget{target(t, server.Listener.Addr().String())}}
			woken := make(chan fleet.Workload, 10)
			m := health.NewMonitor(health.Config{Store: s, Logger: slog.New(slog.DiscardHandler), Changed: func(w fleet.Workload) { woken <- w }})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- m.Run(ctx) }()
			for u := range updatesUntilChange(ctx, t, s) {
				if u.Changed && u.Health != tt.want {
					t.Errorf("verdict %s, want %s: %s", u.Health, tt.want, u.Result.Details)
				}
			}
			if w := <-woken; w.Environment != "staging" {
				t.Errorf("woke %v", w)
			}
			cancel()
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
}

// TestMonitorTellsOfStreaks: of an instance that is known to be settling, a break
// and a new beginning of its streak are written and told at once, and checks come
// in quick succession although they are meant to come once an hour.
func TestMonitorTellsOfStreaks(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	settling := target(t, server.Listener.Addr().String())
	since := settling.StartedAt.Add(-time.Minute)
	settling.Check.Interval, settling.Settling = 3600, time.Hour
	settling.Health, settling.HealthySince, settling.CheckedAt = fleet.HealthHealthy, &since, settling.StartedAt
	s := &store{updates: make(chan fleet.HealthUpdate), targets: []fleet.HealthTarget{settling}}
	woken := make(chan fleet.Workload, 10)
	m := health.NewMonitor(health.Config{Store: s, Logger: slog.New(slog.DiscardHandler), Changed: func(w fleet.Workload) { woken <- w }})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	next := func(what string) fleet.HealthUpdate {
		select {
		case u := <-s.updates:
			if u.Changed || u.Health != fleet.HealthHealthy || !u.StartedAt.Equal(settling.StartedAt) {
				t.Errorf("%s: %+v, want the verdict to hold, for the run that was checked", what, u)
			}
			return u
		case <-ctx.Done():
			t.Fatalf("not told of %s", what)
			return fleet.HealthUpdate{}
		}
	}
	if u := next("the first check"); u.HealthySince == nil || !u.HealthySince.Equal(since) {
		t.Errorf("healthy since %v, want %s as before", u.HealthySince, since)
	}
	if u := next("the break"); u.HealthySince != nil {
		t.Errorf("healthy since %s although a check failed", u.HealthySince)
	}
	<-woken
	if u := next("the new streak"); u.HealthySince == nil || !u.HealthySince.Equal(u.Result.Timestamp) {
		t.Errorf("healthy since %v, want %s", u.HealthySince, u.Result.Timestamp)
	}
	<-woken
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	if len(woken) != 0 {
		t.Error("told of a check that was no news")
	}
}

// TestMonitorFollowsTheSettlingTime: an instance that has settled, and is checked
// once an hour, is kept by a deployment that wants it healthy for longer. It is
// told of the check with which it is.
func TestMonitorFollowsTheSettlingTime(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	settled := target(t, server.Listener.Addr().String())
	settled.Check.Interval = 3600
	s := &store{updates: make(chan fleet.HealthUpdate), targets: []fleet.HealthTarget{settled}}
	woken := make(chan fleet.Workload, 10)
	m := health.NewMonitor(health.Config{Store: s, Logger: slog.New(slog.DiscardHandler), Changed: func(w fleet.Workload) { woken <- w }})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	next := func() fleet.HealthUpdate {
		select {
		case u := <-s.updates:
			return u
		case <-ctx.Done():
			t.Fatalf("not told of a check, after %d", requests.Load())
			return fleet.HealthUpdate{}
		}
	}
	first := next()
	longer := settled
	longer.Settling = time.Second
	longer.Health, longer.HealthySince, longer.CheckedAt = first.Health, first.HealthySince, first.Result.Timestamp
	s.mu.Lock()
	s.targets = []fleet.HealthTarget{longer}
	s.mu.Unlock()
	m.Poke()
	u := next()
	for u.Result.Timestamp.Before(first.HealthySince.Add(longer.Settling)) {
		u = next()
	}
	if u.Changed || u.HealthySince == nil || !u.HealthySince.Equal(*first.HealthySince) {
		t.Errorf("told of %+v, want the streak that began at %s", u, first.HealthySince)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}

// inside is an engine on which every command passes.
type inside struct{}

func (inside) RunCommand(_ context.Context, containerID string, _ []string) (fleet.CommandResult, error) {
	if containerID != "c" {
		return fleet.CommandResult{ExitCode: 1}, nil
	}
	return fleet.CommandResult{Output: "well"}, nil
}

func (inside) ImageHealth(context.Context, string) (fleet.ImageHealth, error) {
	return fleet.ImageHealth{Health: fleet.HealthHealthy}, nil
}

// TestMonitorWithoutAnAddress: what is on no network is checked from inside, and
// otherwise not at all.
func TestMonitorWithoutAnAddress(t *testing.T) {
	isolated := func(id, kind string) fleet.HealthTarget {
		return fleet.HealthTarget{
			InstanceID: id, ContainerID: "c", Workload: fleet.Workload{DefinitionID: "d", Environment: "staging"}, StartedAt: time.Now(), Health: fleet.HealthUnknown,
			Check: fleet.HealthCheck{Type: kind, Command: []string{"/check"}, Interval: 3600, Timeout: 1, Retries: 1},
		}
	}
	s := &store{updates: make(chan fleet.HealthUpdate), targets: []fleet.HealthTarget{isolated("1", "http"), isolated("2", "tcp"), isolated("3", "command"), isolated("4", "image")}}
	m := health.NewMonitor(health.Config{Store: s, Engine: inside{}, Logger: slog.New(slog.DiscardHandler), Changed: func(fleet.Workload) {}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	seen := make(map[string]fleet.Health)
	for len(seen) < 2 {
		select {
		case u := <-s.updates:
			seen[u.InstanceID] = u.Health
		case <-ctx.Done():
			t.Fatalf("told of %v only", seen)
		}
	}
	if seen["3"] != fleet.HealthHealthy || seen["4"] != fleet.HealthHealthy {
		t.Errorf("verdicts %v, want those of the command and the image", seen)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}

// updatesUntilChange yields updates up to the first that changed a verdict.
func updatesUntilChange(ctx context.Context, t *testing.T, s *store) func(func(fleet.HealthUpdate) bool) {
	return func(yield func(fleet.HealthUpdate) bool) {
		for {
			select {
			case u := <-s.updates:
				if !yield(u) || u.Changed {
					return
				}
			case <-ctx.Done():
				t.Fatal("no verdict has changed")
			}
		}
	}
}

func target(t *testing.T, address string) fleet.HealthTarget {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return fleet.HealthTarget{
		InstanceID: "i", Workload: fleet.Workload{DefinitionID: "d", Environment: "staging"}, Address: host, Port: number,
		Check:     fleet.HealthCheck{Endpoint: "/health?full=1", Interval: 1, Timeout: 30, Retries: 2},
		StartedAt: time.Now(), Health: fleet.HealthUnknown,
	}
}

// written has a monitor run meanwhile, in fake time: of which instances it wrote.
func written(t *testing.T, m *health.Monitor, s *store, meanwhile func()) map[string]bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	meanwhile()
	synctest.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	close(s.updates)
	seen := make(map[string]bool)
	for u := range s.updates {
		seen[u.InstanceID] = true
	}
	return seen
}

// hung is an engine whose commands do not end before their time has run out.
type hung struct{ inside }

func (hung) RunCommand(ctx context.Context, _ string, _ []string) (fleet.CommandResult, error) {
	<-ctx.Done()
	return fleet.CommandResult{TimedOut: true}, nil
}

// TestHungCommandsDelayNoOtherCheck: while more commands hang than checks are made at
// the same time, others are made all the same.
func TestHungCommandsDelayNoOtherCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{updates: make(chan fleet.HealthUpdate, 1000)}
		instance := func(id, kind string) {
			s.targets = append(s.targets, fleet.HealthTarget{
				InstanceID: id, ContainerID: "c", StartedAt: time.Now(), Health: fleet.HealthUnknown,
				Check: fleet.HealthCheck{Type: kind, Command: []string{"/check"}, Interval: 3600, Timeout: 3600, Retries: 1},
			})
		}
		for k := range 200 {
			instance("hangs "+strconv.Itoa(k), "command")
		}
		instance("other", "image")
		m := health.NewMonitor(health.Config{Store: s, Engine: hung{}, Logger: slog.New(slog.DiscardHandler), Changed: func(fleet.Workload) {}})
		seen := written(t, m, s, func() {
			time.Sleep(time.Second) // every slot that they can have is theirs by now
			s.mu.Lock()
			for k := range 20 {
				instance("later "+strconv.Itoa(k), "image")
			}
			s.mu.Unlock()
			time.Sleep(10 * time.Second)
		})
		if len(seen) != 21 {
			t.Errorf("%d others were checked, want 21", len(seen))
		}
	})
}

// TestOneThatIsBrokenStopsNoOther: an instance whose rules cannot be read, and one whose
// verdict cannot be written, are told of, the first one once; the others are checked.
func TestOneThatIsBrokenStopsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{updates: make(chan fleet.HealthUpdate, 1000), refuses: "refused"}
		for _, id := range []string{"first", "refused", "unreadable", "last"} {
			s.targets = append(s.targets, fleet.HealthTarget{
				InstanceID: id, ContainerID: "c", StartedAt: time.Now(), Health: fleet.HealthUnknown,
				Check: fleet.HealthCheck{Type: "image", Interval: 3600, Timeout: 1, Retries: 1},
			})
		}
		s.targets[2].Fault = errors.New("decode health_check_config: no")
		var logged strings.Builder
		m := health.NewMonitor(health.Config{
			Store: s, Engine: inside{}, Logger: slog.New(slog.NewTextHandler(&logged, nil)), Changed: func(fleet.Workload) {},
		})
		seen := written(t, m, s, func() { time.Sleep(time.Minute) })
		if len(seen) != 2 || !seen["first"] || !seen["last"] {
			t.Errorf("verdicts of %v were written, want those of the first and the last", seen)
		}
		if n := strings.Count(logged.String(), "instance=unreadable"); n != 1 {
			t.Errorf("told %d times of rules that cannot be read:\n%s", n, logged.String())
		}
		if !strings.Contains(logged.String(), "instance=refused") {
			t.Errorf("not told of the verdict that cannot be written:\n%s", logged.String())
		}
	})
}
