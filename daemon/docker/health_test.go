package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

const demoProgram = "/demo-app"

// withVariable sets a variable of the demo program.
func withVariable(name, value string) func(*fleet.ContainerSpec) {
	return func(s *fleet.ContainerSpec) {
		if s.Spec.Environment == nil {
			s.Spec.Environment = make(map[string]string)
		}
		s.Spec.Environment[name] = value
	}
}

// ask runs a command in a container, with a time of its own.
func ask(t *testing.T, e *Engine, id string, bound time.Duration, command ...string) (fleet.CommandResult, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	return e.RunCommand(ctx, id, command)
}

// askInVain runs the demo program's check in a container where it hangs, and gives
// it up when it runs beside the first process.
func askInVain(t *testing.T, e *Engine, id string) {
	t.Helper()
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	type answer struct {
		result fleet.CommandResult
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		result, err := e.RunCommand(ctx, id, []string{demoProgram, "check"})
		answered <- answer{result, err}
	}()
	await(t, "the command runs", func() bool { return len(answered) > 0 || len(processes(t, e, id)) == 2 })
	giveUp()
	if got := <-answered; got.err != nil || !got.result.TimedOut {
		t.Fatalf("got %+v, %v; want it out of time", got.result, got.err)
	}
}

// processes are those that run in a container.
func processes(t *testing.T, e *Engine, id string) [][]string {
	t.Helper()
	list, err := e.client.ContainerTop(t.Context(), id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return list.Processes
}

func TestRunCommand(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	environment := "staging"
	well := run(t, e, demo(t, e, environment))
	awaitLog(t, e, well, "serving")
	ill := run(t, e, demo(t, e, environment, withVariable("FAIL_HEALTH", "true")))
	awaitLog(t, e, ill, "serving")
	tests := []struct {
		name      string
		container string
		command   []string
		want      fleet.CommandResult // Output is a part of it
	}{
		{"exit code 0", well, []string{demoProgram, "check"}, fleet.CommandResult{Output: `"status":"ok"`}},
		{"exit code 1", ill, []string{demoProgram, "check"}, fleet.CommandResult{ExitCode: 1, Output: "FAIL_HEALTH is set"}},
		{"a program that the image lacks", well, []string{"/bin/sh", "-c", "true"}, fleet.CommandResult{Missing: true, Output: "/bin/sh"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ask(t, e, tt.container, patience, tt.command...)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got.Output, tt.want.Output) || got.Missing != tt.want.Missing || got.TimedOut || got.Busy ||
				!tt.want.Missing && got.ExitCode != tt.want.ExitCode {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestRunCommandEndsWhatHangs: the command whose time has run out is gone from the
// container, and the next one runs.
func TestRunCommandEndsWhatHangs(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	id := run(t, e, demo(t, e, "staging", withVariable("HANG", "true")))
	awaitLog(t, e, id, "serving")
	for range 2 {
		askInVain(t, e, id)
		if left := processes(t, e, id); len(left) != 1 {
			t.Errorf("in the container run %v, want its first process alone", left)
		}
	}
}

// TestRunCommandBeginsNoOtherBesideOneThatHangs has an engine whose processes this
// one cannot end, like one on another machine.
func TestRunCommandBeginsNoOtherBesideOneThatHangs(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	id := run(t, e, demo(t, e, "staging", withVariable("HANG", "true")))
	awaitLog(t, e, id, "serving")
	e.unkind = true
	askInVain(t, e, id)
	for range 2 {
		if got, err := ask(t, e, id, patience, demoProgram, "check"); err != nil || !got.Busy {
			t.Fatalf("got %+v, %v; want it busy", got, err)
		}
	}
	if left := processes(t, e, id); len(left) != 2 {
		t.Errorf("in the container run %v, want one command beside its first process", left)
	}
	e.unkind = false
	await(t, "the command that hangs is ended and another one runs", func() bool {
		got, err := ask(t, e, id, 500*time.Millisecond, demoProgram, "check")
		return err == nil && got.TimedOut
	})
}

// TestRunCommandErrors: what says nothing about the container's health is an error.
func TestRunCommandErrors(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	stopped := ensure(t, e, demo(t, e, "staging"))
	if got, err := ask(t, e, stopped, patience, demoProgram, "check"); err == nil {
		t.Errorf("in a container that does not run: %+v", got)
	}
	if got, err := ask(t, e, "0123456789ab", patience, demoProgram, "check"); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("in no container: %+v, %v", got, err)
	}
	away := engineAt(t, "unix:///nonexistent/docker.sock", "away")
	if got, err := ask(t, away, stopped, patience, demoProgram, "check"); !errors.Is(err, fleet.ErrUnavailable) {
		t.Errorf("without an engine: %+v, %v", got, err)
	}
	if got, err := away.ImageHealth(t.Context(), stopped); !errors.Is(err, fleet.ErrUnavailable) {
		t.Errorf("without an engine: %+v, %v", got, err)
	}
	if got, err := e.ImageHealth(t.Context(), stopped); err == nil {
		t.Errorf("of a container that does not run: %+v", got)
	}
}

func TestImageHealth(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	environment := "staging"
	goesByImage := func(s *fleet.ContainerSpec) { s.Spec.HealthCheck = &fleet.HealthCheck{Type: grammar.HealthImage} }
	checked := withImage(t, e, testenv.WithHealthcheck(demoProgram, "check"))
	await := func(t *testing.T, id string, want fleet.Health, output string) {
		t.Helper()
		await(t, "the image's own check says "+string(want), func() bool {
			got, err := e.ImageHealth(t.Context(), id)
			return err == nil && !got.Missing && got.Health == want && strings.Contains(got.Output, output)
		})
	}
	t.Run("healthy", func(t *testing.T) {
		await(t, run(t, e, newSpec(t, environment, checked, goesByImage)), fleet.HealthHealthy, `"status":"ok"`)
	})
	t.Run("unhealthy", func(t *testing.T) {
		await(t, run(t, e, newSpec(t, environment, checked, goesByImage, withVariable("FAIL_HEALTH", "true"))), fleet.HealthUnhealthy, "FAIL_HEALTH")
	})
	t.Run("starting", func(t *testing.T) {
		id := run(t, e, newSpec(t, environment, checked, goesByImage))
		if got, err := e.ImageHealth(t.Context(), id); err != nil || got.Missing {
			t.Errorf("right after the start: %+v, %v", got, err)
		}
	})
	t.Run("an image without one", func(t *testing.T) {
		got, err := e.ImageHealth(t.Context(), run(t, e, demo(t, e, environment, goesByImage)))
		if err != nil || !got.Missing {
			t.Errorf("got %+v, %v; want it missing", got, err)
		}
	})
	t.Run("turned off by another check", func(t *testing.T) {
		id := run(t, e, newSpec(t, environment, checked, func(s *fleet.ContainerSpec) { s.Spec.HealthCheck = &fleet.HealthCheck{Type: grammar.HealthTCP} }))
		got, err := e.ImageHealth(t.Context(), id)
		if err != nil || !got.Missing {
			t.Errorf("got %+v, %v; want the image's own check turned off", got, err)
		}
	})
}

// TestRunCommandWhoseStartIsSlow: a command that the engine begins only after it was
// given up is not left behind.
func TestRunCommandWhoseStartIsSlow(t *testing.T) {
	t.Parallel()
	installation := testenv.Installation(t)
	asked, looked := make(chan string, 1), make(chan struct{})
	var once sync.Once
	host := testenv.EngineProxy(t, func(w http.ResponseWriter, r *http.Request, engine http.Handler) {
		switch {
		case !strings.Contains(r.URL.Path, "/exec/"):
			engine.ServeHTTP(w, r)
		case strings.HasSuffix(r.URL.Path, "/start"):
			body, err := io.ReadAll(r.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			asked <- path.Base(path.Dir(r.URL.Path))
			<-r.Context().Done()
			late := r.Clone(context.WithoutCancel(r.Context()))
			late.Body = io.NopCloser(bytes.NewReader(body))
			go func() {
				<-looked
				defer func() { _ = recover() }() // as the answer's recipient has gone
				engine.ServeHTTP(httptest.NewRecorder(), late)
			}()
			panic(http.ErrAbortHandler)
		default: // a look at what has become of it
			engine.ServeHTTP(w, r)
			if strings.HasSuffix(r.URL.Path, "/json") {
				once.Do(func() { close(looked) })
			}
		}
	})
	e := engineAt(t, host, installation)
	id := run(t, e, demo(t, e, "staging", withVariable("HANG", "true")))
	awaitLog(t, e, id, "serving")
	ctx, giveUp := context.WithCancel(t.Context())
	var command string
	go func() {
		command = <-asked
		giveUp()
	}()
	if got, err := e.RunCommand(ctx, id, []string{demoProgram, "check"}); !errors.Is(err, context.Canceled) || got.TimedOut {
		t.Errorf("got %+v, %v of a command that the engine was slow to begin", got, err)
	}
	await(t, "the engine has begun it", func() bool {
		found, err := e.client.ContainerExecInspect(t.Context(), command)
		return err == nil && found.Pid != 0
	})
	if left := processes(t, e, id); len(left) != 1 {
		t.Errorf("in the container run %v, want its first process alone", left)
	}
}
