package docker

import (
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

func TestLifecycle(t *testing.T) {
	e := newEngine(t)
	s := demo(t, e, "staging")
	id := ensure(t, e, s)
	if c := inspect(t, e, id); c.State != fleet.ContainerCreated || c.Name != s.Instance.Name || c.Epoch != 7 ||
		c.InstanceID != s.Instance.ID || c.DefinitionID != s.Instance.DefinitionID || c.DeploymentID != s.Instance.DeploymentID || c.Environment != "staging" {
		t.Errorf("created %+v", c)
	}
	for range 2 { // every step may be done twice
		if err := e.StartContainer(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if c := awaitState(t, e, id, fleet.ContainerRunning); c.Node == "" || c.StartedAt.IsZero() || !c.FinishedAt.IsZero() {
		t.Errorf("running %+v", c)
	}
	awaitLog(t, e, id, "serving") // before that, it would not hear the signal
	for range 2 {
		if err := e.StopContainer(t.Context(), id, 10, false); err != nil {
			t.Fatal(err)
		}
	}
	if c := inspect(t, e, id); c.State != fleet.ContainerExited || c.ExitCode != 0 || c.FinishedAt.IsZero() || c.IPAddress != "" {
		t.Errorf("stopped gracefully %+v; want exit code 0", c)
	}
	if err := e.StartContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := e.StopContainer(t.Context(), id, 10, true); err != nil {
		t.Fatal(err)
	}
	if c := inspect(t, e, id); c.State != fleet.ContainerExited || c.ExitCode != 137 || c.OOMKilled {
		t.Errorf("killed %+v; want exit code 137", c)
	}
	for range 2 {
		if err := e.RemoveContainer(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if c := inspect(t, e, id); c.State != fleet.ContainerGone || c.ID != id {
		t.Errorf("removed %+v", c)
	}
	wantKind(t, e.StartContainer(t.Context(), id), fleet.ErrNotFound)
	for _, force := range []bool{false, true} {
		if err := e.StopContainer(t.Context(), id, 1, force); err != nil {
			t.Errorf("stop what is gone, force %t: %v", force, err)
		}
	}
}

func TestRemoveContainerThatRuns(t *testing.T) {
	e := newEngine(t)
	id := run(t, e, demo(t, e, "staging"))
	if err := e.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if c := inspect(t, e, id); c.State != fleet.ContainerGone {
		t.Errorf("it is %s", c.State)
	}
}

func TestStartContinuesPaused(t *testing.T) {
	e := newEngine(t)
	id := run(t, e, demo(t, e, "staging"))
	if err := e.client.ContainerPause(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if c := inspect(t, e, id); c.State != fleet.ContainerPaused {
		t.Fatalf("it is %s", c.State)
	}
	if err := e.StartContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if c := inspect(t, e, id); c.State != fleet.ContainerRunning {
		t.Errorf("it is %s", c.State)
	}
}

func TestStopPaused(t *testing.T) {
	e := newEngine(t)
	for _, force := range []bool{false, true} {
		id := run(t, e, demo(t, e, "staging"))
		if err := e.client.ContainerPause(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := e.StopContainer(t.Context(), id, 1, force); err != nil {
			t.Errorf("force %t: %v", force, err)
		}
		if c := inspect(t, e, id); c.State != fleet.ContainerExited {
			t.Errorf("force %t: it is %s", force, c.State)
		}
	}
}

func TestStartFailures(t *testing.T) {
	e := newEngine(t)
	tests := map[string]struct {
		change func(*fleet.ContainerSpec)
		kind   error
		part   string
	}{
		"no such program": {func(s *fleet.ContainerSpec) { s.Spec.Runtime.Entrypoint = []string{"/nope"} }, fleet.ErrRefused, "/nope"},
		"not in the path": {func(s *fleet.ContainerSpec) { s.Spec.Runtime.Entrypoint = []string{"nope"} }, fleet.ErrRefused, "nope"},
		"a directory":     {func(s *fleet.ContainerSpec) { s.Spec.Runtime.Entrypoint = []string{"/etc"} }, fleet.ErrRefused, "/etc"},
		"unknown user":    {func(s *fleet.ContainerSpec) { s.Spec.Runtime.User = "nobody-here" }, fleet.ErrRefused, "nobody-here"},
		"unknown group":   {func(s *fleet.ContainerSpec) { s.Spec.Runtime.User = "1000:nogroup-here" }, fleet.ErrRefused, "nogroup-here"},
		"file as folder":  {volume("/etc/hostname", "/demo-app/x"), fleet.ErrRefused, "demo-app"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := e.StartContainer(t.Context(), ensure(t, e, demo(t, e, "staging", tt.change)))
			wantKind(t, err, tt.kind, tt.part)
			t.Log(err)
		})
	}
}

func TestStartOnTakenPort(t *testing.T) {
	e := newEngine(t)
	foreign, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	first := run(t, e, demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Instance.Ports = map[int]int{8080: testenv.FreePort(t)} }))
	tests := map[string]int{
		"foreign process":   foreign.Addr().(*net.TCPAddr).Port,
		"another container": inspect(t, e, first).Ports[8080],
	}
	for name, port := range tests {
		t.Run(name, func(t *testing.T) {
			id := ensure(t, e, demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Instance.Ports = map[int]int{8080: port} }))
			err := e.StartContainer(t.Context(), id)
			wantKind(t, err, fleet.ErrPortTaken)
			t.Log(err)
		})
	}
}

// Engines let a network go that only stopped containers refer to.
func TestStartWithoutItsNetwork(t *testing.T) {
	e := newEngine(t)
	n := newNetwork("staging", fleet.NetworkExternal)
	s := demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Networks = []fleet.Network{n} })
	id := ensure(t, e, s)
	if err := e.client.NetworkRemove(t.Context(), n.EngineName()); err != nil {
		t.Fatal(err)
	}
	wantKind(t, e.StartContainer(t.Context(), id), fleet.ErrNotFound, "network")
	if again := run(t, e, s); again == id {
		t.Error("the unusable container came back")
	}
}

