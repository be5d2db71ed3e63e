package deploy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

var checked = func() fleet.Spec {
	s := plain
	s.HealthCheck = &fleet.HealthCheck{Endpoint: "/health", Interval: 1, Timeout: 1, Retries: 3}
	return s
}()

// settle makes every instance healthy, so that a rollout completes.
func (r *rig) settle(t *testing.T) {
	t.Helper()
	for _, i := range r.instances() {
		r.store.setHealth(i.ID, fleet.HealthHealthy)
	}
	r.controller.Wake(theWorkload)
	after(100 * time.Millisecond)
}

// sicken has the monitor find an instance unhealthy.
func (r *rig) sicken(id string) {
	r.store.mu.Lock()
	k := r.store.index(id)
	r.store.instances[k].Checks = []fleet.HealthResult{
		{Status: fleet.HealthUnhealthy, Details: "GET /health on port 8080: status 503"},
		{Status: fleet.HealthUnknown, Details: "wedsyncd was held up"},
	}
	r.store.mu.Unlock()
	r.store.setHealth(id, fleet.HealthUnhealthy)
	r.controller.Wake(theWorkload)
}

// failures are the messages of the events of failures.
func (r *rig) failures() (list []string) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for _, e := range r.store.events {
		if e.Type == fleet.EventFailed {
			list = append(list, e.Error)
		}
	}
	return list
}

func TestControllerRestartsWhatIsUnhealthy(t *testing.T) {
	inBubble(t, checked, func(t *testing.T, r *rig) {
		id := r.deploy(t, 2)
		after(time.Second)
		r.settle(t)
		if d := r.status(id); d.Status != fleet.DeploymentCompleted {
			t.Fatalf("deployment is %s", d.Status)
		}
		ill, well := r.instances()[0], r.instances()[1]
		for n := 1; n < fleet.CrashLimit; n++ {
			r.sicken(ill.ID)
			after(time.Second)
			now := r.instances()[0]
			if now.Current != fleet.StatusRunning || now.Restarts != n || now.ContainerID != ill.ContainerID || len(now.RecentExits) != n ||
				now.Health != fleet.HealthUnknown || now.UnhealthySince != nil {
				t.Fatalf("after %d verdicts it is %s, %s, with %d restarts and the failures %v", n, now.Current, now.Health, now.Restarts, now.RecentExits)
			}
			r.settle(t)
		}
		r.sicken(ill.ID)
		after(time.Hour)
		loop := r.instances()[0]
		if loop.Current != fleet.StatusFailed || !strings.Contains(loop.Error, "crash loop: 5 failures within 10m0s") || !strings.Contains(loop.Error, "status 503") {
			t.Errorf("the fifth time it is %s: %s", loop.Current, loop.Error)
		}
		if c := r.engine.containers[ill.ContainerID]; c.State != fleet.ContainerExited {
			t.Errorf("the container of a crash loop is %s", c.State)
		}
		failures := r.failures()
		if len(failures) != fleet.CrashLimit+1 || failures[0] != "is unhealthy: GET /health on port 8080: status 503" || failures[fleet.CrashLimit] != loop.Error {
			t.Errorf("told of failures: %q", failures)
		}
		if other := r.instances()[1]; other.Restarts != 0 || other.ContainerID != well.ContainerID {
			t.Errorf("the other replica was touched: %+v", other)
		}
		if d := r.status(id); d.Status != fleet.DeploymentCompleted {
			t.Errorf("deployment is %s", d.Status)
		}
		if _, err := r.service.Act(fleet.AsSystem(t.Context()), ill.ID, fleet.ActionStart, false, ""); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if now := r.instances()[0]; now.Current != fleet.StatusRunning || len(now.RecentExits) != 0 {
			t.Errorf("started by hand it is %s, with the failures %v", now.Current, now.RecentExits)
		}
	})
}

