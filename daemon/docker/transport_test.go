package docker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// gate is a fence that a test opens and closes.
type gate struct {
	open atomic.Int64 // how often it still lets pass; below zero: always
}

func (g *gate) ask() error {
	if g.open.Load() < 0 || g.open.Add(-1) >= 0 {
		return nil
	}
	g.open.Store(0)
	return fleet.Errorf(fleet.ErrUnavailable, "the lead is lost")
}

// behindGate is a context with a gate that lets pass so many writes.
func behindGate(t *testing.T, passes int64) (context.Context, *gate) {
	t.Helper()
	g := &gate{}
	g.open.Store(passes)
	return fleet.WithFence(t.Context(), g.ask), g
}

// TestFenceRefusesChanges: nothing that changes the engine reaches it, whatever
// the connection, and what only reads does.
func TestFenceRefusesChanges(t *testing.T) {
	recorder := testenv.RecordEngine(t)
	e := engineAt(t, recorder.Host, testenv.Installation(t))
	s := demo(t, e, "staging")
	ctx, g := behindGate(t, -1)
	id, _, err := e.EnsureContainer(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.StartContainer(ctx, id); err != nil {
		t.Fatal(err)
	}
	n := newNetwork("staging", fleet.NetworkExternal)
	if err := e.EnsureNetwork(ctx, n); err != nil {
		t.Fatal(err)
	}
	g.open.Store(0)
	before := len(recorder.Changes())
	missing := "127.0.0.1:1/app@sha256:" + strings.Repeat("0", 64)
	changes := map[string]func() error{
		"create":         func() error { _, _, err := e.EnsureContainer(ctx, demo(t, e, "staging")); return err },
		"create network": func() error { return e.EnsureNetwork(ctx, newNetwork("staging", fleet.NetworkExternal)) },
		"remove network": func() error { return e.RemoveNetwork(ctx, n) },
		"stop":           func() error { return e.StopContainer(ctx, id, 1, false) },
		"kill":           func() error { return e.StopContainer(ctx, id, 1, true) },
		"remove":         func() error { return e.RemoveContainer(ctx, id) },
		"pull":           func() error { return e.EnsureImage(ctx, missing, nil) },
		"command":        func() error { _, err := e.RunCommand(ctx, id, []string{demoProgram, "check"}); return err },
		"begin command": func() error {
			made, err := e.client.ContainerExecCreate(t.Context(), id, container.ExecOptions{Cmd: []string{demoProgram, "check"}})
			if err != nil {
				return err
			}
			before++ // that was nobody's whom the fence binds
			_, err = e.startCommand(ctx, made.ID)
			return e.translate(ctx, "start command", err)
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) { wantKind(t, change(), fleet.ErrUnavailable, "the lead is lost") })
	}
	if sent := recorder.Changes()[before:]; len(sent) != 0 {
		t.Errorf("the engine was asked for %v", sent)
	}
	if c, err := e.InspectContainer(ctx, id); err != nil || c.State != fleet.ContainerRunning {
		t.Errorf("the container is %s, %v; want it running", c.State, err)
	}
	// The same connections serve those whom no fence binds.
	if err := e.StopContainer(t.Context(), id, 1, true); err != nil {
		t.Error(err)
	}
	wantKind(t, e.StartContainer(ctx, id), fleet.ErrUnavailable, "the lead is lost")
}

// TestFenceIsAskedAtEachWrite: a request that needs several writes is complete
// only if the fence holds to the last of them.
func TestFenceIsAskedAtEachWrite(t *testing.T) {
	recorder := testenv.RecordEngine(t)
	e := engineAt(t, recorder.Host, testenv.Installation(t))
	s := demo(t, e, "staging", func(s *fleet.ContainerSpec) {
		s.Spec.Environment = map[string]string{"LONG": strings.Repeat("x", 64<<10)} // more than one buffer
		s.Networks = []fleet.Network{newNetwork("staging", fleet.NetworkExternal)}
	})
	if err := e.EnsureNetwork(t.Context(), s.Networks[0]); err != nil {
		t.Fatal(err)
	}
	before := len(recorder.Changes())
	ctx, _ := behindGate(t, 1)
	_, _, err := e.EnsureContainer(ctx, s)
	wantKind(t, err, fleet.ErrUnavailable, "the lead is lost")
	if sent := recorder.Changes()[before:]; len(sent) != 0 {
		t.Errorf("the engine was asked for %v", sent)
	}
}

// TestEngineOverTLS: address and certificates are the environment's, and the fence holds.
func TestEngineOverTLS(t *testing.T) {
	var changes atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		switch {
		case r.Method == http.MethodDelete:
			changes.Add(1)
			w.WriteHeader(http.StatusNoContent)
		case strings.HasSuffix(r.URL.Path, "/start"):
			_, _ = stdcopy.NewStdWriter(w, stdcopy.Stderr).Write([]byte("over TLS"))
		case strings.Contains(r.URL.Path, "/exec"):
			_, _ = io.WriteString(w, `{"Id": "e", "Running": false, "ExitCode": 3, "Pid": 12}`)
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_CERT_PATH", certificates(t, server.TLS.Certificates[0]))
	t.Setenv("DOCKER_TLS_VERIFY", "1")
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	e := engineAt(t, "", "i")
	ctx, g := behindGate(t, -1)
	if err := e.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if err := e.RemoveContainer(ctx, "x"); err != nil || changes.Load() != 1 {
		t.Fatalf("%v; the engine was asked %d times, want once", err, changes.Load())
	}
	if got, err := e.RunCommand(ctx, "x", []string{"check"}); err != nil || got.ExitCode != 3 || got.Output != "over TLS" {
		t.Errorf("a command: %+v, %v", got, err)
	}
	g.open.Store(0)
	wantKind(t, e.RemoveContainer(ctx, "x"), fleet.ErrUnavailable, "the lead is lost")
	if changes.Load() != 1 {
		t.Error("the engine was asked in spite of the fence")
	}
}

// certificates is a folder as DOCKER_CERT_PATH names it, with one certificate for
// the authority and the client.
func certificates(t *testing.T, c tls.Certificate) (dir string) {
	t.Helper()
	dir = t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate := &pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}
	for name, block := range map[string]*pem.Block{
		"ca.pem": certificate, "cert.pem": certificate, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
