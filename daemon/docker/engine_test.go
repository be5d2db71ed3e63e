package docker

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// unreachable is an engine that is not there.
func unreachable(t *testing.T) *Engine {
	t.Helper()
	e, err := New(Config{Host: "unix://" + filepath.Join(t.TempDir(), "none.sock"), Installation: "i"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func TestNewRefuses(t *testing.T) {
	tests := map[string]Config{
		"no installation": {},
		"bad host":        {Host: "nonsense", Installation: "i"},
	}
	for name, cfg := range tests {
		t.Run(name, func(t *testing.T) {
			if e, err := New(cfg); err == nil {
				t.Errorf("made %v", e)
			}
		})
	}
}

func TestPingAndNode(t *testing.T) {
	e := newEngine(t)
	if err := e.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if node, err := e.Node(t.Context()); err != nil || node == "" {
		t.Errorf("node %q, %v", node, err)
	}
	named, err := New(Config{Installation: "i", Node: "box-7"})
	if err != nil {
		t.Fatal(err)
	}
	defer named.Close()
	if node, err := named.Node(t.Context()); err != nil || node != "box-7" {
		t.Errorf("node %q, %v; want the configured name", node, err)
	}
}

func TestEveryMethodWithoutEngine(t *testing.T) {
	e := unreachable(t)
	ctx := t.Context()
	spec := newSpec(t, "staging")
	n := newNetwork("staging", fleet.NetworkExternal)
	calls := map[string]func() error{
		"Ping":                func() error { return e.Ping(ctx) },
		"Node":                func() error { _, err := e.Node(ctx); return err },
		"ResolveImage":        func() error { _, err := e.ResolveImage(ctx, "a/b:c", fleet.PullIfNotPresent, nil); return err },
		"ResolveImage always": func() error { _, err := e.ResolveImage(ctx, "a/b:c", fleet.PullAlways, nil); return err },
		"EnsureImage":         func() error { return e.EnsureImage(ctx, "sha256:0", nil) },
		"EnsureContainer":     func() error { _, _, err := e.EnsureContainer(ctx, spec); return err },
		"StartContainer":      func() error { return e.StartContainer(ctx, "x") },
		"StopContainer":       func() error { return e.StopContainer(ctx, "x", 1, false) },
		"StopContainer force": func() error { return e.StopContainer(ctx, "x", 1, true) },
		"RemoveContainer":     func() error { return e.RemoveContainer(ctx, "x") },
		"InspectContainer":    func() error { _, err := e.InspectContainer(ctx, "x"); return err },
		"ListContainers":      func() error { _, err := e.ListContainers(ctx); return err },
		"LogTail":             func() error { _, err := e.LogTail(ctx, "x", 1); return err },
		"EnsureNetwork":       func() error { return e.EnsureNetwork(ctx, n) },
		"RemoveNetwork":       func() error { return e.RemoveNetwork(ctx, n) },
		"RemoveStrayNetworks": func() error { return e.RemoveStrayNetworks(ctx, nil) },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) { wantKind(t, call(), fleet.ErrUnavailable, e.Host(), "check that Docker runs") })
	}
}

// An engine that accepts connections and never answers must not hang a caller.
func TestHungEngineIsBounded(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e, err := New(Config{Host: "tcp://" + l.Addr().String(), Installation: "i"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	wantKind(t, e.Ping(t.Context()), fleet.ErrUnavailable, "did not answer in time")
}

func TestCancelledCallerGetsItsOwnError(t *testing.T) {
	e := newEngine(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := e.ListContainers(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestCallerWhoseTimeIsUpLearnsWhy(t *testing.T) {
	e := newEngine(t)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := e.ListContainers(ctx)
	wantKind(t, err, fleet.ErrUnavailable, "did not answer in time")
	_, err = e.ResolveImage(ctx, "127.0.0.1:1/app:v1", fleet.PullAlways, nil)
	wantKind(t, err, fleet.ErrUnavailable, "did not answer in time")
}

// An instance whose container was never made has no identifier to ask with.
func TestNoContainerYet(t *testing.T) {
	e := newEngine(t)
	if c := inspect(t, e, ""); c.State != fleet.ContainerGone {
		t.Errorf("it is %s", c.State)
	}
	wantKind(t, e.StartContainer(t.Context(), ""), fleet.ErrNotFound)
	for _, force := range []bool{false, true} {
		if err := e.StopContainer(t.Context(), "", 1, force); err != nil {
			t.Error(err)
		}
	}
	if err := e.RemoveContainer(t.Context(), ""); err != nil {
		t.Error(err)
	}
	_, _, err := e.Logs(t.Context(), "", time.Time{}, 1, "")
	wantKind(t, err, fleet.ErrNotFound)
}

func TestBoundedKeepsTheCallersDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	want, _ := ctx.Deadline()
	call, done := bounded(ctx, time.Second)
	defer done()
	if got, _ := call.Deadline(); !got.Equal(want) {
		t.Errorf("deadline %s, want %s", got, want)
	}
	call, done = bounded(t.Context(), time.Second)
	defer done()
	if _, ok := call.Deadline(); !ok {
		t.Error("no deadline")
	}
}
