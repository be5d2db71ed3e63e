package traffic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

var noLog = slog.New(slog.DiscardHandler)

// endpointOf is an external endpoint that was last heard of a while before now.
func endpointOf(service string, n int, silent, ttl time.Duration, now time.Time) fleet.Endpoint {
	return fleet.Endpoint{
		ID: fmt.Sprintf("%s-%d", service, n), ServiceName: service, Environment: "staging", Healthy: true,
		LastHeartbeat: now.Add(-silent), TTL: ttl,
	}
}

func ids(endpoints []fleet.Endpoint) []string {
	var list []string
	for _, e := range endpoints {
		list = append(list, e.ID)
	}
	return list
}

func TestExpire(t *testing.T) {
	now := time.Date(2026, 6, 6, 8, 30, 0, 0, time.UTC)
	long := now.Add(-time.Hour)
	// group is a service of as many instances, and of external endpoints that were silent for so many seconds; their TTL is 30.
	group := func(service string, instances int, silent ...int) (all []fleet.Endpoint) {
		for n := range instances {
			e := endpointOf(service, 100+n, time.Hour, 0, now)
			e.InstanceID = e.ID
			all = append(all, e)
		}
		for n, s := range silent {
			all = append(all, endpointOf(service, n, time.Duration(s)*time.Second, 30*time.Second, now))
		}
		return all
	}
	api := fleet.Service{Name: "api", Environment: "staging"}
	for name, tt := range map[string]struct {
		endpoints         []fleet.Endpoint
		gone              map[fleet.Service]int
		since             time.Time
		expired, doubtful []string
	}{
		"nothing":                       {},
		"heard of":                      {endpoints: group("api", 0, 1, 29, 30)},
		"may be under way":              {endpoints: group("api", 3, 31, 32)},
		"one of three":                  {endpoints: group("api", 0, 1, 1, 33), expired: []string{"api-2"}},
		"half":                          {endpoints: group("api", 0, 33, 1), expired: []string{"api-0"}},
		"more than half":                {endpoints: group("api", 0, 33, 1, 99), doubtful: []string{"api-0", "api-2"}},
		"the only one":                  {endpoints: group("api", 0, 3600), doubtful: []string{"api-0"}},
		"instances count":               {endpoints: group("api", 2, 33, 33), expired: []string{"api-0", "api-1"}},
		"instances never expire":        {endpoints: group("api", 5)},
		"each service for itself":       {endpoints: append(group("api", 0, 33), group("web", 1, 33)...), expired: []string{"web-0"}, doubtful: []string{"api-0"}},
		"after others":                  {endpoints: group("api", 0, 33, 1), gone: map[fleet.Service]int{api: 1}, doubtful: []string{"api-0"}},
		"after others of many":          {endpoints: group("api", 0, 33, 1, 1, 1), gone: map[fleet.Service]int{api: 1}, expired: []string{"api-0"}},
		"the database has just come":    {endpoints: group("api", 3, 3600), since: now},
		"the database came a TTL ago":   {endpoints: group("api", 3, 3600), since: now.Add(-32 * time.Second)},
		"the database came before that": {endpoints: group("api", 3, 3600), since: now.Add(-33 * time.Second), expired: []string{"api-0"}},
	} {
		t.Run(name, func(t *testing.T) {
			since := tt.since
			if since.IsZero() {
				since = long
			}
			expired, doubtful := Expire(tt.endpoints, tt.gone, since, now)
			if !slices.Equal(ids(expired), tt.expired) || !slices.Equal(ids(doubtful), tt.doubtful) {
				t.Errorf("%v expire and %v are doubtful, want %v and %v", ids(expired), ids(doubtful), tt.expired, tt.doubtful)
			}
		})
	}
}

