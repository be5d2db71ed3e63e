package testenv

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/docker/docker/client"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

// EngineProxy is the address of a way to the Engine on which handle sees every
// request before the engine does: it passes it on to the engine, or not. Streams
// and hijacked connections pass. It ends with the test.
func EngineProxy(tb testing.TB, handle func(w http.ResponseWriter, r *http.Request, engine http.Handler)) (host string) {
	tb.Helper()
	Docker(tb)
	address, err := client.ParseHostURL(machine.EngineHost())
	if err != nil {
		tb.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, address.Scheme, address.Host)
	}}
	engine := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: client.DummyHost}) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // as the engine would
	}
	dir, err := os.MkdirTemp("", "wedsync-") // a test's own folder makes too long a name for a socket
	if err != nil {
		tb.Fatal(err)
	}
	socket := filepath.Join(dir, "engine.sock")
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "unix", socket)
	if err != nil {
		tb.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, engine) })} //nolint:gosec // it serves the test alone
	go func() { _ = server.Serve(l) }()
	tb.Cleanup(func() {
		_ = server.Close()
		transport.CloseIdleConnections()
		_ = os.RemoveAll(dir)
	})
	return "unix://" + socket
}

// EngineRecorder is a way to the Engine that remembers what was asked on it.
type EngineRecorder struct {
	// Host is its address, for DOCKER_HOST.
	Host string

	mu      sync.Mutex
	changes []string
}

// RecordEngine makes an EngineRecorder that ends with the test.
func RecordEngine(tb testing.TB) *EngineRecorder {
	tb.Helper()
	r := &EngineRecorder{}
	r.Host = EngineProxy(tb, r.pass)
	return r
}

// pass takes a request down once it is whole, as only then the engine can act on it.
func (r *EngineRecorder) pass(w http.ResponseWriter, q *http.Request, engine http.Handler) {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		if q.Header.Get("Upgrade") == "" {
			body, err := io.ReadAll(q.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			q.Body = io.NopCloser(bytes.NewReader(body))
		}
		r.mu.Lock()
		r.changes = append(r.changes, q.Method+" "+q.URL.RequestURI())
		r.mu.Unlock()
	}
	engine.ServeHTTP(w, q)
}

// Changes are the requests so far that may have changed something: all but GET
// and HEAD, each as its method, path and query, oldest first.
func (r *EngineRecorder) Changes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.changes)
}
