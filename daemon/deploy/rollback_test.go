package deploy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// careful is a rollout whose settings are neither the default nor zero.
func careful() grammar.Rollout {
	r := grammar.DefaultRollout(true)
	r.MinHealthyTime, r.KeepWarmTime, r.DrainTime = 20, 40, 25
	return r
}

func (r *rig) scale(t *testing.T, replicas int) string {
	t.Helper()
	d, err := r.service.Scale(fleet.AsSystem(t.Context()), fleet.ScaleRequest{Workload: theWorkload, Replicas: replicas})
	if err != nil {
		t.Fatal(err)
	}
	return d.ID
}

func (r *rig) deployWith(t *testing.T, replicas int, settings grammar.Rollout) string {
	t.Helper()
	d, err := r.service.Deploy(fleet.AsSystem(t.Context()), fleet.DeployRequest{Workload: theWorkload, Replicas: &replicas, Rollout: settings})
	if err != nil {
		t.Fatal(err)
	}
	return d.ID
}

// TestRollbackKeepsTheSettings: a rollback hurries, but what comes after it goes by
// the settings of what it has brought back.
func TestRollbackKeepsTheSettings(t *testing.T) {
	refused := fleet.Errorf(fleet.ErrRefused, "the volume /srv is missing")
	for name, fail := range map[string]func(t *testing.T, r *rig){
		"of a scaling": func(t *testing.T, r *rig) {
			r.engine.fail("create", refused)
			r.scale(t, 6)
		},
		"of a rollout": func(t *testing.T, r *rig) {
			r.store.definition.ImageTag = "v2"
			r.engine.fail("create", refused)
			r.deployWith(t, 2, quick())
		},
		"by hand": func(t *testing.T, r *rig) {
			r.store.definition.ImageTag = "v2"
			id := r.deployWith(t, 2, quick())
			after(time.Minute)
			if _, err := r.service.Rollback(fleet.AsSystem(t.Context()), fleet.RollbackRequest{DeploymentID: id}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, plain, func(t *testing.T, r *rig) {
				r.deployWith(t, 2, careful())
				after(time.Minute)
				fail(t, r)
				after(time.Minute)
				live := r.status(r.store.live)
				if live.Type != fleet.TypeRollback || live.After != 2 {
					t.Fatalf("a %s to %d replicas is live", live.Type, live.After)
				}
				if took := live.CompletedAt.Sub(live.StartedAt); took >= 20*time.Second {
					t.Errorf("the rollback took %s, as if it had to prove what was stable before", took)
				}
				id := r.scale(t, 4)
				after(19 * time.Second)
				if d := r.status(id); d.Status != fleet.DeploymentInProgress {
					t.Errorf("the next scaling is %s before its replicas were healthy for min_healthy_time", d.Status)
				}
				after(2 * time.Second)
				if d := r.status(id); d.Status != fleet.DeploymentCompleted || d.Rollout.DrainTime != 25 || d.Rollout.MaxSurge != "25%" {
					t.Errorf("the next scaling is %s, with the settings %+v", d.Status, d.Rollout)
				}
			})
		})
	}
}

// TestPlanOfARollbackDrains: what a rollback removes keeps its time to end requests,
// if it serves; what does not serve goes at once.
func TestPlanOfARollbackDrains(t *testing.T) {
	w := newWorld(t, 2)
	w.request(w.deployment("v2", 2, fleet.StrategyBlueGreen))
	w.at(20*time.Second, "replica 1 of v2 exits", func(w *world) { w.exit(w.instance("d2/1")) })
	trace := w.play()
	if !strings.Contains(trace, "remove d2/1, await_drain d2/2\n") || !strings.Contains(trace, "50s     v1: 1 healthy, 2 healthy | v2: 2 draining\n") {
		t.Errorf("it plans\n%s", trace)
	}
}

