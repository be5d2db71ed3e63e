package deploy_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/deploy"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// errLost stands for a call that the engine carried out although its answer was lost.
var errLost = errors.New("connection reset")

// errHalf stands for a start that is answered well and comes to nothing, because
// the engine has lost the container.
var errHalf = errors.New("half started")

// rig is a controller over a store in memory and an engine that can be told to fail.
type rig struct {
	store      *memory
	engine     *enginePretence
	controller *deploy.Controller
	service    *deploy.Service
	logged     bytes.Buffer // warnings; to be read while all is at rest
}

// inBubble runs a test with a running controller under fake time.
func inBubble(t *testing.T, spec fleet.Spec, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{store: newMemory(spec), engine: newEngine()}
		r.controller = deploy.NewController(deploy.Config{Store: r.store, Engine: r.engine, Logger: slog.New(slog.NewTextHandler(&r.logged, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		r.service = deploy.NewService(r.store, r.engine, r.controller.Wake)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.controller.Run(ctx, 7, nil) }()
		synctest.Wait()
		test(t, r)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// quick is a rollout that waits for nothing but health.
func quick() grammar.Rollout {
	r := grammar.DefaultRollout(true)
	r.MinHealthyTime, r.DrainTime, r.KeepWarmTime = 0, 0, 0
	return r
}

func (r *rig) deploy(t *testing.T, replicas int) string {
	t.Helper()
	d, err := r.service.Deploy(fleet.AsSystem(t.Context()), fleet.DeployRequest{Workload: theWorkload, Replicas: &replicas, Rollout: quick()})
	if err != nil {
		t.Fatal(err)
	}
	return d.ID
}

// after lets fake time go by and everything come to rest.
func after(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // fake time of a synctest bubble
	synctest.Wait()
}

func (r *rig) status(id string) fleet.Deployment {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return r.store.deployments[id]
}

func (r *rig) instances() []fleet.Instance {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return r.store.standing()
}

var plain = fleet.Spec{Name: "api", ServiceName: "api", ImageName: "wedsync/api", ImageTag: "v1", Scaling: fleet.Scaling{MinReplicas: 1, MaxReplicas: 10}}

func TestControllerDeploys(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		id := r.deploy(t, 3)
		after(time.Second)
		d := r.status(id)
		if d.Status != fleet.DeploymentCompleted || d.CompletedSteps != d.TotalSteps || d.TotalSteps == 0 {
			t.Errorf("deployment is %s, %d of %d steps", d.Status, d.CompletedSteps, d.TotalSteps)
		}
		if n := len(r.engine.ids()); n != 3 {
			t.Errorf("%d containers, want 3", n)
		}
		if n := r.engine.count("pull"); n != 1 {
			t.Errorf("%d pulls for three replicas, want 1", n)
		}
		r.engine.mu.Lock()
		defer r.engine.mu.Unlock()
		for _, c := range r.engine.containers {
			if c.Epoch != 7 {
				t.Errorf("container has epoch %d, want the controller's", c.Epoch)
			}
		}
	})
}

func TestControllerSurvivesFaults(t *testing.T) {
	unavailable := fleet.Errorf(fleet.ErrUnavailable, "the engine does not answer")
	tests := []struct {
		name string
		call string
		errs []error
	}{
		{"create is done but its answer is lost", "create", []error{errLost}},
		{"create fails twice", "create", []error{unavailable, unavailable}},
		{"start fails", "start", []error{unavailable}},
		{"start comes to nothing", "start", []error{errHalf, errHalf}},
		{"inspect fails", "inspect", []error{unavailable, unavailable}},
		{"pull fails", "pull", []error{unavailable}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, plain, func(t *testing.T, r *rig) {
				r.engine.fail(tt.call, tt.errs...)
				id := r.deploy(t, 2)
				after(30 * time.Second)
				if d := r.status(id); d.Status != fleet.DeploymentCompleted {
					t.Errorf("deployment is %s: %v", d.Status, d.Errors)
				}
				if n := len(r.engine.ids()); n != 2 {
					t.Errorf("%d containers, want 2", n)
				}
			})
		})
	}
}

