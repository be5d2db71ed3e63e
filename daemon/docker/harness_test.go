package docker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv/machine"
)

// patience bounds every wait; nothing is timed by it.
const patience = 60 * time.Second

// newEngine is the real engine, seen by an installation of the test's own.
func newEngine(t *testing.T) *Engine {
	t.Helper()
	return engineOf(t, testenv.Installation(t))
}

func engineOf(t *testing.T, installation string) *Engine {
	t.Helper()
	return engineAt(t, testenv.Docker(t), installation)
}

// engineAt is the engine at an address.
func engineAt(t *testing.T, host, installation string) *Engine {
	t.Helper()
	e, err := New(Config{Host: host, Installation: installation})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// newSpec is an instance of the demo program in an environment, with changes.
func newSpec(t testing.TB, environment string, changes ...func(*fleet.ContainerSpec)) fleet.ContainerSpec {
	t.Helper()
	id := uuid.NewString()
	s := fleet.ContainerSpec{
		Instance: fleet.Instance{
			ID:           id,
			DefinitionID: uuid.NewString(),
			DeploymentID: uuid.NewString(),
			Environment:  environment,
			Name:         fleet.InstanceName("demo", environment, 1, id),
			Replica:      1,
			Ports:        map[int]int{},
		},
		Spec: fleet.Spec{
			Name:        "demo",
			ServiceName: "demo",
			Resources:   fleet.Resources{CPU: "250m", Memory: "64Mi"},
			Network:     fleet.NetworkConfig{Ports: []int{8080}},
			Runtime: fleet.RuntimeConfig{
				StopTimeout: fleet.DefaultStopTimeout, LogMaxSize: fleet.DefaultLogMaxSize, LogMaxFiles: fleet.DefaultLogMaxFiles,
			},
		},
		Epoch: 7,
	}
	for _, change := range changes {
		change(&s)
	}
	return s
}

// demo is newSpec with the demo image pinned by the engine itself.
func demo(t *testing.T, e *Engine, environment string, changes ...func(*fleet.ContainerSpec)) fleet.ContainerSpec {
	t.Helper()
	return newSpec(t, environment, append([]func(*fleet.ContainerSpec){withImage(t, e)}, changes...)...)
}

// withImage pins a demo image for the instance.
func withImage(t *testing.T, e *Engine, options ...testenv.ImageOption) func(*fleet.ContainerSpec) {
	t.Helper()
	digest, err := e.ResolveImage(t.Context(), testenv.DemoImage(t, "v1", options...), fleet.PullIfNotPresent, nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(s *fleet.ContainerSpec) { s.Instance.ImageDigest = digest }
}

func ensure(t *testing.T, e *Engine, s fleet.ContainerSpec) (id string) {
	t.Helper()
	id, _, err := e.EnsureContainer(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// run creates and starts the container and waits until it runs.
func run(t *testing.T, e *Engine, s fleet.ContainerSpec) (id string) {
	t.Helper()
	id = ensure(t, e, s)
	if err := e.StartContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	return id
}

func inspect(t *testing.T, e *Engine, id string) fleet.Container {
	t.Helper()
	c, err := e.InspectContainer(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func awaitState(t *testing.T, e *Engine, id string, want fleet.ContainerState) fleet.Container {
	t.Helper()
	var c fleet.Container
	await(t, "container is "+string(want), func() bool {
		c = inspect(t, e, id)
		return c.State == want
	})
	return c
}

// awaitLog waits until the container has written a line with that part.
func awaitLog(t *testing.T, e *Engine, id, part string) {
	t.Helper()
	await(t, "the log says "+part, func() bool {
		lines, err := e.LogTail(t.Context(), id, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(lines, func(l fleet.LogLine) bool { return strings.Contains(l.Message, part) })
	})
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := machine.Await(ctx, 10*time.Millisecond, func(context.Context) error {
		if !done() {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil {
		t.Fatalf("waited in vain until %s", what)
	}
}

// newNetwork is a network that the engine does not have yet.
func newNetwork(environment string, kind fleet.NetworkType, changes ...func(*fleet.Network)) fleet.Network {
	id := uuid.NewString()
	n := fleet.Network{ID: id, Name: "net-" + id[:8], Type: kind, Environment: environment, IsActive: true}
	for _, change := range changes {
		change(&n)
	}
	return n
}

// wantKind fails unless err is of the kind and its message holds all parts.
func wantKind(t *testing.T, err, kind error, parts ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v is not %q", err, kind)
	}
	for _, part := range parts {
		if !containsFold(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}