// TestRollbackKeepsTheCount: a rollout that takes the place of a scaling, and is undone,
// leaves the number of replicas that the scaling was to bring.
func TestRollbackKeepsTheCount(t *testing.T) {
	abort := func(t *testing.T, r *rig, id string) {
		t.Helper()
		if _, err := r.service.Steer(fleet.AsSystem(t.Context()), id, fleet.CommandAbort, ""); err != nil {
			t.Fatal(err)
		}
	}
	byHand := func(t *testing.T, r *rig, id, target string) {
		t.Helper()
		d, err := r.service.Rollback(fleet.AsSystem(t.Context()), fleet.RollbackRequest{DeploymentID: id, TargetID: target})
		if err != nil || !d.KeepReplicas {
			t.Fatalf("%v; that it keeps a policy's number is %v", err, d.KeepReplicas)
		}
	}
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, r *rig)
		want int
	}{
		{"nothing was superseded", func(t *testing.T, r *rig) { abort(t, r, r.deploy(t, 3)) }, 2},
		{"aborted", func(t *testing.T, r *rig) {
			r.scale(t, 5)
			after(time.Second)
			abort(t, r, r.deploy(t, 3))
		}, 5},
		{"failed", func(t *testing.T, r *rig) {
			r.scale(t, 5)
			after(time.Second)
			r.engine.fail("create", fleet.Errorf(fleet.ErrRefused, "no"))
			r.deploy(t, 3)
		}, 5},
		{"by hand", func(t *testing.T, r *rig) {
			r.scale(t, 5)
			after(time.Second)
			byHand(t, r, r.deploy(t, 3), "")
		}, 5},
		{"by hand, completed", func(t *testing.T, r *rig) {
			r.scale(t, 5)
			after(time.Second)
			id := r.deploy(t, 3)
			r.engine.release("pull")
			after(time.Second)
			if d := r.status(id); d.Status != fleet.DeploymentCompleted {
				t.Fatalf("the rollout is %s", d.Status)
			}
			byHand(t, r, id, "")
		}, 5},
		{"by hand, to what is live by its name", func(t *testing.T, r *rig) {
			r.scale(t, 5)
			after(time.Second)
			byHand(t, r, r.deploy(t, 3), r.store.live)
		}, 5},
		{"by hand, to what is live by its name, and nothing was superseded", func(t *testing.T, r *rig) {
			byHand(t, r, r.deploy(t, 3), r.store.live)
		}, 2},
		{"superseded itself", func(t *testing.T, r *rig) {
			r.scale(t, 5)
			after(time.Second)
			r.deploy(t, 3)
			after(time.Second)
			abort(t, r, r.deploy(t, 1))
		}, 5},
		{"superseded what brings the number back", func(t *testing.T, r *rig) {
			r.scale(t, 5)
			after(time.Second)
			abort(t, r, r.deploy(t, 3))
			abort(t, r, r.deploy(t, 1))
		}, 5},
		{"the scaling is taken back itself", func(t *testing.T, r *rig) { abort(t, r, r.scale(t, 5)) }, 2},
		{"the scaling is down", func(t *testing.T, r *rig) {
			r.scale(t, 1)
			abort(t, r, r.deploy(t, 3))
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, plain, func(t *testing.T, r *rig) {
				r.deploy(t, 2)
				after(time.Second)
				r.engine.hold("pull")
				r.store.definition.ImageTag = "v2"
				tt.do(t, r)
				r.engine.release("pull")
				after(time.Minute)
				live := r.status(r.store.live)
				if live.Type != fleet.TypeRollback || live.After != tt.want || live.ImageTag != "v1" || len(r.engine.ids()) != tt.want {
					t.Errorf("a %s to %d replicas of %s is live, with %d containers; want %d", live.Type, live.After, live.ImageTag, len(r.engine.ids()), tt.want)
				}
			})
		})
	}
}

// TestScalingFailsInPart: what has proved itself stays, the same containers, and the
// scaling says what has not.
func TestScalingFailsInPart(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		r.deploy(t, 2)
		after(time.Second)
		before := r.engine.ids()
		hold := r.engine.hold("pull")
		id := r.scale(t, 6)
		r.engine.fail("create", nil, fleet.Errorf(fleet.ErrUnavailable, "the engine does not answer")) // of one of them
		close(hold)
		after(50 * time.Millisecond)
		well := r.engine.ids()
		if len(well) != 5 {
			t.Fatalf("%d containers, want all but one of six", len(well))
		}
		r.engine.fail("create", fleet.Errorf(fleet.ErrRefused, "the disk is full"))
		after(time.Minute)
		d, live := r.status(id), r.status(r.store.live)
		if d.Status != fleet.DeploymentRolledBack || !strings.Contains(d.Errors[0].Message, "the disk is full") {
			t.Errorf("the scaling is %s with %+v", d.Status, d.Errors)
		}
		if live.RollbackOfID != id || live.After != 5 || !strings.Contains(live.Notes, "5 of 6 replicas remain") {
			t.Errorf("live is a %s of %s to %d replicas: %q", live.Type, live.RollbackOfID, live.After, live.Notes)
		}
		for k, i := range r.instances() {
			if i.Replica > 5 || i.DeploymentID != live.ID {
				t.Errorf("instance %d of what is left is replica %d of %s", k, i.Replica, i.DeploymentID)
			}
		}
		if now := r.engine.ids(); !slices.Equal(now, well) || !slices.Contains(now, before[0]) {
			t.Errorf("containers %v, want those that were well, %v", now, well)
		}
		after(time.Hour)
		if n := len(r.engine.since(0)); r.engine.count("create") != 7 {
			t.Errorf("%d creations among %d calls, want no other", r.engine.count("create"), n)
		}
	})
}