func TestControllerFailsWhatCanNeverBe(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		live := r.deploy(t, 2)
		after(time.Second)
		before := r.engine.ids()
		r.store.definition.ImageTag = "v2"
		r.engine.fail("create", fleet.Errorf(fleet.ErrRefused, "the volume /srv is missing"))
		id := r.deploy(t, 2)
		after(time.Second)
		d := r.status(id)
		if d.Status != fleet.DeploymentRolledBack || len(d.Errors) == 0 || !strings.Contains(d.Errors[0].Message, "volume /srv") || d.Errors[0].InstanceName == "" {
			t.Errorf("deployment is %s with %+v", d.Status, d.Errors)
		}
		if now := r.engine.ids(); !slices.Equal(now, before) {
			t.Errorf("containers %v, want those of before, %v", now, before)
		}
		r.store.mu.Lock()
		defer r.store.mu.Unlock()
		rollback := r.store.deployments[r.store.live]
		if rollback.Type != fleet.TypeRollback || rollback.RollbackOfID != id || rollback.RollbackTargetID != live || r.store.target != rollback.ID {
			t.Errorf("live is %+v, want a rollback of %s to %s", rollback, id, live)
		}
	})
}

func TestControllerFailsWithoutTheImage(t *testing.T) {
	tests := []struct {
		name   string
		errs   []error
		within time.Duration
		want   string
	}{
		{"it is nowhere", []error{fleet.Errorf(fleet.ErrImageNotFound, "registry has no such image")}, time.Second, "no such image"},
		{"the registry does not answer", slices.Repeat([]error{fleet.Errorf(fleet.ErrUnavailable, "registry is away")}, 1000), 10*time.Minute + 10*time.Second, "registry is away"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, plain, func(t *testing.T, r *rig) {
				r.deploy(t, 2)
				after(time.Second)
				before := r.engine.ids()
				r.store.definition.ImageTag = "v2"
				r.engine.fail("pull", tt.errs...)
				calls := len(r.engine.since(0))
				id := r.deploy(t, 2)
				after(tt.within)
				d := r.status(id)
				if d.Status != fleet.DeploymentRolledBack || d.Errors[0].Step != "pull" || !strings.Contains(d.Errors[0].Message, tt.want) {
					t.Errorf("deployment is %s with %+v", d.Status, d.Errors)
				}
				if now := r.engine.ids(); !slices.Equal(now, before) {
					t.Errorf("containers %v, want those of before, %v", now, before)
				}
				for _, call := range r.engine.since(calls) {
					if strings.HasPrefix(call, "create") || strings.HasPrefix(call, "stop") {
						t.Errorf("called %s without an image", call)
					}
				}
			})
		})
	}
}

// A stop or a pull that takes its time keeps nobody from looking after the rest.
func TestControllerGoesOnBesideSlowWork(t *testing.T) {
	for _, slow := range []string{"stop", "pull"} {
		t.Run(slow, func(t *testing.T) {
			inBubble(t, plain, func(t *testing.T, r *rig) {
				r.deploy(t, 2)
				after(time.Second)
				list := r.instances()
				hold := r.engine.hold(slow)
				if slow == "stop" {
					if _, err := r.service.Act(fleet.AsSystem(t.Context()), list[0].ID, fleet.ActionStop, false, ""); err != nil {
						t.Fatal(err)
					}
				} else {
					r.store.definition.ImageTag = "v2"
					r.deploy(t, 2)
				}
				after(time.Second)
				r.engine.exit(list[1].ContainerID, 1)
				after(time.Second)
				if i := r.instances()[1]; i.Current != fleet.StatusRunning || i.Restarts != 1 {
					t.Errorf("while a %s goes on, a replica that exited is %s with %d restarts", slow, i.Current, i.Restarts)
				}
				close(hold)
				after(time.Second)
			})
		})
	}
}

