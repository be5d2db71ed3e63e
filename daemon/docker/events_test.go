package docker

import (
	"context"
	"errors"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// awaitEvent reads events until the container is reported in the state.
func awaitEvent(t *testing.T, events <-chan fleet.ContainerEvent, id string, state fleet.ContainerState) fleet.ContainerEvent {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		select {
		case event := <-events:
			if event.ContainerID == id && event.State == state {
				return event
			}
		case <-ctx.Done():
			t.Fatalf("no event says that the container is %s", state)
		}
	}
}

func TestEventsFollowALife(t *testing.T) {
	e := newEngine(t)
	events, _ := e.Events(t.Context())
	s := demo(t, e, "staging")
	id := run(t, e, s)
	if err := e.client.ContainerPause(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := e.client.ContainerUnpause(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := e.client.ContainerKill(t.Context(), id, "SIGKILL"); err != nil { // from outside
		t.Fatal(err)
	}
	awaitState(t, e, id, fleet.ContainerExited)
	if err := e.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	want := []fleet.ContainerState{fleet.ContainerCreated, fleet.ContainerRunning, fleet.ContainerPaused, fleet.ContainerRunning, fleet.ContainerExited, fleet.ContainerGone}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, state := range want {
		select {
		case got := <-events:
			if got.State != state || got.ContainerID != id || got.InstanceID != s.Instance.ID || got.At.IsZero() ||
				got.Workload != (fleet.Workload{DefinitionID: s.Instance.DefinitionID, Environment: "staging"}) {
				t.Fatalf("event %+v, want %s", got, state)
			}
			if state == fleet.ContainerExited && got.ExitCode != 137 {
				t.Errorf("event %+v, want exit code 137", got)
			}
		case <-ctx.Done():
			t.Fatalf("no event says that the container is %s", state)
		}
	}
}

func TestEventsOfOthersAreNotSeen(t *testing.T) {
	e, other := newEngine(t), newEngine(t)
	events, _ := e.Events(t.Context())
	ensure(t, other, demo(t, other, "staging"))
	ours := ensure(t, e, demo(t, e, "staging"))
	if got := <-events; got.ContainerID != ours {
		t.Errorf("first event %+v is not of our container", got)
	}
}

func TestEventsEndWithTheirContext(t *testing.T) {
	e := newEngine(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, failed := e.Events(ctx)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

func TestEventsWithoutEngine(t *testing.T) {
	e := unreachable(t)
	_, failed := e.Events(t.Context())
	wantKind(t, <-failed, fleet.ErrUnavailable, e.Host())
}
