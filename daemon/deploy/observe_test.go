package deploy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/deploy"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

func TestObserve(t *testing.T) {
	began := noon.Add(-10 * time.Second)
	ended := noon.Add(-5 * time.Second)
	running := func() fleet.Instance {
		return fleet.Instance{
			ID: "i", Name: "api-staging-1-0", ContainerID: "c", Current: fleet.StatusRunning, Desired: fleet.StatusRunning,
			Health: fleet.HealthHealthy, StartedAt: &began, SettledAt: &noon, IPAddress: "172.20.0.2",
		}
	}
	pending := func() fleet.Instance {
		return fleet.Instance{ID: "i", Name: "api-staging-1-0", Current: fleet.StatusPending, Desired: fleet.StatusRunning, Health: fleet.HealthUnknown}
	}
	up := fleet.Container{ID: "c", State: fleet.ContainerRunning, StartedAt: began, IPAddress: "172.20.0.2", Node: "node-1"}
	down := fleet.Container{ID: "c", State: fleet.ContainerExited, StartedAt: began, FinishedAt: ended, ExitCode: 3}
	gone := fleet.Container{ID: "c", State: fleet.ContainerGone}

	tests := []struct {
		name      string
		instance  fleet.Instance
		container fleet.Container
		checked   bool
		events    string
		current   fleet.Status
		health    fleet.Health
		restarts  int
		message   string
	}{
		{name: "starts without a check", instance: pending(), container: up, events: "started", current: fleet.StatusRunning, health: fleet.HealthHealthy},
		{name: "starts with a check", instance: pending(), container: up, checked: true, events: "started", current: fleet.StatusRunning, health: fleet.HealthUnknown},
		{name: "goes on running", instance: running(), container: up, checked: true, current: fleet.StatusRunning, health: fleet.HealthHealthy},
		{name: "was restarted", instance: running(),
			container: fleet.Container{ID: "c", State: fleet.ContainerRunning, StartedAt: noon, IPAddress: "172.20.0.3"}, checked: true,
			events: "started", current: fleet.StatusRunning, health: fleet.HealthUnknown, restarts: 1},
		{name: "exits by itself", instance: running(), container: down, events: "failed", current: fleet.StatusFailed,
			health: fleet.HealthUnknown, message: "exited with code 3 after 5s"},
		{name: "runs out of memory", instance: running(),
			container: fleet.Container{ID: "c", State: fleet.ContainerExited, StartedAt: began, FinishedAt: ended, ExitCode: 137, OOMKilled: true},
			events:    "failed", current: fleet.StatusFailed, health: fleet.HealthUnknown, message: "more memory than its limit"},
		{name: "stops as asked", instance: with(running(), func(i *fleet.Instance) { i.Desired = fleet.StatusStopped }), container: down,
			events: "stopped", current: fleet.StatusStopped, health: fleet.HealthUnknown},
		{name: "stops for a restart", instance: with(running(), func(i *fleet.Instance) { i.RestartRequested = &noon }), container: down,
			events: "stopped", current: fleet.StatusStopped, health: fleet.HealthUnknown},
		{name: "fifth exit is a crash loop", instance: with(running(), func(i *fleet.Instance) {
			i.RecentExits = []time.Time{noon.Add(-40 * time.Second), noon.Add(-30 * time.Second), noon.Add(-20 * time.Second), noon.Add(-15 * time.Second)}
		}), container: down, events: "failed", current: fleet.StatusFailed, health: fleet.HealthUnknown, message: "crash loop: 5 failures within 10m0s"},
		{name: "exit is known already", instance: with(running(), func(i *fleet.Instance) { i.Current, i.StoppedAt = fleet.StatusFailed, &ended }),
			container: down, current: fleet.StatusFailed, health: fleet.HealthHealthy},
		{name: "is lost by an engine that ended while it started it", instance: running(), container: fleet.Container{ID: "c", State: fleet.ContainerCreated},
			events: "failed", current: fleet.StatusPending, health: fleet.HealthUnknown},
		{name: "is removed from outside", instance: running(), container: gone, events: "failed", current: fleet.StatusPending, health: fleet.HealthUnknown},
		{name: "is removed while stopped", instance: with(running(), func(i *fleet.Instance) { i.Desired = fleet.StatusStopped }), container: gone,
			events: "failed", current: fleet.StatusStopped, health: fleet.HealthUnknown},
		{name: "is terminated for good", instance: with(running(), func(i *fleet.Instance) { i.Current = fleet.StatusTerminated }), container: up,
			current: fleet.StatusTerminated, health: fleet.HealthHealthy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := tt.instance
			var kinds []string
			for _, e := range deploy.Observe(&i, tt.container, tt.checked, noon) {
				kinds = append(kinds, e.Type)
			}
			if got := strings.Join(kinds, ","); got != tt.events {
				t.Errorf("events %q, want %q", got, tt.events)
			}
			if i.Current != tt.current || i.Health != tt.health || i.Restarts != tt.restarts {
				t.Errorf("is %s, %s, %d restarts; want %s, %s, %d", i.Current, i.Health, i.Restarts, tt.current, tt.health, tt.restarts)
			}
			if settled, over := i.SettledAt != nil, tt.events != ""; settled == over {
				t.Errorf("settled: %v, although its run is over: %v", settled, over)
			}
			if !strings.Contains(i.Error, tt.message) || tt.message == "" && i.Error != "" {
				t.Errorf("error %q, want %q in it", i.Error, tt.message)
			}
			if again := deploy.Observe(&i, tt.container, tt.checked, noon); len(again) > 0 {
				t.Errorf("the same facts were news twice: %v", again)
			}
		})
	}
}

// with is a changed copy.
func with(i fleet.Instance, change func(*fleet.Instance)) fleet.Instance {
	change(&i)
	return i
}

// TestObserveBesideAnotherClock: an exit counts as of our time where the engine's
// clock is ahead, and is news although it seems to be older than the last one.
func TestObserveBesideAnotherClock(t *testing.T) {
	last := noon.Add(-time.Minute)
	for _, tt := range []struct {
		name  string
		ended time.Time
		want  time.Time
	}{
		{"the engine is ahead", noon.Add(time.Hour), noon},
		{"the engine is behind", noon.Add(-time.Hour), noon.Add(-time.Hour)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := fleet.Instance{ID: "i", ContainerID: "c", Current: fleet.StatusFailed, Desired: fleet.StatusRunning, StoppedAt: &last, RecentExits: []time.Time{last}}
			c := fleet.Container{ID: "c", State: fleet.ContainerExited, ExitCode: 1, StartedAt: tt.ended.Add(-time.Second), FinishedAt: tt.ended}
			events := deploy.Observe(&i, c, false, noon)
			if len(events) != 1 || len(i.RecentExits) != 2 || !i.RecentExits[1].Equal(tt.want) || !i.StoppedAt.Equal(tt.ended) {
				t.Errorf("tells of %d events, exits at %v, stopped at %s; want the second exit at %s", len(events), i.RecentExits, i.StoppedAt, tt.want)
			}
			if again := deploy.Observe(&i, c, false, noon.Add(time.Second)); len(again) > 0 {
				t.Errorf("the same again is told as %d events", len(again))
			}
		})
	}
}