func TestServiceRollback(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		first := r.deploy(t, 2)
		after(time.Second)
		r.store.definition.ImageTag = "v2"
		second := r.deploy(t, 3)
		after(time.Second)
		ctx := fleet.AsSystem(t.Context())
		for name, refused := range map[string]fleet.RollbackRequest{
			"not what runs": {DeploymentID: first},
			"itself":        {DeploymentID: second, TargetID: second},
			"unknown":       {DeploymentID: second, TargetID: "deployment-99"},
		} {
			if d, err := r.service.Rollback(ctx, refused); err == nil {
				t.Errorf("%s: accepted as %s", name, d.ID)
			}
		}
		accepted, err := r.service.Rollback(ctx, fleet.RollbackRequest{DeploymentID: second, Reason: "too slow"})
		if err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		d := r.status(accepted.ID)
		if d.Status != fleet.DeploymentCompleted || d.RollbackTargetID != first || d.After != 2 || d.ImageDigest != r.status(first).ImageDigest || d.Notes != "too slow" {
			t.Errorf("rollback is %+v", d)
		}
		if s := r.status(second); s.Status != fleet.DeploymentRolledBack || s.RollbackID != accepted.ID {
			t.Errorf("what was undone is %s by %q", s.Status, s.RollbackID)
		}
		if _, err := r.service.Rollback(ctx, fleet.RollbackRequest{DeploymentID: accepted.ID}); !errors.Is(err, fleet.ErrConflict) {
			t.Errorf("rollback of a rollback: %v, want a conflict", err)
		}
	})
}

func TestServiceScale(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		ctx := fleet.AsSystem(t.Context())
		if _, err := r.service.Scale(ctx, fleet.ScaleRequest{Workload: theWorkload, Replicas: 2}); !errors.Is(err, fleet.ErrNotFound) {
			t.Errorf("scaling nothing: %v, want not found", err)
		}
		hold := r.engine.hold("pull")
		r.deploy(t, 2)
		if _, err := r.service.Scale(ctx, fleet.ScaleRequest{Workload: theWorkload, Replicas: 3}); !errors.Is(err, fleet.ErrConflict) {
			t.Errorf("scaling during a rollout: %v, want a conflict", err)
		}
		close(hold)
		after(time.Second)
		before := r.engine.ids()
		if _, err := r.service.Scale(ctx, fleet.ScaleRequest{Workload: theWorkload, Replicas: 11}); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("scaling beyond the maximum: %v, want it refused", err)
		}
		d, err := r.service.Scale(ctx, fleet.ScaleRequest{Workload: theWorkload, Replicas: 4, Reason: "Saturday"})
		if err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if d = r.status(d.ID); d.Status != fleet.DeploymentCompleted || d.Type != fleet.TypeScale {
			t.Errorf("scaling is %s of type %s", d.Status, d.Type)
		}
		now := r.engine.ids()
		if kept := slices.DeleteFunc(slices.Clone(before), func(id string) bool { return !slices.Contains(now, id) }); len(now) != 4 || len(kept) != 2 {
			t.Errorf("%d containers, %d of them from before; want 4 and 2", len(now), len(kept))
		}
	})
}

