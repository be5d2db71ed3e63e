package postgres_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// wholeState is a rollout's state of which nothing is empty.
func wholeState(t *testing.T) fleet.RolloutState {
	t.Helper()
	state := fleet.RolloutState{
		Weight: new(25), WeightAt: new(testTime), PulledAt: new(testTime.Add(time.Second)), PausedAt: new(testTime.Add(2 * time.Second)),
		PromotedAt: new(testTime.Add(3 * time.Second)), ProgressAt: new(testTime.Add(4 * time.Second)), Settled: 3, Asked: new(5), Trouble: "no route to registry",
	}
	for field, v := range reflect.ValueOf(state).Fields() {
		if v.IsZero() {
			t.Errorf("the test leaves %s empty", field.Name)
		}
	}
	return state
}

// TestRolloutRoundTrip: settings stay as they began, the state as it is written.
func TestRolloutRoundTrip(t *testing.T) {
	s, _ := open(t)
	want := deploymentOf(createDefinition(t, s, "api"), "staging")
	want.Strategy = fleet.StrategyCanary
	want.Rollout = grammar.Rollout{
		MaxSurge: "50%", MaxUnavailable: "1", StartFirst: true, MinHealthyTime: 7, HealthyDeadline: 70, ProgressDeadline: 700,
		CanarySteps: []grammar.CanaryStep{{Weight: 5, Pause: 10}, {Weight: 60, Pause: 20}}, AutoPromote: true, KeepWarmTime: 8, DrainTime: 9,
	}
	want.State = fleet.RolloutState{Weight: new(0)}
	d, err := s.CreateDeployment(system(t), want)
	if err != nil || d.Strategy != want.Strategy || !reflect.DeepEqual(d.Rollout, want.Rollout) || !reflect.DeepEqual(d.State, want.State) {
		t.Errorf("created %+v, %v; want %+v", d, err, want)
	}
	want.State = wholeState(t)
	faults := []fleet.DeploymentError{{
		InstanceID: instanceID, InstanceName: "api-1", Step: "await_healthy", Message: "is unhealthy",
		ExitCode: new(1), HealthOutput: "GET /health: status 503", LogTail: []string{"panic"},
	}}
	d, err = s.UpdateDeployment(system(t), d.ID, func(d *fleet.Deployment) ([]fleet.Event, error) {
		d.Rollout, d.State, d.Errors = grammar.DefaultRollout(false), want.State, faults
		return nil, nil
	})
	if err != nil || !reflect.DeepEqual(d.Rollout, want.Rollout) || !reflect.DeepEqual(d.State, want.State) || !reflect.DeepEqual(d.Errors, faults) {
		t.Errorf("updated to %+v, %v; want %+v", d, err, want)
	}
	if read, err := s.Deployment(system(t), d.ID); err != nil || !reflect.DeepEqual(read, d) {
		t.Errorf("read %+v, %v; want %+v", read, err, d)
	}
	if state := load(t, s, d.Workload()); !reflect.DeepEqual(*state.Target, d) {
		t.Errorf("loaded %+v, want %+v", *state.Target, d)
	}
	_, err = s.UpdateDeployment(system(t), d.ID, func(d *fleet.Deployment) ([]fleet.Event, error) {
		d.State = fleet.RolloutState{}
		return nil, nil
	})
	if read, readErr := s.Deployment(system(t), d.ID); err != nil || readErr != nil || !reflect.DeepEqual(read.State, fleet.RolloutState{}) {
		t.Errorf("emptied to %+v, %v, %v", read.State, err, readErr)
	}
}

