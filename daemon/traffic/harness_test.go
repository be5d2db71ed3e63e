package traffic

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

const testDomain = "localhost"

// world is a balancer that serves on loopback, and the instances behind it.
type world struct {
	*Balancer
	t       testing.TB
	made    int // endpoints, so far
	addr    string
	traffic fleet.Traffic
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := idleWorld(t, Config{})
	w.addr = w.serve(w.Serve)
	return w
}

// idleWorld is a world that nothing serves yet.
func idleWorld(t testing.TB, c Config) *world {
	t.Helper()
	c.Domain, c.Logger = testDomain, slog.New(slog.DiscardHandler)
	return &world{t: t, Balancer: NewBalancer(c)}
}

// serve serves on a port of its own until the test ends.
func (w *world) serve(f func(context.Context, net.Listener, time.Duration) error) string {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx, l, 0) }()
	w.t.Cleanup(func() {
		cancel()
		<-done
	})
	return l.Addr().String()
}

// instance adds a healthy instance of a service of environment staging and returns its id.
func (w *world) instance(service string, h http.Handler) string {
	w.t.Helper()
	s := httptest.NewUnstartedServer(h)
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	s.Config.Protocols = &p
	s.Start()
	w.t.Cleanup(s.Close)
	return w.endpoint(service, s.URL)
}

func (w *world) endpoint(service, url string) string {
	id := fmt.Sprintf("%s-%d", service, w.made)
	w.made++
	w.traffic.Endpoints = append(w.traffic.Endpoints, fleet.Endpoint{
		ID: id, InstanceID: id, ServiceName: service, Environment: "staging", URL: url, Healthy: true, Weight: 100,
		DefinitionID: "d", DeploymentID: "live",
	})
	w.Receive(w.traffic)
	return id
}

// change changes an endpoint.
func (w *world) change(id string, f func(*fleet.Endpoint)) {
	for k := range w.traffic.Endpoints {
		if w.traffic.Endpoints[k].ID == id {
			f(&w.traffic.Endpoints[k])
		}
	}
	w.Receive(w.traffic)
}

// remove deregisters an endpoint.
func (w *world) remove(id string) {
	var rest []fleet.Endpoint
	for _, e := range w.traffic.Endpoints {
		if e.ID != id {
			rest = append(rest, e)
		}
	}
	w.traffic.Endpoints = rest
	w.Receive(w.traffic)
}

// route adds a route of the service to a host, with settings.
func (w *world) route(service, host string, set func(*grammar.Routing), prefixes ...string) {
	s := grammar.DefaultRouting()
	if set != nil {
		set(&s)
	}
	if len(prefixes) == 0 {
		prefixes = []string{"/"}
	}
	r := fleet.Route{ID: host, Name: service + "-" + host, Environment: "staging", ServiceName: service, PathPrefixes: prefixes, Settings: s}
	if host != "" {
		r.Hosts = []string{host}
	}
	w.traffic.Routes = append(w.traffic.Routes, r)
	w.Receive(w.traffic)
}

// request is a request to a service's own host, or to a host with a dot in it.
func (w *world) request(method, service, path string, body io.Reader) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.addr+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Host = service
	if !strings.Contains(service, ".") {
		r.Host = service + ".staging." + testDomain
	}
	return r
}

// get is the status and the body of an answer.
func (w *world) get(service, path string) (int, string) {
	w.t.Helper()
	return w.do(w.request(http.MethodGet, service, path, nil))
}

func (w *world) do(r *http.Request) (int, string) {
	w.t.Helper()
	res, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// patience bounds what a test waits for; reaching it is a failure.
const patience = time.Minute

// client follows nothing and keeps no cookies.
var client = &http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// says answers with a text.
func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

// await waits until a condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// echo answers with the request's body, while it still comes.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex()
	_, _ = io.Copy(w, r.Body)
})