func TestServiceSteer(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		ctx := fleet.AsSystem(t.Context())
		r.deploy(t, 2)
		after(time.Second)
		before := r.engine.ids()
		r.store.definition.ImageTag = "v2"
		two, settings := 2, quick()
		settings.AutoPromote = false
		d, err := r.service.Deploy(ctx, fleet.DeployRequest{Workload: theWorkload, Replicas: &two, Rollout: settings, Strategy: fleet.StrategyBlueGreen})
		if err != nil {
			t.Fatal(err)
		}
		after(time.Hour)
		if got := r.status(d.ID); got.CurrentStep != "await_promotion" || *got.State.Weight != 0 {
			t.Fatalf("an hour later it is at %q with weight %d", got.CurrentStep, *got.State.Weight)
		}
		steer := func(command fleet.Command, ok bool) {
			t.Helper()
			if _, err := r.service.Steer(ctx, d.ID, command, "because"); (err == nil) != ok || err != nil && !errors.Is(err, fleet.ErrConflict) {
				t.Errorf("%s: %v", command, err)
			}
			after(time.Second)
		}
		steer(fleet.CommandResume, false)
		steer(fleet.CommandPause, true)
		steer(fleet.CommandPause, false)
		steer(fleet.CommandPromote, true)
		if got := r.status(d.ID); got.CurrentStep != "paused" {
			t.Errorf("promoted while paused it is at %q", got.CurrentStep)
		}
		steer(fleet.CommandAbort, true)
		steer(fleet.CommandResume, false)
		got := r.status(d.ID)
		if got.Status != fleet.DeploymentRolledBack || got.Errors[0].Step != "aborted" || !strings.Contains(got.Errors[0].Message, "because") {
			t.Errorf("aborted it is %s with %+v", got.Status, got.Errors)
		}
		if now := r.engine.ids(); !slices.Equal(now, before) {
			t.Errorf("containers %v, want those of before, %v", now, before)
		}
	})
}

func TestControllerGivesUpWhatCannotBeStarted(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		broken := slices.Repeat([]error{errors.New("devicemapper is upset")}, 1000)
		r.engine.fail("start", broken...)
		id := r.deploy(t, 1)
		after(5*time.Minute + 10*time.Second)
		d := r.status(id)
		if d.Status != fleet.DeploymentFailed || !strings.Contains(d.Errors[0].Message, "devicemapper is upset") {
			t.Errorf("deployment is %s with %+v", d.Status, d.Errors)
		}
	})
}

func TestControllerExchangesTakenPorts(t *testing.T) {
	spec := plain
	spec.Network = fleet.NetworkConfig{Ports: []int{8080}, PublishPorts: true}
	inBubble(t, spec, func(t *testing.T, r *rig) {
		taken := fleet.Errorf(fleet.ErrPortTaken, "port 20000 is taken")
		r.engine.fail("start", taken, taken)
		id := r.deploy(t, 1)
		after(time.Second)
		if d := r.status(id); d.Status != fleet.DeploymentCompleted {
			t.Fatalf("deployment is %s: %v", d.Status, d.Errors)
		}
		i := r.instances()[0]
		if i.Ports[8080] != 20002 || len(i.RecentExits) != 0 {
			t.Errorf("port %d after two were taken, exits %v", i.Ports[8080], i.RecentExits)
		}
	})
}

func TestControllerFailsWithoutHostPorts(t *testing.T) {
	published := plain
	published.Network = fleet.NetworkConfig{Ports: []int{8080}, PublishPorts: true}
	tests := map[string]struct {
		left  int // host ports
		taken int // of those, by a foreign process
		step  deploy.StepKind
	}{
		"too few for all replicas":   {left: 1, step: deploy.StepAdd},
		"none for one that is taken": {left: 2, taken: 2, step: deploy.StepCreate},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, plain, func(t *testing.T, r *rig) {
				r.deploy(t, 2)
				after(time.Second)
				before := r.engine.ids()
				r.store.definition.Spec = published
				r.store.lastPort = r.store.ports + tt.left - 1
				r.engine.fail("start", slices.Repeat([]error{fleet.Errorf(fleet.ErrPortTaken, "port is taken")}, tt.taken)...)
				rollout := quick()
				rollout.MaxSurge = "100%"
				d, err := r.service.Deploy(fleet.AsSystem(t.Context()), fleet.DeployRequest{Workload: theWorkload, Replicas: new(2), Rollout: rollout})
				if err != nil {
					t.Fatal(err)
				}
				after(time.Second)
				if d = r.status(d.ID); d.Status != fleet.DeploymentRolledBack || d.Errors[0].Step != string(tt.step) || !strings.Contains(d.Errors[0].Message, "no host ports are left") {
					t.Errorf("deployment is %s with %+v", d.Status, d.Errors)
				}
				if now := r.engine.ids(); !slices.Equal(now, before) {
					t.Errorf("containers %v, want those of before, %v", now, before)
				}
			})
		})
	}
}