// TestExpireProperties: whatever is registered, only external endpoints go whose time
// is over, never more than half of a service unasked, and none is forgotten.
func TestExpireProperties(t *testing.T) {
	now := time.Date(2026, 6, 6, 8, 30, 0, 0, time.UTC)
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0))
		var all []fleet.Endpoint
		total := map[string]int{}
		for s := range r.IntN(4) {
			name := fmt.Sprintf("s%d", s)
			for n := range 1 + r.IntN(6) {
				e := endpointOf(name, n, time.Duration(r.IntN(60))*time.Second, time.Duration(5+r.IntN(40))*time.Second, now)
				if r.IntN(3) == 0 {
					e.InstanceID = e.ID
				}
				all = append(all, e)
				total[name]++
			}
		}
		since := now.Add(-time.Duration(r.IntN(90)) * time.Second)
		expired, doubtful := Expire(all, nil, since, now)
		due := map[string]bool{}
		for _, e := range all {
			due[e.ID] = e.External() && now.Sub(e.LastHeartbeat) > e.TTL+underWay && now.Sub(since) > e.TTL+underWay
		}
		went := map[string]int{}
		for _, e := range append(slices.Clone(expired), doubtful...) {
			if !due[e.ID] {
				t.Fatalf("seed %d: %+v is not due", seed, e)
			}
			delete(due, e.ID)
		}
		for _, e := range expired {
			went[e.ServiceName]++
		}
		for name, n := range went {
			if 2*n > total[name] {
				t.Errorf("seed %d: %d of %d of %s go unasked", seed, n, total[name], name)
			}
		}
		if slices.Contains(slices.Collect(maps.Values(due)), true) {
			t.Errorf("seed %d: forgotten are some of %v", seed, due)
		}
	}
}

// rows is a database of endpoints.
type rows struct {
	mu        sync.Mutex
	endpoints map[string]fleet.Endpoint
	healthy   map[string]fleet.HeartbeatStatus
	expiries  []fleet.Expiry
	writes    int
	fail      error
}

// copied is what the rows are now; whoever writes them may go on.
func (r *rows) copied() *rows {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &rows{endpoints: maps.Clone(r.endpoints), healthy: maps.Clone(r.healthy), expiries: slices.Clone(r.expiries), writes: r.writes}
}

func rowsOf(endpoints ...fleet.Endpoint) *rows {
	r := &rows{endpoints: map[string]fleet.Endpoint{}, healthy: map[string]fleet.HeartbeatStatus{}}
	for _, e := range endpoints {
		r.endpoints[e.ID] = e
	}
	return r
}

func (r *rows) set(err error) { r.mu.Lock(); defer r.mu.Unlock(); r.fail = err }

func (r *rows) ids() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.endpoints))
}

func (r *rows) Overdue(context.Context) ([]fleet.Endpoint, time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.SortedFunc(maps.Values(r.endpoints), func(a, b fleet.Endpoint) int { return strings.Compare(a.ID, b.ID) })
	return all, time.Now(), r.fail
}

func (r *rows) ExpireEndpoints(_ context.Context, expiries []fleet.Expiry) (gone []fleet.Endpoint, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return nil, r.fail
	}
	for _, x := range expiries {
		gone = append(gone, r.endpoints[x.EndpointID])
		delete(r.endpoints, x.EndpointID)
	}
	r.expiries = append(r.expiries, expiries...)
	return gone, nil
}

func (r *rows) RecordHeartbeats(_ context.Context, beats []fleet.Heartbeat) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.writes++
	for _, b := range beats {
		e := r.endpoints[b.EndpointID]
		e.LastHeartbeat = later(e.LastHeartbeat, b.At)
		r.endpoints[b.EndpointID], r.healthy[b.EndpointID] = e, b.Status
	}
	return nil
}

var errAway = errors.New("the database is away")