// TestInstancesInRollouts: since when an instance is healthy, or out of service, is
// kept, and which number it has.
func TestInstancesInRollouts(t *testing.T) {
	s, _ := open(t)
	d := deploymentIn(t, s, "staging")
	i := newInstance(d, 1)
	i.HealthySince, i.DrainingSince = new(testTime), new(testTime.Add(time.Second))
	got := added(t, s, i)[0]
	if !reflect.DeepEqual(got.HealthySince, i.HealthySince) || !reflect.DeepEqual(got.DrainingSince, i.DrainingSince) {
		t.Errorf("added healthy since %v, draining since %v; want %v, %v", got.HealthySince, got.DrainingSince, i.HealthySince, i.DrainingSince)
	}
	got, err := s.UpdateInstance(system(t), i.ID, change(func(i *fleet.Instance) {
		i.HealthySince, i.DrainingSince, i.Replica = nil, new(testTime.Add(time.Minute)), 3
	}))
	if err != nil || got.HealthySince != nil || !got.DrainingSince.Equal(testTime.Add(time.Minute)) || got.Replica != 3 {
		t.Errorf("updated to %v, %v, replica %d, %v", got.HealthySince, got.DrainingSince, got.Replica, err)
	}
	if state := load(t, s, d.Workload()); len(state.Instances) != 1 || !reflect.DeepEqual(state.Instances[0], got) {
		t.Errorf("loaded %+v, want %+v", state.Instances, got)
	}
}

// TestSuperseding: both deployments say which took the other's place, and why.
func TestSuperseding(t *testing.T) {
	tests := []struct {
		name     string
		next     func(d fleet.Definition, old fleet.Deployment) fleet.Deployment
		message  func(newer string) string
		rollback bool
	}{
		{"by a newer deploy", func(d fleet.Definition, _ fleet.Deployment) fleet.Deployment {
			return deploymentOf(d, "staging")
		}, func(newer string) string { return "superseded by deployment " + newer }, false},
		{"by its own rollback", func(d fleet.Definition, old fleet.Deployment) fleet.Deployment {
			return rollbackOf(old, "")
		}, func(newer string) string { return "rolled back by deployment " + newer + " before it was completed" }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := open(t)
			d := createDefinition(t, s, "api")
			live := completed(t, s, deployed(t, s, d, "staging").ID)
			old := deployed(t, s, d, "staging")
			next := tt.next(d, old)
			next.RollbackTargetID = live.ID
			created, err := s.CreateDeployment(system(t), next)
			if err != nil || created.SupersedesID != old.ID || created.SupersededByID != "" || created.Before != live.After {
				t.Errorf("created %+v, %v; want it to supersede %s", created, err, old.ID)
			}
			got, err := s.Deployment(system(t), old.ID)
			if err != nil || got.Status != fleet.DeploymentFailed || got.CompletedAt == nil || got.SupersededByID != created.ID || got.SupersedesID != "" {
				t.Errorf("the superseded one is %+v, %v", got, err)
			}
			if len(got.Errors) != 1 || got.Errors[0].Step != "superseded" || got.Errors[0].Message != tt.message(created.ID) {
				t.Errorf("its errors are %+v", got.Errors)
			}
			if (got.RollbackID == created.ID) != tt.rollback || (created.RollbackOfID == old.ID) != tt.rollback {
				t.Errorf("rollback %q of %q", got.RollbackID, created.RollbackOfID)
			}
			if first, err := s.Deployment(system(t), live.ID); err != nil || first.Status != fleet.DeploymentCompleted || first.SupersededByID != "" || !first.Live {
				t.Errorf("the live one is %+v, %v", first, err)
			}
			r, err := s.ListEvents(system(t), fleet.EventFilter{Type: fleet.EventDeploymentSuperseded}, fleet.Page{})
			if err != nil || len(r.Items) != 1 || r.Items[0].DeploymentID != old.ID || r.Items[0].Data["superseded_by_id"] != created.ID {
				t.Errorf("events are %+v, %v", r.Items, err)
			}
		})
	}
}

