package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

func entry(service, environment string, weight int) fleet.Endpoint {
	return fleet.Endpoint{ID: service + "." + environment, ServiceName: service, Environment: environment, Healthy: true, Weight: weight}
}

func (w *world) receive(endpoints ...fleet.Endpoint) {
	w.registry.Receive(fleet.Traffic{Endpoints: endpoints})
}

// watching is a stream over a real server, read with the SDK.
type watching struct {
	t    *testing.T
	next func() (client.ServiceChange, error, bool)
	last uint64
}

func (w *world) watch(t *testing.T, token string, o api.ListServicesOptions) *watching {
	t.Helper()
	srv := httptest.NewServer(w.handler)
	t.Cleanup(srv.Close)
	t.Cleanup(w.registry.Close) // or the server would wait for its streams
	c, err := client.New(srv.URL, token, client.WithRetries(0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	next, stop := iter.Pull2(c.WatchServices(t.Context(), o))
	t.Cleanup(stop)
	return &watching{t: t, next: next}
}

// change is the next step, in words.
func (s *watching) change() string {
	s.t.Helper()
	c, err, ok := s.next()
	if err != nil || !ok {
		return fmt.Sprintf("end: %v", err)
	}
	if c.Index < s.last || c.Index == 0 {
		s.t.Errorf("index %d after %d", c.Index, s.last)
	}
	s.last = c.Index
	told := func(service api.Service) string {
		return fmt.Sprintf("%s.%s=%d", service.ServiceName, service.Environment, service.Instances[0].LoadBalancerWeight)
	}
	switch {
	case c.Snapshot != nil:
		words := []string{"all:"}
		for _, service := range c.Snapshot.Services {
			words = append(words, told(service))
		}
		return strings.Join(words, " ")
	case c.Service != nil:
		return told(*c.Service)
	default:
		return fmt.Sprintf("-%s.%s", c.Removed.ServiceName, c.Removed.Environment)
	}
}

func (s *watching) wants(changes ...string) {
	s.t.Helper()
	for _, want := range changes {
		if got := s.change(); got != want {
			s.t.Fatalf("told %q, want %q", got, want)
		}
	}
}

func TestWatchServices(t *testing.T) {
	w := newWorld(t)
	w.receive(entry("api", "staging", 1), entry("web", "staging", 1))
	s := w.watch(t, "developer", api.ListServicesOptions{})
	s.wants("all: api.staging=1 web.staging=1")
	w.receive(entry("api", "staging", 1), entry("web", "staging", 2))
	s.wants("web.staging=2")
	w.receive(entry("api", "production", 1), entry("api", "staging", 3), entry("web", "staging", 2))
	s.wants("api.staging=3")
	w.receive(entry("web", "staging", 2))
	s.wants("-api.staging")
	w.receive(entry("api", "staging", 4), entry("web", "staging", 2))
	s.wants("api.staging=4")
	w.registry.Close()
	if got := s.change(); !strings.HasPrefix(got, "end: ") || !strings.Contains(got, "EOF") {
		t.Errorf("at the end: %s", got)
	}
	p := problem(t, w.do(t, request{method: "GET", path: services + "/stream"}))
	if p.Status != 503 || !strings.Contains(p.Detail, "ending") {
		t.Errorf("after the end: %+v", p)
	}
	if !strings.Contains(w.log.String(), `"operation":"watchServices","principal":"developer","status":200`) {
		t.Error("the access log does not tell of the stream")
	}
}

// TestWatchedObject: the stream has what the list has.
func TestWatchedObject(t *testing.T) {
	w := newWorld(t)
	e := entry("api", "staging", 50)
	e.URL, e.Metadata, e.TTL, e.LastHeartbeat = "http://10.0.0.1:80", map[string]string{"a\n": "b\ndata: {}\n\n"}, time.Minute, time.Now().UTC()
	w.endpoints = []fleet.Endpoint{e}
	w.receive(e)
	s := w.watch(t, "admin", api.ListServicesOptions{})
	got, err, _ := s.next()
	want := decode[api.ServiceList](t, w.do(t, request{method: "GET", path: services}), 200)
	if err != nil || got.Snapshot == nil || !reflect.DeepEqual(*got.Snapshot, want) {
		t.Errorf("watched %+v, %v; listed %+v", got.Snapshot, err, want)
	}
}

func TestWatchServicesSelects(t *testing.T) {
	w := newWorld(t)
	w.receive(entry("api", "production", 1), entry("api", "staging", 1), entry("web", "production", 1))
	for _, tt := range []struct {
		token string
		o     api.ListServicesOptions
		want  string
	}{
		{"admin", api.ListServicesOptions{}, "all: api.production=1 api.staging=1 web.production=1"},
		{"admin", api.ListServicesOptions{ServiceName: "api"}, "all: api.production=1 api.staging=1"},
		{"monitoring", api.ListServicesOptions{Environment: "production"}, "all: api.production=1 web.production=1"},
		{"admin", api.ListServicesOptions{ServiceName: "web", Environment: "staging"}, "all:"},
		{"devops", api.ListServicesOptions{}, "all: api.staging=1"},
		{"devops", api.ListServicesOptions{Environment: "production"}, "end: GET /api/containers/services/stream: "},
	} {
		if got := w.watch(t, tt.token, tt.o).change(); got != tt.want && (!strings.HasPrefix(tt.want, "end") || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s, %+v: told %q, want %q", tt.token, tt.o, got, tt.want)
		}
	}
}

// TestTooManyWatchers: streams have bounds of their own, and leave requests alone.
func TestTooManyWatchers(t *testing.T) {
	w := newWorld(t)
	w.receive(entry("api", "staging", 1))
	var streams sync.WaitGroup
	ctx, leave := context.WithCancel(t.Context())
	defer streams.Wait()
	defer leave()
	for range 256 {
		out := newPipe()
		streams.Go(func() { w.handler.ServeHTTP(out, streamRequest(ctx, "admin")) })
		out.await(t, "event: snapshot")
	}
	if p := problem(t, w.do(t, request{method: "GET", path: services + "/stream"})); p.Status != 503 || p.Code != api.CodeUnavailable {
		t.Errorf("one more: %+v", p)
	}
	if got := w.do(t, request{method: "GET", path: services}); got.Code != 200 {
		t.Errorf("a request beside them: %d", got.Code)
	}
}

func streamRequest(ctx context.Context, token string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, services+"/stream", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// pipe is a ResponseWriter whose body can be read while it is written.
type pipe struct {
	header http.Header
	mu     sync.Mutex
	body   bytes.Buffer
	came   chan struct{}
	fail   error
}

func newPipe() *pipe { return &pipe{header: http.Header{}, came: make(chan struct{}, 1)} }

func (p *pipe) Header() http.Header { return p.header }
func (p *pipe) WriteHeader(int)     {}
func (p *pipe) FlushError() error   { return nil }
func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return 0, p.fail
	}
	select {
	case p.came <- struct{}{}:
	default:
	}
	return p.body.Write(b)
}

func (p *pipe) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.body.String()
}