func TestControllerRepairsAndGivesUpACrashLoop(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		r.deploy(t, 1)
		after(time.Second)
		id := r.engine.ids()[0]
		for n := 1; n <= fleet.CrashLimit; n++ {
			r.engine.exit(id, 1)
			after(2 * time.Second)
			i := r.instances()[0]
			if loop := n == fleet.CrashLimit; loop != (i.Current == fleet.StatusFailed) {
				t.Fatalf("after %d exits it is %s: %s", n, i.Current, i.Error)
			}
		}
		after(time.Hour)
		i := r.instances()[0]
		if i.Current != fleet.StatusFailed || !strings.Contains(i.Error, "crash loop") {
			t.Errorf("an hour later it is %s: %s", i.Current, i.Error)
		}
		if _, err := r.service.Act(fleet.AsSystem(t.Context()), i.ID, fleet.ActionStart, false, ""); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if i := r.instances()[0]; i.Current != fleet.StatusRunning {
			t.Errorf("started by hand it is %s: %s", i.Current, i.Error)
		}
	})
}

func TestControllerLeavesContainersAloneWithoutDatabase(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		r.deploy(t, 2)
		after(time.Second)
		r.store.setDown(true)
		calls := len(r.engine.since(0))
		after(5 * time.Minute)
		for _, call := range r.engine.since(calls) {
			if !strings.HasPrefix(call, "list") {
				t.Errorf("called %s without a database", call)
			}
		}
		r.engine.exit(r.engine.ids()[0], 1)
		after(time.Second)
		r.store.setDown(false)
		after(time.Minute)
		for _, i := range r.instances() {
			if i.Current != fleet.StatusRunning {
				t.Errorf("%s is %s after the database came back", i.Name, i.Current)
			}
		}
	})
}

// TestControllerAsksTheEngineBeforeItFails has an engine that is restarted: before
// it tells that it stopped the container, the health check has already condemned it.
func TestControllerAsksTheEngineBeforeItFails(t *testing.T) {
	spec := plain
	spec.HealthCheck = &fleet.HealthCheck{Endpoint: "/health"}
	inBubble(t, spec, func(t *testing.T, r *rig) {
		id := r.deploy(t, 1)
		after(time.Second)
		i := r.instances()[0]
		r.engine.mu.Lock()
		c := r.engine.containers[i.ContainerID]
		c.State, c.FinishedAt, c.EngineStopped = fleet.ContainerExited, time.Now(), true
		r.engine.containers[i.ContainerID] = c
		r.engine.mu.Unlock()
		unavailable := fleet.Errorf(fleet.ErrUnavailable, "the engine does not answer")
		r.engine.fail("inspect", unavailable, unavailable)
		r.store.setHealth(i.ID, fleet.HealthUnhealthy)
		r.controller.Wake(theWorkload)
		after(10 * time.Second)
		if d := r.status(id); d.Status != fleet.DeploymentInProgress {
			t.Fatalf("deployment is %s: %v", d.Status, d.Errors)
		}
		if again := r.instances()[0]; again.Current != fleet.StatusRunning || again.ContainerID != i.ContainerID || r.engine.count("start") != 2 {
			t.Errorf("%s is %s after %d starts, want the same container started again", again.Name, again.Current, r.engine.count("start"))
		}
		r.store.setHealth(i.ID, fleet.HealthUnhealthy) // this time it is
		r.controller.Wake(theWorkload)
		after(time.Second)
		if d := r.status(id); d.Status != fleet.DeploymentFailed {
			t.Errorf("deployment of an unhealthy replica is %s", d.Status)
		}
	})
}