// TestSupersedingAScaling: the number that it was to bring is not forgotten, however
// often its place is taken.
func TestSupersedingAScaling(t *testing.T) {
	s, _ := open(t)
	definition := createDefinition(t, s, "api")
	live := completed(t, s, deployed(t, s, definition, "staging").ID)
	begin := func(d fleet.Deployment) fleet.Deployment {
		t.Helper()
		d, err := s.CreateDeployment(system(t), d)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	asked := func(d fleet.Deployment, want *int) {
		t.Helper()
		if got, err := s.Deployment(system(t), d.ID); err != nil || !reflect.DeepEqual(got.State.Asked, want) {
			t.Errorf("%s remembers %v replicas, %v; want %v", got.Type, got.State.Asked, err, want)
		}
	}
	asked(live, nil)
	asked(begin(live.Scaled(4, "")), nil)
	asked(begin(live.Scaled(5, "")), nil)
	first := begin(deploymentOf(definition, "staging"))
	asked(first, new(5))
	second := begin(deploymentOf(definition, "staging"))
	asked(second, new(5))
	back := rollbackOf(second, live.ID)
	back.After = 5
	back = begin(back)
	asked(back, nil)
	if undone, ok := load(t, s, live.Workload()).Deployments[second.ID]; !ok || undone.Status != fleet.DeploymentFailed {
		t.Errorf("what the rollback undoes is loaded: %v, as %s", ok, undone.Status)
	}
	asked(begin(deploymentOf(definition, "staging")), new(5))
	completed(t, s, idOf(load(t, s, live.Workload()).Target))
	asked(begin(deploymentOf(definition, "staging")), nil)
}

// rollbackOf is a rollback of d to a target.
func rollbackOf(d fleet.Deployment, targetID string) fleet.Deployment {
	return fleet.Deployment{
		DefinitionID: d.DefinitionID, DefinitionRevision: d.DefinitionRevision, Environment: d.Environment, Type: fleet.TypeRollback,
		ImageTag: d.ImageTag, ImageDigest: d.ImageDigest, Spec: d.Spec, After: 2,
		Rollout: grammar.DefaultRollout(true), RollbackTargetID: targetID, RollbackOfID: d.ID,
	}
}

// abort ends a deployment as failed.
func abort(d *fleet.Deployment) ([]fleet.Event, error) {
	d.Status, d.CurrentStep = fleet.DeploymentFailed, ""
	d.Errors = append(d.Errors, fleet.DeploymentError{Step: "aborted", Message: "aborted by a user"})
	return []fleet.Event{{
		DefinitionID: d.DefinitionID, DeploymentID: d.ID, Environment: d.Environment, Type: fleet.EventDeploymentAborted, Source: fleet.SourceUser,
	}}, nil
}

// liveAndTarget are a deployment that is live and one in progress.
func liveAndTarget(t *testing.T, s *postgres.Store) (live, target fleet.Deployment) {
	t.Helper()
	d := createDefinition(t, s, "api")
	live = completed(t, s, deployed(t, s, d, "staging").ID)
	return live, deployed(t, s, d, "staging")
}

// TestSteerOnce: a command is carried out once per idempotency key.
func TestSteerOnce(t *testing.T) {
	s, _ := open(t)
	_, target := liveAndTarget(t, s)
	actor := as(t, s, devops, "staging")
	calls := 0
	pause := func(d *fleet.Deployment) ([]fleet.Event, error) {
		calls++
		d.State.PausedAt = new(testTime)
		return []fleet.Event{{DefinitionID: d.DefinitionID, DeploymentID: d.ID, Environment: d.Environment, Type: fleet.EventDeploymentPaused}}, nil
	}
	for range 3 {
		got, err := s.SteerDeployment(keyed(actor, "k1", "pause"), target.ID, pause, nil)
		if err != nil || got.ID != target.ID || got.State.PausedAt == nil || got.Status != fleet.DeploymentInProgress {
			t.Fatalf("paused %+v, %v", got, err)
		}
	}
	if got := eventTypes(t, s, fleet.EventFilter{Type: fleet.EventDeploymentPaused}); calls != 1 || len(got) != 1 {
		t.Errorf("done %d times, events are %v", calls, got)
	}
	_, err := s.SteerDeployment(keyed(actor, "k1", "resume"), target.ID, pause, nil)
	wantKind(t, err, fleet.ErrIdempotencyMismatch)
	_, err = s.SteerDeployment(as(t, s, devops, "production"), target.ID, pause, nil)
	wantKind(t, err, fleet.ErrNotFound)
	_, err = s.SteerDeployment(system(t), definitionID, pause, nil)
	wantKind(t, err, fleet.ErrNotFound)
}

// TestSteerIntoRollback: the end and the rollback that it calls for are one, and once.
func TestSteerIntoRollback(t *testing.T) {
	s, _ := open(t)
	live, target := liveAndTarget(t, s)
	ctx := keyed(as(t, s, devops, "staging"), "k1", "abort")
	call, _ := fleet.CallFrom(ctx)
	rollback := rollbackOf(target, live.ID)
	rollback.RollbackOfID = "" // what it undoes is known
	var got fleet.Deployment
	for range 3 {
		var err error
		if got, err = s.SteerDeployment(ctx, target.ID, abort, &rollback); err != nil {
			t.Fatal(err)
		}
		if got.ID != target.ID || got.Status != fleet.DeploymentFailed || got.CompletedAt == nil || got.RollbackID == "" || got.SupersededByID != "" {
			t.Fatalf("ended as %+v", got)
		}
	}
	begun, err := s.Deployment(system(t), got.RollbackID)
	if err != nil || begun.Type != fleet.TypeRollback || begun.Status != fleet.DeploymentInProgress || begun.RollbackOfID != target.ID ||
		begun.RollbackTargetID != live.ID || begun.SupersedesID != "" || begun.Before != live.After || begun.StartedBy != call.Principal.ID {
		t.Errorf("the rollback is %+v, %v", begun, err)
	}
	wantWorkload(t, s, target.Workload(), begun.ID, live.ID)
	if all, err := s.ListDeployments(system(t), fleet.DeploymentFilter{}, fleet.Page{}); err != nil || all.Total != 3 {
		t.Errorf("there are %d deployments, %v; want 3", all.Total, err)
	}
	wantTypes := []string{fleet.EventDeploymentStarted, fleet.EventDeploymentAborted, fleet.EventDeploymentStarted, fleet.EventDeploymentStarted}
	if got := eventTypes(t, s, fleet.EventFilter{Environment: "staging"}); !slices.Equal(got, wantTypes) {
		t.Errorf("events are %v, want %v", got, wantTypes)
	}
	if rollback.ID != "" || rollback.RollbackOfID != "" {
		t.Error("the caller's rollback was changed")
	}
	_, err = s.SteerDeployment(system(t), target.ID, abort, &rollback)
	wantKind(t, err, fleet.ErrConflict)
}

// TestSteerAllOrNothing: where a part cannot be done, nothing is.
func TestSteerAllOrNothing(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name     string
		change   func(*fleet.Deployment) ([]fleet.Event, error)
		rollback func(*fleet.Deployment)
		want     error
	}{
		{"the change is refused", func(d *fleet.Deployment) ([]fleet.Event, error) {
			d.Status = fleet.DeploymentFailed
			return []fleet.Event{{DeploymentID: d.ID, Environment: d.Environment, Type: fleet.EventDeploymentAborted}}, boom
		}, func(*fleet.Deployment) {}, boom},
		{"the rollback cannot begin", abort, func(d *fleet.Deployment) { d.RollbackTargetID = principalID }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := open(t)
			live, target := liveAndTarget(t, s)
			ctx := keyed(as(t, s, devops, "staging"), "k1", "abort")
			events := eventTypes(t, s, fleet.EventFilter{})
			rollback := rollbackOf(target, live.ID)
			tt.rollback(&rollback)
			if _, err := s.SteerDeployment(ctx, target.ID, tt.change, &rollback); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
			wantWorkload(t, s, target.Workload(), target.ID, live.ID)
			if read, err := s.Deployment(system(t), target.ID); err != nil || !reflect.DeepEqual(read, target) {
				t.Errorf("left %+v, %v; want %+v", read, err, target)
			}
			if got := eventTypes(t, s, fleet.EventFilter{}); !slices.Equal(got, events) {
				t.Errorf("events are %v, want %v as before", got, events)
			}
			if all, err := s.ListDeployments(system(t), fleet.DeploymentFilter{}, fleet.Page{}); err != nil || all.Total != 2 {
				t.Errorf("there are %d deployments, %v; want 2", all.Total, err)
			}
			// The key is free for another try.
			whole := rollbackOf(target, live.ID)
			if got, err := s.SteerDeployment(ctx, target.ID, abort, &whole); err != nil || got.RollbackID == "" {
				t.Errorf("tried again: %+v, %v", got, err)
			}
		})
	}
}

