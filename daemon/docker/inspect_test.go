package docker

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

func TestEndedWithEngine(t *testing.T) {
	start := time.Date(2026, time.June, 6, 12, 0, 0, 0, time.UTC)
	at := start.Add
	const s = time.Second
	tests := []struct {
		name  string
		c     fleet.Container
		start time.Time
		want  bool
	}{
		{"stopped by the engine", fleet.Container{State: fleet.ContainerExited, StartedAt: at(-time.Hour), FinishedAt: at(-5 * s)}, start, true},
		{"found dead by the engine", fleet.Container{State: fleet.ContainerExited, ExitCode: 255, StartedAt: at(-time.Hour), FinishedAt: at(s)}, start, true},
		{"at the end of the grace", fleet.Container{State: fleet.ContainerExited, StartedAt: at(-1), FinishedAt: at(endGrace)}, start, true},
		{"outlived the start", fleet.Container{State: fleet.ContainerExited, StartedAt: at(-time.Hour), FinishedAt: at(endGrace + 1)}, start, false},
		{"started with the engine", fleet.Container{State: fleet.ContainerExited, StartedAt: start, FinishedAt: at(s)}, start, false},
		{"exited by itself", fleet.Container{State: fleet.ContainerExited, StartedAt: at(time.Minute), FinishedAt: at(2 * time.Minute)}, start, false},
		{"runs", fleet.Container{State: fleet.ContainerRunning, StartedAt: at(-time.Hour), FinishedAt: at(-2 * time.Hour)}, start, false},
		{"has never run", fleet.Container{State: fleet.ContainerExited}, start, false},
		{"nobody knows", fleet.Container{State: fleet.ContainerExited, StartedAt: at(-time.Hour), FinishedAt: at(-s)}, time.Time{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := endedWithEngine(tt.c, tt.start); got != tt.want {
				t.Errorf("ended with the engine: %v, want %v", got, tt.want)
			}
		})
	}
}

// TestEngineStopped: the default network's age tells, if there is one.
func TestEngineStopped(t *testing.T) {
	const exited = `{"Id": "c1", "Config": {"Labels": {"wedsync.installation": "i"}}, "State": {"Status": "exited",
		"StartedAt": "2026-06-06T11:00:00Z", "FinishedAt": "2026-06-06T11:59:50Z"}}`
	tests := []struct {
		name    string
		bridge  func(w http.ResponseWriter)
		want    bool
		wantErr string
	}{
		{"engine started since", func(w http.ResponseWriter) { _, _ = fmt.Fprint(w, `{"Created": "2026-06-06T12:00:00.5Z"}`) }, true, ""},
		{"engine runs for longer", func(w http.ResponseWriter) { _, _ = fmt.Fprint(w, `{"Created": "2026-06-06T10:00:00Z"}`) }, false, ""},
		{"no default network", func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, false, ""},
		{"engine fails", func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }, false, "tell when the engine was started"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Api-Version", "1.41")
				switch {
				case strings.HasSuffix(r.URL.Path, "/containers/c1/json"):
					_, _ = fmt.Fprint(w, exited)
				case strings.HasSuffix(r.URL.Path, "/networks/bridge"):
					tt.bridge(w)
				}
			}))
			defer server.Close()
			e, err := New(Config{Host: "tcp://" + server.Listener.Addr().String(), Installation: "i", Node: "n"})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			c, err := e.InspectContainer(t.Context(), "c1")
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("error is %v, want %q in it", err, tt.wantErr)
				}
				return
			}
			if err != nil || c.State != fleet.ContainerExited || c.EngineStopped != tt.want {
				t.Errorf("%s, stopped by the engine: %v, %v; want %v", c.State, c.EngineStopped, err, tt.want)
			}
		})
	}
}

// TestExitsUnderAnEngineThatStops: an engine on its way down still answers over
// old connections, but what has exited then may have been stopped by it.
func TestExitsUnderAnEngineThatStops(t *testing.T) {
	e := behind(t, testenv.Installation(t), func(*http.Request) bool { return false })
	exited, running := run(t, e, demo(t, e, "staging")), run(t, e, demo(t, e, "staging"))
	if err := e.StopContainer(t.Context(), exited, 1, true); err != nil {
		t.Fatal(err)
	}
	awaitState(t, e, exited, fleet.ContainerExited)
	if err := os.Remove(strings.TrimPrefix(e.Host(), "unix://")); err != nil { // takes no new connections any more
		t.Fatal(err)
	}
	inspect(t, e, running)
	_, err := e.InspectContainer(t.Context(), exited)
	wantKind(t, err, fleet.ErrUnavailable)
}

// TestOnlyExitsAskForTheEnginesStart: a listing never asks when the engine was
// started, and a look at a container does once if it has exited.
func TestOnlyExitsAskForTheEnginesStart(t *testing.T) {
	var asked atomic.Int32
	e := behind(t, testenv.Installation(t), func(r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/networks/"+bridge) {
			asked.Add(1)
		}
		return false
	})
	exited, running := run(t, e, demo(t, e, "staging")), run(t, e, demo(t, e, "staging"))
	if err := e.StopContainer(t.Context(), exited, 1, true); err != nil {
		t.Fatal(err)
	}
	awaitState(t, e, exited, fleet.ContainerExited)
	asked.Store(0)
	if list, err := e.ListContainers(t.Context()); err != nil || len(list) != 2 {
		t.Fatalf("listed %+v, %v", list, err)
	}
	inspect(t, e, running)
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times although nothing that was looked at has exited", n)
	}
	if c := inspect(t, e, exited); c.EngineStopped {
		t.Errorf("%s was stopped by the engine, which has not been stopped since", c.Name)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}