func TestControllerRemovesStraysAfterAGrace(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		r.engine.mu.Lock()
		r.engine.containers["stray"] = fleet.Container{ID: "stray", Name: "stray", InstanceID: "nobody", State: fleet.ContainerRunning}
		r.engine.mu.Unlock()
		after(9 * time.Minute)
		if len(r.engine.ids()) != 1 {
			t.Error("the stray went before its grace was over")
		}
		after(3 * time.Minute)
		if left := r.engine.ids(); len(left) != 0 {
			t.Errorf("%v is left", left)
		}
	})
}

func TestServiceDeployRefuses(t *testing.T) {
	seven, two := 7, 2
	spec := plain
	spec.Network = fleet.NetworkConfig{InternalNetworks: []string{"app"}, ExternalNetworks: []string{"edge"}}
	spec.Scaling.MaxReplicas = 5
	store := newMemory(spec)
	store.networks = []fleet.Network{{Name: "edge", Environment: "staging", Type: fleet.NetworkInternal}, {Name: "app", Environment: "production"}}
	engine := newEngine()
	s := deploy.NewService(store, engine, func(fleet.Workload) { t.Error("woke a workload") })
	ctx := fleet.AsSystem(t.Context())

	_, err := s.Deploy(ctx, fleet.DeployRequest{Workload: theWorkload, Replicas: &seven, Rollout: quick()})
	var invalid *fleet.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Fields) != 3 {
		t.Errorf("error %v, want three fields", err)
	}
	_, err = s.Deploy(ctx, fleet.DeployRequest{Workload: theWorkload, Revision: &two, Rollout: quick()})
	if !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("error %v, want a conflict", err)
	}
	store.definition.Network = fleet.NetworkConfig{}
	engine.fail("resolve", fleet.Errorf(fleet.ErrImageNotFound, "no such image"))
	_, err = s.Deploy(ctx, fleet.DeployRequest{Workload: theWorkload, Rollout: quick()})
	if !errors.Is(err, fleet.ErrImageNotFound) || len(store.deployments) != 0 {
		t.Errorf("error %v with %d deployments, want a missing image and none", err, len(store.deployments))
	}
}

func TestServiceUpdateNetwork(t *testing.T) {
	refused := fleet.Errorf(fleet.ErrRefused, "subnet overlaps")
	tests := []struct {
		name   string
		change func(*fleet.Network)
		fault  error
		want   string // the engine's network afterwards
	}{
		{"resolver settings leave the engine alone", func(n *fleet.Network) { n.DNS.Search = []string{"x.internal"} }, nil, "app 10.0.0.0/24"},
		{"another subnet makes it anew", func(n *fleet.Network) { n.Subnet = "10.1.0.0/24" }, nil, "app 10.1.0.0/24"},
		{"a refused subnet brings the old one back", func(n *fleet.Network) { n.Subnet = "10.2.0.0/24" }, refused, "app 10.0.0.0/24"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store, engine := newMemory(plain), newEngine()
			store.networks = []fleet.Network{{ID: "n", Name: "app", Environment: "staging", Subnet: "10.0.0.0/24"}}
			engine.networks = []string{"app 10.0.0.0/24"}
			if tt.fault != nil {
				engine.fail("network", tt.fault)
			}
			s := deploy.NewService(store, engine, func(fleet.Workload) {})
			_, err := s.UpdateNetwork(fleet.AsSystem(t.Context()), "n", func(n *fleet.Network) error { tt.change(n); return nil })
			if !errors.Is(err, tt.fault) {
				t.Errorf("error %v, want %v", err, tt.fault)
			}
			if !slices.Equal(engine.networks, []string{tt.want}) {
				t.Errorf("engine has %v, want %s", engine.networks, tt.want)
			}
		})
	}
}