func (p *pipe) await(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(p.text(), text) {
		select {
		case <-p.came:
		case <-time.After(20 * time.Second):
			t.Fatalf("%q does not come; there is %q", text, p.text())
		}
	}
}

// TestStreamShowsThatItIsAlive, and ends soon after its token does; not because
// nobody can say whether it has.
func TestStreamShowsThatItIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.receive(entry("api", "staging", 1))
		out, ended := newPipe(), make(chan struct{})
		go func() { defer close(ended); w.handler.ServeHTTP(out, streamRequest(t.Context(), "leaver")) }()
		synctest.Wait()
		if got := out.text(); !strings.Contains(got, "unauthenticated") {
			t.Fatalf("a token that is not there: %s", got)
		}
		<-ended
		w.arrive("leaver", fakePrincipals["developer"])
		out, ended = newPipe(), make(chan struct{})
		go func() { defer close(ended); w.handler.ServeHTTP(out, streamRequest(t.Context(), "leaver")) }()
		time.Sleep(46 * time.Second)
		if n := strings.Count(out.text(), "\n\n: keep-alive\n\n") + strings.Count(out.text(), "\n\n: keep-alive\n\n: keep-alive"); n < 2 {
			t.Errorf("within 46 seconds came %q", out.text())
		}
		if got := out.Header().Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("Content-Type %q", got)
		}
		w.unknown(fleet.ErrUnavailable)
		time.Sleep(time.Minute)
		select {
		case <-ended:
			t.Error("it ended while the database was away")
		default:
		}
		w.unknown(nil)
		w.leave("leaver")
		time.Sleep(16 * time.Second)
		select {
		case <-ended:
		default:
			t.Error("it goes on without a token")
		}
	})
}

// TestStreamToNobody: who does not take what is sent is let go.
func TestStreamToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.receive(entry("api", "staging", 1))
		out, ended := newPipe(), make(chan struct{})
		go func() { defer close(ended); w.handler.ServeHTTP(out, streamRequest(t.Context(), "admin")) }()
		synctest.Wait()
		out.mu.Lock()
		out.fail = http.ErrHandlerTimeout
		out.mu.Unlock()
		w.receive(entry("api", "staging", 2))
		<-ended
	})
}

// TestWatchServicesAccess: every role watches, and sees the environments of its token.
func TestWatchServicesAccess(t *testing.T) {
	w := newRealWorld(t)
	w.registry.Receive(fleet.Traffic{Endpoints: []fleet.Endpoint{entry("api", "staging", 1)}})
	for _, role := range fleet.Roles {
		for _, scope := range []string{"staging", "production", fleet.AllEnvironments} {
			want := "all:"
			if scope != "production" {
				want = "all: api.staging=1"
			}
			if got := w.watch(t, w.token(t, role, scope), api.ListServicesOptions{}).change(); got != want {
				t.Errorf("%s of %s is told %q, want %q", role, scope, got, want)
			}
		}
	}
	for name, token := range w.invalidTokens(t) {
		if p := problem(t, w.do(t, request{method: "GET", path: services + "/stream", token: token})); p.Status != 401 {
			t.Errorf("%s token: %+v", name, p)
		}
	}
}