func TestAdoptionAfterNetworkWasMadeAnew(t *testing.T) {
	e := newEngine(t)
	n := newNetwork("staging", fleet.NetworkExternal)
	s := demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Networks = []fleet.Network{n} })
	id := ensure(t, e, s)
	if err := e.client.NetworkRemove(t.Context(), n.EngineName()); err != nil {
		t.Fatal(err)
	}
	if again := run(t, e, s); again == id {
		t.Error("kept the container of the network that is gone")
	}
}

// TestOutOfMemory asks for the exit code always, and for the reason wherever the
// engine itself keeps it: on a busy machine, or one with control groups that the
// engine did not find when it started, it learns of the end but not of the cause.
func TestOutOfMemory(t *testing.T) {
	e := newEngine(t)
	events, _ := e.Events(t.Context())
	id := run(t, e, demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Spec.Resources.Memory = "32Mi" }))
	c := awaitState(t, e, id, fleet.ContainerRunning)
	url := "http://" + c.IPAddress + ":8080"
	await(t, "the container answers", func() bool { _, ok := get(url + "/health"); return ok })
	if _, ok := get(url + "/alloc?mb=256&s=60"); ok {
		t.Error("got eight times the memory that the limit allows")
	}
	c = awaitState(t, e, id, fleet.ContainerExited)
	died := awaitEvent(t, events, id, fleet.ContainerExited)
	if c.ExitCode != 137 || died.ExitCode != 137 {
		t.Errorf("exited %+v, event %+v; want code 137", c, died)
	}
	kept, err := e.client.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if c.OOMKilled != kept.State.OOMKilled {
		t.Errorf("exited %+v; the engine says out of memory: %v", c, kept.State.OOMKilled)
	}
}

func TestCrashIsSeen(t *testing.T) {
	e := newEngine(t)
	id := run(t, e, newSpec(t, "staging", withImage(t, e, testenv.Crashing())))
	if c := awaitState(t, e, id, fleet.ContainerExited); c.ExitCode != 1 || c.OOMKilled {
		t.Errorf("exited %+v; want code 1", c)
	}
	lines, err := e.LogTail(t.Context(), id, 10)
	if err != nil || !slices.ContainsFunc(lines, func(l fleet.LogLine) bool { return containsFold(l.Message, "crashing") }) {
		t.Errorf("log %v, %v", lines, err)
	}
}

func TestInspectShowsOnlyOurs(t *testing.T) {
	e, other := newEngine(t), newEngine(t)
	id := ensure(t, other, demo(t, other, "staging"))
	if c := inspect(t, e, id); c.State != fleet.ContainerGone {
		t.Errorf("sees another installation's container: %+v", c)
	}
	if c := inspect(t, e, uuid.NewString()); c.State != fleet.ContainerGone {
		t.Errorf("sees what never was: %+v", c)
	}
}

func TestListContainers(t *testing.T) {
	e, other := newEngine(t), newEngine(t)
	ensure(t, other, demo(t, other, "staging"))
	created := ensure(t, e, demo(t, e, "staging"))
	running := run(t, e, demo(t, e, "staging"))
	stopped := run(t, e, demo(t, e, "production"))
	if err := e.StopContainer(t.Context(), stopped, 0, true); err != nil {
		t.Fatal(err)
	}
	list, err := e.ListContainers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]fleet.ContainerState{created: fleet.ContainerCreated, running: fleet.ContainerRunning, stopped: fleet.ContainerExited}
	if len(list) != len(want) {
		t.Errorf("listed %d containers, want %d", len(list), len(want))
	}
	for _, c := range list {
		full := inspect(t, e, c.ID)
		if c.State != want[c.ID] || c.Name != full.Name || c.InstanceID != full.InstanceID || c.DefinitionID != full.DefinitionID ||
			c.DeploymentID != full.DeploymentID || c.Environment != full.Environment || c.Epoch != full.Epoch || c.Node != full.Node ||
			c.CreatedAt.Truncate(time.Second) != full.CreatedAt.Truncate(time.Second) {
			t.Errorf("listed  %+v\ninspect %+v", c, full)
		}
	}
}

// A program that does not end in its time is killed.
func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	e := newEngine(t)
	id := run(t, e, demo(t, e, "staging"))
	awaitLog(t, e, id, "serving")
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		get("http://" + inspect(t, e, id).IPAddress + ":8080/slow?ms=60000")
	}()
	awaitLog(t, e, id, "answering slowly")
	if err := e.StopContainer(t.Context(), id, 1, false); err != nil {
		t.Fatal(err)
	}
	if c := inspect(t, e, id); c.State != fleet.ContainerExited || c.ExitCode != 137 {
		t.Errorf("stopped %+v; want exit code 137", c)
	}
	<-busy
}

func TestRemoveInParallel(t *testing.T) {
	e := newEngine(t)
	id := run(t, e, demo(t, e, "staging"))
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			if err := e.RemoveContainer(t.Context(), id); err != nil {
				t.Error(err)
			}
			if c := inspect(t, e, id); c.State != fleet.ContainerGone {
				t.Errorf("it is %s after its removal", c.State)
			}
		})
	}
	group.Wait()
}
