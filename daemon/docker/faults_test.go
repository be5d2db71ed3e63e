package docker

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// fault decides about a request to the engine: whether its answer is lost after
// the engine did what it asks.
type fault func(*http.Request) bool

// behind is an engine that is reached through a connection that fails as told.
func behind(t *testing.T, installation string, lose fault) *Engine {
	t.Helper()
	host := testenv.EngineProxy(t, func(w http.ResponseWriter, r *http.Request, engine http.Handler) {
		if !lose(r) {
			engine.ServeHTTP(w, r)
			return
		}
		engine.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
	return engineAt(t, host, installation)
}

// once is a fault that happens to the first request of a method to a path.
func once(method, path string) fault {
	var first sync.Once
	return func(r *http.Request) (now bool) {
		if r.Method == method && strings.HasSuffix(r.URL.Path, path) {
			first.Do(func() { now = true })
		}
		return now
	}
}

// The engine made the container, but the answer was lost: the next call must
// find it, and not make another.
func TestCreateWhoseAnswerIsLost(t *testing.T) {
	installation := testenv.Installation(t)
	e := behind(t, installation, once(http.MethodPost, "/containers/create"))
	s := demo(t, e, "staging")
	_, _, err := e.EnsureContainer(t.Context(), s)
	wantKind(t, err, fleet.ErrUnavailable)
	id := run(t, e, s)
	list, err := e.ListContainers(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != id {
		t.Errorf("listed %v, %v; want one container", list, err)
	}
}

// The same with the environment's default network.
func TestNetworkCreateWhoseAnswerIsLost(t *testing.T) {
	e := behind(t, testenv.Installation(t), once(http.MethodPost, "/networks/create"))
	s := demo(t, e, "staging")
	_, _, err := e.EnsureContainer(t.Context(), s)
	wantKind(t, err, fleet.ErrUnavailable)
	run(t, e, s)
	if all := engineNetworks(t, e); len(all) != 1 {
		t.Errorf("engine has %v; want one network", all)
	}
}

// A container that could not be connected to its second network must not stay
// on the first alone.
func TestConnectFails(t *testing.T) {
	e := newEngine(t)
	missing := func(r *http.Request) bool {
		return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/connect")
	}
	broken := behind(t, e.installation, missing)
	s := demo(t, e, "staging", func(s *fleet.ContainerSpec) {
		s.Networks = []fleet.Network{newNetwork("staging", fleet.NetworkExternal), newNetwork("staging", fleet.NetworkExternal)}
	})
	_, _, err := broken.EnsureContainer(t.Context(), s)
	wantKind(t, err, fleet.ErrUnavailable)
	if list, err := e.ListContainers(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("left %v, %v", list, err)
	}
	run(t, e, s)
}

func TestStartAndRemoveWhoseAnswersAreLost(t *testing.T) {
	installation := testenv.Installation(t)
	for _, path := range []string{"/start", "/stop"} {
		e := behind(t, installation, once(http.MethodPost, path))
		id := ensure(t, e, demo(t, e, "staging"))
		start, stop := e.StartContainer, func() error { return e.StopContainer(t.Context(), id, 1, false) }
		if err := start(t.Context(), id); err != nil {
			wantKind(t, err, fleet.ErrUnavailable)
			if err := start(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		awaitState(t, e, id, fleet.ContainerRunning)
		if err := stop(); err != nil {
			wantKind(t, err, fleet.ErrUnavailable)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
		awaitState(t, e, id, fleet.ContainerExited)
		if err := e.RemoveContainer(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

// An engine that died while it started a container refuses that container ever
// after: it is removed, and the next one can be started.
func TestStartOfAHalfStartedContainer(t *testing.T) {
	for _, text := range []string{
		"id already in use", "task 1d21093da47e: already exists", "OCI runtime create failed: container with given ID already exists: unknown",
	} {
		t.Run(text, func(t *testing.T) {
			refused := once(http.MethodPost, "/start")
			host := testenv.EngineProxy(t, func(w http.ResponseWriter, r *http.Request, engine http.Handler) {
				if !refused(r) {
					engine.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusInternalServerError)
				_ = json.NewEncoder(w).Encode(map[string]string{"message": text})
			})
			e := engineAt(t, host, testenv.Installation(t))
			s := demo(t, e, "staging")
			id := ensure(t, e, s)
			wantKind(t, e.StartContainer(t.Context(), id), fleet.ErrNotFound, "the container was removed")
			if again := run(t, e, s); again == id {
				t.Error("the unusable container came back")
			}
		})
	}
}

// What the engine has of a container whose start it did not live to see.
func TestInspectedHalfStarted(t *testing.T) {
	const early, late, never = "2026-11-24T12:00:00Z", "2026-11-24T12:00:01Z", "0001-01-01T00:00:00Z"
	tests := []struct {
		name, started, finished string
		want                    fleet.ContainerState
	}{
		{"first run", early, never, fleet.ContainerRunning},
		{"later run", late, early, fleet.ContainerRunning},
		{"first start was lost", never, never, fleet.ContainerCreated},
		{"later start was lost", early, late, fleet.ContainerCreated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := inspected(container.InspectResponse{
				ContainerJSONBase: &container.ContainerJSONBase{State: &container.State{
					Status: container.StateRunning, Running: true, StartedAt: tt.started, FinishedAt: tt.finished,
				}},
				Config: &container.Config{},
			}, "node")
			if c.State != tt.want {
				t.Errorf("it is %s, want %s", c.State, tt.want)
			}
		})
	}
}

// A stream of events that breaks is told, so that its reader lists anew.
func TestEventStreamBreaks(t *testing.T) {
	host := make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/events") {
			w.Header().Set("Api-Version", "1.41")
			return
		}
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-host
	})}}
	server.Start()
	defer server.Close()
	e, err := New(Config{Host: "tcp://" + l.Addr().String(), Installation: "i"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	_, failed := e.Events(t.Context())
	close(host) // the engine ends
	wantKind(t, <-failed, fleet.ErrUnavailable, "ended the stream")
}