// sweeping runs a sweeper over rows in a bubble, in which all time is fake.
func sweeping(t *testing.T, r func(now time.Time) *rows, probe func(fleet.Endpoint) error, f func(*rows)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := r(time.Now())
		s := NewSweeper(store, noLog)
		s.probe = func(_ context.Context, e fleet.Endpoint) error { return probe(e) }
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		f(store)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// pass lets time pass, and what is due then be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func ofService(n int, silent time.Duration) func(now time.Time) *rows {
	return func(now time.Time) *rows {
		var all []fleet.Endpoint
		for k := range n {
			e := endpointOf("api", k, 0, 30*time.Second, now)
			if k == 0 {
				e.LastHeartbeat = now.Add(-silent)
			} else {
				e.LastHeartbeat = now.Add(time.Hour) // it will be heard of
			}
			all = append(all, e)
		}
		return rowsOf(all...)
	}
}

func wantRows(t *testing.T, r *rows, when string, want ...string) {
	t.Helper()
	if got := r.ids(); !slices.Equal(got, want) {
		t.Errorf("%s: %v are there, want %v", when, got, want)
	}
}

// unasked is the probe of those that must not be asked.
func unasked(t *testing.T) func(fleet.Endpoint) error {
	return func(e fleet.Endpoint) error {
		t.Errorf("%s was probed", e.ID)
		return nil
	}
}

func TestSweeperGivesATTLAtFirst(t *testing.T) {
	sweeping(t, ofService(3, time.Hour), unasked(t), func(r *rows) {
		pass(32 * time.Second)
		wantRows(t, r, "a TTL after the lead began", "api-0", "api-1", "api-2")
		pass(2 * time.Second)
		wantRows(t, r, "after that", "api-1", "api-2")
		if want := []fleet.Expiry{{EndpointID: "api-0"}}; !slices.Equal(r.copied().expiries, want) {
			t.Errorf("expired %+v, want %+v", r.copied().expiries, want)
		}
	})
}

// TestSweeperWithoutDatabase: while it is away nothing expires, and for a TTL after that.
func TestSweeperWithoutDatabase(t *testing.T) {
	sweeping(t, ofService(3, 0), unasked(t), func(r *rows) {
		pass(20 * time.Second)
		r.set(errAway)
		pass(10 * time.Minute)
		wantRows(t, r, "while it is away", "api-0", "api-1", "api-2")
		r.set(nil)
		pass(32 * time.Second)
		wantRows(t, r, "a TTL after it came back", "api-0", "api-1", "api-2")
		pass(2 * time.Second)
		wantRows(t, r, "after that", "api-1", "api-2")
	})
}