// TestSteerAtOnce: of many that end a deployment at the same time one does, and one rollback begins.
func TestSteerAtOnce(t *testing.T) {
	s, _ := open(t)
	live, target := liveAndTarget(t, s)
	const n = 12
	errs := make([]error, n)
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() {
			rollback := rollbackOf(target, live.ID)
			_, errs[k] = s.SteerDeployment(system(t), target.ID, abort, &rollback)
		})
	}
	wg.Wait()
	ended := 0
	for _, err := range errs {
		if err == nil {
			ended++
			continue
		}
		wantKind(t, err, fleet.ErrConflict)
	}
	open, err := s.ListDeployments(system(t), fleet.DeploymentFilter{Status: fleet.DeploymentInProgress}, fleet.Page{})
	if ended != 1 || err != nil || open.Total != 1 || open.Items[0].RollbackOfID != target.ID {
		t.Errorf("ended %d times; in progress %+v, %v", ended, open.Items, err)
	}
}

// TestRollbackEnds: what a rollback undoes is rolled back when the rollback completes, and only then.
func TestRollbackEnds(t *testing.T) {
	failed := func(ctx context.Context, t *testing.T, s *postgres.Store, live, target fleet.Deployment) (undone, rollback fleet.Deployment) {
		next := rollbackOf(target, live.ID)
		undone, err := s.SteerDeployment(ctx, target.ID, abort, &next)
		if err != nil {
			t.Fatal(err)
		}
		return undone, fleet.Deployment{ID: undone.RollbackID}
	}
	byHand := func(ctx context.Context, t *testing.T, s *postgres.Store, live, target fleet.Deployment) (undone, rollback fleet.Deployment) {
		undone = completed(t, s, target.ID)
		rollback, err := s.CreateDeployment(ctx, rollbackOf(undone, live.ID))
		if err != nil {
			t.Fatal(err)
		}
		return undone, rollback
	}
	superseding := func(ctx context.Context, t *testing.T, s *postgres.Store, live, target fleet.Deployment) (undone, rollback fleet.Deployment) {
		rollback, err := s.CreateDeployment(ctx, rollbackOf(target, live.ID))
		if err != nil {
			t.Fatal(err)
		}
		undone, err = s.Deployment(ctx, target.ID)
		if err != nil {
			t.Fatal(err)
		}
		return undone, rollback
	}
	tests := []struct {
		name  string
		begin func(context.Context, *testing.T, *postgres.Store, fleet.Deployment, fleet.Deployment) (undone, rollback fleet.Deployment)
		end   fleet.DeploymentStatus
		want  fleet.DeploymentStatus // of what it undoes
	}{
		{"completes for one that failed", failed, fleet.DeploymentCompleted, fleet.DeploymentRolledBack},
		{"completes for one that was completed", byHand, fleet.DeploymentCompleted, fleet.DeploymentRolledBack},
		{"completes for one that it superseded", superseding, fleet.DeploymentCompleted, fleet.DeploymentRolledBack},
		{"fails for one that failed", failed, fleet.DeploymentFailed, fleet.DeploymentFailed},
		{"fails for one that was completed", byHand, fleet.DeploymentFailed, fleet.DeploymentCompleted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := open(t)
			live, target := liveAndTarget(t, s)
			undone, rollback := tt.begin(system(t), t, s, live, target)
			before := load(t, s, target.Workload())
			ended, err := s.UpdateDeployment(system(t), rollback.ID, func(d *fleet.Deployment) ([]fleet.Event, error) {
				d.Status = tt.end
				return nil, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Deployment(system(t), undone.ID)
			if err != nil || got.Status != tt.want || got.RollbackID != rollback.ID || !reflect.DeepEqual(got.Errors, undone.Errors) || !got.CompletedAt.Equal(*undone.CompletedAt) {
				t.Errorf("what was undone is %+v, %v; want %s", got, err, tt.want)
			}
			r, err := s.ListEvents(system(t), fleet.EventFilter{Type: fleet.EventDeploymentRolledBack}, fleet.Page{})
			if err != nil {
				t.Fatal(err)
			}
			if tt.end == fleet.DeploymentFailed {
				wantWorkload(t, s, target.Workload(), before.Live.ID, before.Live.ID)
				if len(r.Items) != 0 {
					t.Errorf("events are %+v", r.Items)
				}
				return
			}
			wantWorkload(t, s, target.Workload(), rollback.ID, rollback.ID)
			if len(r.Items) != 1 || r.Items[0].DeploymentID != undone.ID || r.Items[0].Data["rollback_id"] != rollback.ID || r.Items[0].Data["rollback_target_id"] != live.ID {
				t.Errorf("events are %+v", r.Items)
			}
			if !ended.Live || got.Live {
				t.Error("the rollback is not live")
			}
		})
	}
}

// TestSupersededRollback: what a rollback would have undone keeps its status when another deploy takes its place.
func TestSupersededRollback(t *testing.T) {
	s, _ := open(t)
	live, target := liveAndTarget(t, s)
	next := rollbackOf(target, live.ID)
	undone, err := s.SteerDeployment(system(t), target.ID, abort, &next)
	if err != nil {
		t.Fatal(err)
	}
	fixed := deployed(t, s, fleet.Definition{ID: target.DefinitionID, Revision: 1, Spec: target.Spec}, "staging")
	if fixed.SupersedesID != undone.RollbackID {
		t.Errorf("supersedes %q, want the rollback %s", fixed.SupersedesID, undone.RollbackID)
	}
	completed(t, s, fixed.ID)
	if got, err := s.Deployment(system(t), undone.ID); err != nil || got.Status != fleet.DeploymentFailed {
		t.Errorf("what would have been undone is %s, %v", got.Status, err)
	}
}

// TestStableBefore follows a workload and asks at each deployment what was stable before it.
func TestStableBefore(t *testing.T) {
	s, _ := open(t)
	d := createDefinition(t, s, "api")
	stable := func(of, want fleet.Deployment) {
		t.Helper()
		got, err := s.StableBefore(system(t), of)
		if err != nil || got.ID != want.ID {
			t.Errorf("before it %q was stable, %v; want %q", got.ID, err, want.ID)
		}
	}
	first := completed(t, s, deployed(t, s, d, "staging").ID)
	_, err := s.StableBefore(system(t), first)
	wantKind(t, err, fleet.ErrNotFound)
	completed(t, s, deployed(t, s, d, "production").ID)
	completed(t, s, deployed(t, s, createDefinition(t, s, "web"), "staging").ID)

	second := completed(t, s, deployed(t, s, d, "staging").ID)
	stable(second, first)
	rollback, err := s.CreateDeployment(system(t), rollbackOf(second, first.ID))
	if err != nil {
		t.Fatal(err)
	}
	stable(rollback, second)
	rollback = completed(t, s, rollback.ID)
	stable(rollback, first) // the second one is rolled back now
	third := deployed(t, s, d, "staging")
	if _, err := s.SteerDeployment(system(t), third.ID, abort, nil); err != nil {
		t.Fatal(err)
	}
	fourth := deployed(t, s, d, "staging")
	stable(fourth, rollback) // not the one that failed
	removal := deploymentOf(d, "staging")
	removal.Removal, removal.After = true, 0
	removed, err := s.CreateDeployment(system(t), removal)
	if err != nil {
		t.Fatal(err)
	}
	completed(t, s, removed.ID)
	fifth := deployed(t, s, d, "staging")
	stable(removed, rollback)
	stable(fifth, rollback) // neither the superseded one nor the removal

	_, err = s.StableBefore(as(t, s, developer, "production"), fifth)
	wantKind(t, err, fleet.ErrNotFound)
}