// TestScalingDownKeepsWhatServes: the containers that serve stay, under the numbers of
// those that are in a crash loop.
func TestScalingDownKeepsWhatServes(t *testing.T) {
	inBubble(t, plain, func(t *testing.T, r *rig) {
		r.deploy(t, 4)
		after(time.Second)
		serve := []string{r.instances()[2].ContainerID, r.instances()[3].ContainerID}
		slices.Sort(serve)
		for range fleet.CrashLimit {
			for _, i := range r.instances()[:2] {
				r.engine.exit(i.ContainerID, 1)
			}
			after(time.Second)
		}
		if i := r.instances()[0]; i.Current != fleet.StatusFailed {
			t.Fatalf("replica 1 is %s: %s", i.Current, i.Error)
		}
		id := r.scale(t, 2)
		after(time.Minute)
		if d := r.status(id); d.Status != fleet.DeploymentCompleted || r.engine.count("create") != 4 || !slices.Equal(r.engine.ids(), serve) {
			t.Errorf("the scaling is %s with %+v; of containers %v there are %v", d.Status, d.Errors, serve, r.engine.ids())
		}
		for _, i := range r.instances() {
			if i.Replica > 2 || i.DeploymentID != id || i.Current != fleet.StatusRunning {
				t.Errorf("replica %d of %s is %s", i.Replica, i.DeploymentID, i.Current)
			}
		}
	})
}

// TestAbortedScalingGoesBack: a user who takes a scaling back means all of it.
func TestAbortedScalingGoesBack(t *testing.T) {
	inBubble(t, checked, func(t *testing.T, r *rig) {
		r.deploy(t, 2)
		after(time.Second)
		r.settle(t)
		before := r.engine.ids()
		id := r.scale(t, 4)
		after(time.Second)
		r.store.setHealth(r.instances()[2].ID, fleet.HealthHealthy)
		r.controller.Wake(theWorkload)
		after(time.Second)
		if d := r.status(id); d.Status != fleet.DeploymentInProgress || d.State.Settled != 3 {
			t.Fatalf("the scaling is %s with %d replicas settled", d.Status, d.State.Settled)
		}
		if _, err := r.service.Steer(fleet.AsSystem(t.Context()), id, fleet.CommandAbort, ""); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		if live := r.status(r.store.live); live.RollbackOfID != id || live.After != 2 || !slices.Equal(r.engine.ids(), before) {
			t.Errorf("live is a %s to %d replicas, with %d containers", live.Type, live.After, len(r.engine.ids()))
		}
	})
}

// TestRollbackOfWhatStopsFirst: what cannot run beside another does not when it is
// undone either. No more are missing meanwhile than in the rollout, and it takes the
// time that requests need to end.
func TestRollbackOfWhatStopsFirst(t *testing.T) {
	for _, drain := range []int{30, 700} { // within the progress deadline and beyond
		w := newWorld(t, 3)
		w.change(func(d *fleet.Deployment) { d.Rollout.DrainTime = drain })
		d := w.deployment("v2", 3, fleet.StrategyRollingUpdate)
		d.Rollout.StartFirst, d.Rollout.MaxSurge, d.Rollout.MaxUnavailable = false, "0", "1"
		w.request(d)
		w.at(75*time.Second, "replica 2 of v2 exits", func(w *world) { w.exit(w.instance("d2/2")) })
		trace := w.play()
		_, back, _ := strings.Cut(trace, "d3: rollback of v1")
		if !strings.Contains(back, "remove d2/1") || strings.Contains(back, "add replica 1, add replica 2") {
			t.Errorf("it plans\n%s", trace)
		}
		if w.state.Live.ID != "d3" || w.least < 2 {
			t.Errorf("%s is live, and %d served, want 2 at least:\n%s", w.state.Live.ID, w.least, trace)
		}
	}
}