// TestSweeperStandsStill: a sweeper that has not looked for a while has seen nothing.
func TestSweeperStandsStill(t *testing.T) {
	slow := func(now time.Time) *rows { return ofService(3, 0)(now) }
	synctest.Test(t, func(t *testing.T) {
		r := slow(time.Now())
		s := &term{Sweeper: NewSweeper(r, noLog), left: map[fleet.Service][]time.Time{}}
		for _, wait := range []time.Duration{0, time.Second, time.Minute, longestGap, longestGap} {
			pass(wait)
			if err := s.sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		wantRows(t, r, "after a minute without a look", "api-0", "api-1", "api-2")
		for range 15 {
			pass(longestGap)
			if err := s.sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		wantRows(t, r, "after a TTL of looks", "api-1", "api-2")
	})
}

// TestSweeperAsks: the greater part of a service goes only where it does not answer,
// and what answers is asked again a TTL later.
func TestSweeperAsks(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	probe := func(e fleet.Endpoint) error {
		mu.Lock()
		defer mu.Unlock()
		asked[e.ID]++
		if e.ID == "api-1" {
			return errors.New("connection refused")
		}
		return nil
	}
	seen := func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(asked)
	}
	silent := func(now time.Time) *rows {
		return rowsOf(endpointOf("api", 0, 0, 30*time.Second, now), endpointOf("api", 1, 0, 30*time.Second, now), endpointOf("api", 2, 0, 30*time.Second, now))
	}
	sweeping(t, silent, probe, func(r *rows) {
		pass(34 * time.Second)
		wantRows(t, r, "after a TTL", "api-0", "api-2")
		if want := []fleet.Expiry{{EndpointID: "api-1", Probe: "connection refused"}}; !slices.Equal(r.copied().expiries, want) {
			t.Errorf("expired %+v, want %+v", r.copied().expiries, want)
		}
		if r.copied().healthy["api-0"] != fleet.HeartbeatSilent {
			t.Errorf("an answer says %q about health", r.copied().healthy["api-0"])
		}
		pass(30 * time.Second)
		if want := map[string]int{"api-0": 1, "api-1": 1, "api-2": 1}; !maps.Equal(seen(), want) {
			t.Errorf("asked %v, want %v", seen(), want)
		}
		pass(5 * time.Second)
		if want := map[string]int{"api-0": 2, "api-1": 1, "api-2": 2}; !maps.Equal(seen(), want) {
			t.Errorf("a TTL later asked %v, want %v", seen(), want)
		}
	})
}

// TestSweeperOneByOne: those that fall silent together do not slip through because
// their heartbeats were due one after the other.
func TestSweeperOneByOne(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]bool{}
	probe := func(e fleet.Endpoint) error {
		mu.Lock()
		defer mu.Unlock()
		asked[e.ID] = true
		return nil
	}
	staggered := func(now time.Time) *rows {
		var all []fleet.Endpoint
		for n := range 10 {
			all = append(all, endpointOf("api", n, -time.Duration(3*n)*time.Second, 30*time.Second, now))
		}
		return rowsOf(all...)
	}
	sweeping(t, staggered, probe, func(r *rows) {
		pass(65 * time.Second)
		wantRows(t, r, "when all are silent", "api-5", "api-6", "api-7", "api-8", "api-9")
		if len(asked) != 5 {
			t.Errorf("asked %v", asked)
		}
	})
}

// TestSweeperFailsToExpire: what could not be written is tried again, after a TTL.
func TestSweeperFailsToExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := ofService(3, 0)(time.Now())
		refusing := &refusingRows{rows: r}
		s := &term{Sweeper: NewSweeper(refusing, noLog), left: map[fleet.Service][]time.Time{}}
		for n := range 34 {
			pass(time.Second)
			if err := s.sweep(t.Context()); (err != nil) != (n == 33) {
				t.Fatalf("sweep %d: %v", n, err)
			}
		}
		if !s.answered.IsZero() || len(s.left) != 0 {
			t.Errorf("it goes on as if nothing were: %+v", s)
		}
	})
}

type refusingRows struct{ *rows }

func (*refusingRows) ExpireEndpoints(context.Context, []fleet.Expiry) ([]fleet.Endpoint, error) {
	return nil, errAway
}

func TestProbe(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/broken", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	nobody := "http://" + gone.Addr().String()
	for name, tt := range map[string]struct {
		e    fleet.Endpoint
		want bool
	}{
		"takes connections":   {fleet.Endpoint{URL: srv.URL}, true},
		"takes none":          {fleet.Endpoint{URL: nobody}, false},
		"well":                {fleet.Endpoint{URL: nobody, HealthCheckURL: srv.URL + "/health"}, true},
		"a redirect":          {fleet.Endpoint{URL: nobody, HealthCheckURL: srv.URL + "/moved"}, true},
		"broken":              {fleet.Endpoint{URL: srv.URL, HealthCheckURL: srv.URL + "/broken"}, false},
		"check at nobody":     {fleet.Endpoint{URL: srv.URL, HealthCheckURL: nobody + "/health"}, false},
		"no certificate":      {fleet.Endpoint{URL: srv.URL, HealthCheckURL: strings.Replace(srv.URL, "http:", "https:", 1)}, false},
		"no URL":              {fleet.Endpoint{URL: "http://%zz"}, false},
		"no URL of the check": {fleet.Endpoint{HealthCheckURL: "http://%zz"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := newProber().probe(t.Context(), tt.e); (err == nil) != tt.want {
				t.Errorf("answers %v, want it there: %t", err, tt.want)
			}
		})
	}
}