// TestControllerForgivesAfterAGoodRun: failures that are further apart than the window are no crash loop.
func TestControllerForgivesAfterAGoodRun(t *testing.T) {
	inBubble(t, checked, func(t *testing.T, r *rig) {
		r.deploy(t, 1)
		after(time.Second)
		r.settle(t)
		id := r.instances()[0].ID
		for n := range 2 * fleet.CrashLimit {
			r.sicken(id)
			after(fleet.CrashWindow / 2)
			r.settle(t)
			if i := r.instances()[0]; i.Current != fleet.StatusRunning || i.Restarts != n+1 {
				t.Fatalf("after %d verdicts in %s each it is %s with %d restarts", n+1, fleet.CrashWindow/2, i.Current, i.Restarts)
			}
		}
	})
}

// TestControllerSparesWhatRecovers: an instance that becomes healthy during the
// back-off goes on, and its being unhealthy does not count.
func TestControllerSparesWhatRecovers(t *testing.T) {
	inBubble(t, checked, func(t *testing.T, r *rig) {
		r.deploy(t, 1)
		after(time.Second)
		r.settle(t)
		id := r.instances()[0].ID
		r.sicken(id)
		after(time.Second)
		r.settle(t)
		stops := r.engine.count("stop")
		r.sicken(id)
		after(50 * time.Millisecond) // below the least back-off
		r.settle(t)
		after(time.Hour)
		if i := r.instances()[0]; len(i.RecentExits) != 1 || r.engine.count("stop") != stops {
			t.Errorf("%d stops more and the failures %v, want it left alone", r.engine.count("stop")-stops, i.RecentExits)
		}
	})
}

// TestControllerBlamesNobodyForTheEngine: while the engine does not answer nothing
// is counted; what the engine has stopped meanwhile is started and not counted either.
func TestControllerBlamesNobodyForTheEngine(t *testing.T) {
	inBubble(t, checked, func(t *testing.T, r *rig) {
		r.deploy(t, 1)
		after(time.Second)
		r.settle(t)
		i := r.instances()[0]
		r.engine.mu.Lock()
		c := r.engine.containers[i.ContainerID]
		c.State, c.FinishedAt, c.EngineStopped = fleet.ContainerExited, time.Now(), true
		r.engine.containers[i.ContainerID] = c
		r.engine.mu.Unlock()
		unavailable := fleet.Errorf(fleet.ErrUnavailable, "the engine does not answer")
		r.engine.fail("inspect", slices.Repeat([]error{unavailable}, 5)...)
		r.sicken(i.ID)
		after(time.Minute)
		now := r.instances()[0]
		if now.Current != fleet.StatusRunning || len(now.RecentExits) != 0 || now.Restarts != 1 || r.engine.count("stop") != 0 {
			t.Errorf("it is %s with %d restarts, the failures %v and %d stops", now.Current, now.Restarts, now.RecentExits, r.engine.count("stop"))
		}
	})
}

// TestControllerCountsOnceAcrossACrash: a daemon that ends between the count and
// the start, whatever it has done of the restart, is taken over from without another count.
func TestControllerCountsOnceAcrossACrash(t *testing.T) {
	for _, tt := range []struct {
		name    string
		stopped bool
	}{{"before the stop", false}, {"after the stop", true}} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, checked, func(t *testing.T, r *rig) {
				r.deploy(t, 1)
				after(time.Second)
				r.settle(t)
				id := r.instances()[0].ID
				r.store.mu.Lock()
				i := &r.store.instances[r.store.index(id)]
				i.Health, i.UnhealthySince = fleet.HealthUnhealthy, new(time.Now())
				i.RecentExits = []time.Time{*i.UnhealthySince}
				container := i.ContainerID
				r.store.mu.Unlock()
				if tt.stopped {
					r.engine.exit(container, 143)
				} else {
					r.controller.Wake(theWorkload)
				}
				after(time.Minute)
				now := r.instances()[0]
				if now.Current != fleet.StatusRunning || now.Restarts != 1 || len(now.RecentExits) != 1 {
					t.Errorf("it is %s with %d restarts and the failures %v, want it restarted and counted once", now.Current, now.Restarts, now.RecentExits)
				}
			})
		})
	}
}
