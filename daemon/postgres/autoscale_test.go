package postgres_test

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// scaled is a workload in staging whose n replicas are live, healthy since that long.
func scaled(t *testing.T, s *postgres.Store, n int, healthy time.Duration) (fleet.Definition, fleet.Deployment, []fleet.Instance) {
	t.Helper()
	definition := createDefinition(t, s, "api")
	d := deploymentOf(definition, "staging")
	d.After = n
	d, err := s.CreateDeployment(system(t), d)
	if err != nil {
		t.Fatal(err)
	}
	var list []fleet.Instance
	for k := range n {
		i := newInstance(d, k+1)
		i.Current, i.Health, i.HealthySince, i.ContainerID = fleet.StatusRunning, fleet.HealthHealthy, new(time.Now().Add(-healthy)), uuid.NewString()
		i.SettledAt = i.HealthySince
		list = append(list, i)
	}
	list = added(t, s, list...)
	return definition, completed(t, s, d.ID), list
}

// scalingState is that of the one workload that has policies.
func scalingState(t *testing.T, s *postgres.Store) fleet.ScalingState {
	t.Helper()
	states, err := s.ScalingStates(system(t), time.Now(), fleet.Freshness{Samples: time.Minute, Posted: time.Minute})
	if err != nil || len(states) != 1 {
		t.Fatalf("states %+v, %v; want one", states, err)
	}
	return states[0]
}

// decisionOn is a decision on a deployment, as the autoscaler makes them.
func decisionOn(d fleet.Deployment, outcome fleet.ScalingOutcome) fleet.ScalingDecision {
	return fleet.ScalingDecision{
		ID: uuid.Must(uuid.NewV7()).String(), DefinitionID: d.DefinitionID, DefinitionName: d.DefinitionName, Environment: d.Environment,
		PolicyID: uuid.NewString(), PolicyName: "load", Outcome: outcome, Current: 2, Wanted: 5, Limited: 4, Unit: fleet.UnitReplicas,
		Limit: fleet.LimitMaxReplicas, Reason: "cpu is high", Inputs: []fleet.ScalingReading{{PolicyID: "p", Metric: "cpu", Value: new(91.5), Target: new(60.0), Counted: 2, Wanted: 5}},
		Evaluations: 1, DecidedAt: testTime, LastEvaluatedAt: testTime,
	}
}

func TestScalingStates(t *testing.T) {
	s, _ := open(t)
	definition, live, list := scaled(t, s, 6, time.Minute)
	if states, err := s.ScalingStates(system(t), time.Now(), fleet.Freshness{}); err != nil || len(states) != 0 {
		t.Fatalf("without a policy: %+v, %v", states, err)
	}
	p := createPolicy(t, s, policyOf(definition, "load"))
	off := policyOf(definition, "off")
	off.Rules.Metric, off.Enabled = grammar.MetricRequestRate, false
	createPolicy(t, s, off)
	sampled(t, s, list[0], time.Now().Add(-time.Second), 80, 50, 3, 20)
	sampled(t, s, list[0], time.Now().Add(-2*time.Second), 60, 50, 3, 20)
	sampled(t, s, list[1], time.Now().Add(-2*time.Minute), 99, 99, 99, 99) // too old
	exits := make([]time.Time, fleet.CrashLimit)
	for k := range exits {
		exits[k] = testTime.Add(time.Duration(k) * time.Minute)
	}
	for k, set := range map[int]func(*fleet.Instance){
		0: func(i *fleet.Instance) { i.HealthySince = nil }, // the last check has failed
		1: func(i *fleet.Instance) { i.SettledAt = nil },    // has not proved itself
		2: func(i *fleet.Instance) { i.Desired, i.DrainingSince = fleet.StatusStopped, &testTime },
		3: func(i *fleet.Instance) { i.Current, i.RecentExits = fleet.StatusFailed, exits },
		4: func(i *fleet.Instance) { i.Current, i.RecentExits = fleet.StatusFailed, exits[1:] }, // is started again
		5: func(i *fleet.Instance) { i.Health = fleet.HealthUnhealthy },
	} {
		if _, err := s.UpdateInstance(system(t), list[k].ID, change(set)); err != nil {
			t.Fatal(err)
		}
	}
	got := scalingState(t, s)
	if got.Workload != live.Workload() || got.Target.ID != live.ID || got.Replicas != 6 || got.Busy != "" || got.Range != definition.Scaling || got.Limits != definition.Resources {
		t.Errorf("state %+v", got)
	}
	if len(got.Policies) != 1 || got.Policies[0].ID != p.ID {
		t.Errorf("policies %+v, want the one that is enabled", got.Policies)
	}
	want := []fleet.ScalingInstance{
		{ID: list[0].ID, Settled: true, Values: map[fleet.MetricKey]float64{keyCPU: 70}},
		{ID: list[1].ID},
		{ID: list[2].ID, Down: true},
		{ID: list[3].ID, Down: true},
		{ID: list[4].ID},
		{ID: list[5].ID},
	}
	if !reflect.DeepEqual(got.Instances, want) {
		t.Errorf("instances %+v, want %+v", got.Instances, want)
	}
}

// TestScalingWithoutChecks: replicas that nobody checks have settled after the settling time.
func TestScalingWithoutChecks(t *testing.T) {
	s, _ := open(t)
	definition := createDefinition(t, s, "worker")
	d := deploymentOf(definition, "staging")
	d.Spec.HealthCheck = nil
	d, err := s.CreateDeployment(system(t), d)
	if err != nil {
		t.Fatal(err)
	}
	old, fresh := newInstance(d, 1), newInstance(d, 2)
	old.HealthySince, fresh.HealthySince = new(time.Now().Add(-time.Minute)), new(time.Now())
	for _, i := range []*fleet.Instance{&old, &fresh} {
		i.Current, i.Health = fleet.StatusRunning, fleet.HealthHealthy
	}
	added(t, s, old, fresh)
	completed(t, s, d.ID)
	createPolicy(t, s, policyOf(definition, "load"))
	if got := scalingState(t, s).Instances; len(got) != 2 || !got[0].Settled || got[1].Settled {
		t.Errorf("instances %+v, want the older one settled", got)
	}
}

// TestScalingCountsWhatIsLive: what a scaling adds counts, what another deployment in
// progress starts does not, whatever it keeps.
func TestScalingCountsWhatIsLive(t *testing.T) {
	s, _ := open(t)
	definition, live, list := scaled(t, s, 2, time.Minute)
	createPolicy(t, s, policyOf(definition, "load"))
	counted := func(when string, want ...fleet.Instance) {
		t.Helper()
		var ids, wanted []string
		for _, i := range scalingState(t, s).Instances {
			ids = append(ids, i.ID)
		}
		for _, i := range want {
			wanted = append(wanted, i.ID)
		}
		if !slices.Equal(ids, wanted) {
			t.Errorf("%s: %v are counted, want %v", when, ids, wanted)
		}
	}
	begun := func(d fleet.Deployment, kept ...fleet.Instance) fleet.Instance {
		t.Helper()
		d, err := s.CreateDeployment(system(t), d)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range kept {
			if _, err := s.UpdateInstance(system(t), i.ID, change(func(i *fleet.Instance) { i.DeploymentID = d.ID })); err != nil {
				t.Fatal(err)
			}
		}
		return added(t, s, newInstance(d, d.After))[0]
	}
	third := begun(live.Scaled(3, ""), list[0])
	counted("a scaling in progress that has kept one so far", list[0], list[1], third)
	next := deploymentOf(definition, "staging")
	next.ImageDigest, next.After = "sha256:2", 3
	fourth := begun(next)
	counted("a rollout that has superseded it", list[0], list[1], third)
	again := next
	again.After = 4
	begun(again, list[1])
	counted("another one that has kept one", list[0], list[1], third)
	completed(t, s, idOf(load(t, s, live.Workload()).Target))
	if _, err := s.UpdateInstance(system(t), fourth.ID, change(func(i *fleet.Instance) { i.Current = fleet.StatusTerminated })); err != nil {
		t.Fatal(err)
	}
	if got := scalingState(t, s).Instances; len(got) != 4 {
		t.Errorf("%d are counted after it has completed, want the four that there are", len(got))
	}
}

func TestRecordScaling(t *testing.T) {
	s, _ := open(t)
	definition, live, _ := scaled(t, s, 2, time.Minute)
	createPolicy(t, s, policyOf(definition, "load"))
	next := live.Scaled(4, "cpu is high")
	next.ID = uuid.Must(uuid.NewV7()).String()
	d := decisionOn(live, fleet.OutcomeScaledUp)
	d.DeploymentID = next.ID
	at := time.Now()
	record := fleet.ScalingRecord{Workload: live.Workload(), Base: live.ID, At: at, Decisions: []fleet.ScalingDecision{d},
		Recommendations: []fleet.Recommendation{{At: testTime, Replicas: 4}}, Deployment: &next}
	if err := s.RecordScaling(system(t), record); err != nil {
		t.Fatal(err)
	}
	got := scalingState(t, s)
	if got.Busy != next.ID || !got.Scaling || got.Replicas != 4 || got.Target.Before != 2 {
		t.Errorf("afterwards %+v", got)
	}
	if len(got.Recommendations) != 1 || got.Recommendations[0].Replicas != 4 || !got.Recommendations[0].At.Equal(testTime) {
		t.Errorf("recommendations %+v", got.Recommendations)
	}
	if len(got.Changes) != 1 || got.Changes[0].Before != 2 || got.Changes[0].After != 4 {
		t.Errorf("changes %+v", got.Changes)
	}
	if latest, err := s.LatestDecisions(system(t), at.Add(-time.Minute)); err != nil || len(latest) != 0 {
		t.Errorf("latest decisions %+v, %v; want none of long ago", latest, err)
	}
	list, err := s.ListScalingDecisions(system(t), fleet.ScalingDecisionFilter{}, fleet.Page{})
	if err != nil || len(list.Items) != 1 || !reflect.DeepEqual(list.Items[0], d) {
		t.Errorf("decisions %+v, %v; want %+v", list.Items, err, d)
	}
	events, err := s.ListEvents(system(t), fleet.EventFilter{Type: fleet.EventScaled}, fleet.Page{})
	if err != nil || len(events.Items) != 1 || events.Items[0].Source != fleet.SourceScheduler || events.Items[0].DeploymentID != next.ID {
		t.Errorf("events %+v, %v", events.Items, err)
	}

	stale := record
	other, another := live.Scaled(7, ""), decisionOn(live, fleet.OutcomeScaledUp)
	stale.Deployment, stale.Decisions, stale.Recommendations = &other, []fleet.ScalingDecision{another}, []fleet.Recommendation{}
	wantKind(t, s.RecordScaling(system(t), stale), fleet.ErrConflict)
	if again := scalingState(t, s); again.Busy != next.ID || len(again.Recommendations) != 1 {
		t.Errorf("a stale evaluation left %+v", again)
	}

	// One that has held for long is taken up, as its newest evaluation has it.
	d.Outcome, d.Wanted, d.Limit, d.Reason, d.PolicyID, d.PolicyName = fleet.OutcomeLimited, 7, fleet.LimitMissingMetrics, "cpu is higher", uuid.NewString(), "other"
	d.Inputs = []fleet.ScalingReading{{PolicyID: "q", Metric: "cpu", Value: new(99.5)}}
	until := at.Truncate(time.Millisecond).UTC()
	longer := fleet.ScalingRecord{Workload: live.Workload(), Base: next.ID, At: at, Prolonged: []fleet.ProlongedDecision{{ScalingDecision: d, More: 9, Until: until}}}
	if err := s.RecordScaling(system(t), longer); err != nil {
		t.Fatal(err)
	}
	d.Evaluations, d.LastEvaluatedAt = 10, until
	if latest, err := s.LatestDecisions(system(t), at.Add(-time.Minute)); err != nil || len(latest) != 1 || !reflect.DeepEqual(latest[0], d) {
		t.Errorf("latest decisions %+v, %v; want %+v", latest, err, d)
	}
	// What has taken its place began as it ended.
	d2 := decisionOn(live, fleet.OutcomeNoChange)
	d2.DecidedAt, d2.LastEvaluatedAt = until, until
	if err := s.RecordScaling(system(t), fleet.ScalingRecord{Workload: live.Workload(), Base: next.ID, At: at, Decisions: []fleet.ScalingDecision{d2}}); err != nil {
		t.Fatal(err)
	}
	if latest, err := s.LatestDecisions(system(t), at.Add(-time.Minute)); err != nil || len(latest) != 1 || latest[0].ID != d2.ID {
		t.Errorf("latest decisions %+v, %v; want %s", latest, err, d2.ID)
	}
}

// TestRefusedRecord: a scaling that cannot be begun is told from one that came too late.
func TestRefusedRecord(t *testing.T) {
	s, _ := open(t)
	definition, live, _ := scaled(t, s, 2, time.Minute)
	createPolicy(t, s, policyOf(definition, "load"))
	next := live.Scaled(4, "")
	next.Spec.Network.InternalNetworks = []string{"gone"}
	err := s.RecordScaling(system(t), fleet.ScalingRecord{Workload: live.Workload(), Base: live.ID, At: time.Now(), Deployment: &next})
	wantKind(t, err, fleet.ErrInvalid)
}

// A scaling that was superseded is no change of its own, and one that failed is told.
func TestScalingChanges(t *testing.T) {
	s, _ := open(t)
	definition, live, _ := scaled(t, s, 2, time.Minute)
	createPolicy(t, s, policyOf(definition, "load"))
	for _, n := range []int{3, 5} {
		if _, err := s.CreateDeployment(system(t), live.Scaled(n, "")); err != nil {
			t.Fatal(err)
		}
	}
	got := scalingState(t, s)
	if len(got.Changes) != 1 || got.Changes[0].After != 5 || got.Failure != nil {
		t.Errorf("changes %+v, failure %+v", got.Changes, got.Failure)
	}
	_, err := s.UpdateDeployment(system(t), got.Busy, func(d *fleet.Deployment) ([]fleet.Event, error) {
		d.Status = fleet.DeploymentFailed
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got = scalingState(t, s); len(got.Changes) != 0 || got.Failure == nil || got.Replicas != 2 || got.Busy != "" {
		t.Errorf("after a failure %+v", got)
	}
}

// TestScalingFailures counts scalings that failed in a row, until one succeeds or a
// user deploys.
func TestScalingFailures(t *testing.T) {
	s, _ := open(t)
	definition, live, _ := scaled(t, s, 2, time.Minute)
	createPolicy(t, s, policyOf(definition, "load"))
	// ended begins a deployment and ends it so.
	ended := func(ctx context.Context, d fleet.Deployment, status fleet.DeploymentStatus) fleet.Deployment {
		t.Helper()
		d, err := s.CreateDeployment(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		d, err = s.UpdateDeployment(system(t), d.ID, func(d *fleet.Deployment) ([]fleet.Event, error) {
			if d.Status = status; status == fleet.DeploymentFailed {
				d.Errors = []fleet.DeploymentError{{Message: "it crashes"}}
			}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	fails := func() fleet.Deployment {
		t.Helper()
		return ended(system(t), live.Scaled(4, ""), fleet.DeploymentFailed)
	}
	of := func(d fleet.Deployment, kind fleet.DeploymentType, undone string) fleet.Deployment {
		d.ID, d.Type, d.RollbackOfID, d.Status = "", kind, undone, fleet.DeploymentInProgress
		return d
	}
	check := func(when string, last fleet.Deployment, inARow int) {
		t.Helper()
		got := scalingState(t, s).Failure
		if inARow == 0 {
			if got != nil {
				t.Errorf("%s: %+v", when, got)
			}
			return
		}
		if got == nil || got.InARow != inARow || got.DeploymentID != last.ID || last.CompletedAt == nil || !got.At.Equal(*last.CompletedAt) {
			t.Errorf("%s: %+v; want %d, the last of them %s at %v", when, got, inARow, last.ID, last.CompletedAt)
		}
	}
	user := as(t, s, devops, "staging")

	fails()
	last := fails()
	check("two", last, 2)
	ended(system(t), of(live, fleet.TypeRollback, last.ID), fleet.DeploymentCompleted)
	check("with a rollback of the daemon's own", last, 2)
	if _, err := s.CreateDeployment(system(t), live.Scaled(3, "")); err != nil {
		t.Fatal(err)
	}
	last = fails()
	check("a third, which superseded another", last, 3)
	ended(user, of(live, fleet.TypeRollback, last.ID), fleet.DeploymentCompleted)
	check("which a user has undone", last, 3)
	ended(user, of(live, fleet.TypeDeploy, ""), fleet.DeploymentFailed)
	check("a user's deployment failed", last, 3)
	ended(user, of(live, fleet.TypeDeploy, ""), fleet.DeploymentCompleted)
	check("a user has deployed", last, 0)
	last = fails()
	check("the first since", last, 1)
	ended(system(t), live.Scaled(3, ""), fleet.DeploymentCompleted)
	check("one has succeeded", last, 0)
	fails()
	last = fails()
	partly := of(live, fleet.TypeRollback, last.ID)
	partly.After = 4
	ended(system(t), partly, fleet.DeploymentCompleted)
	check("the last has left a replica", last, 1)
	if changes := scalingState(t, s).Changes; len(changes) == 0 || changes[len(changes)-1].Before != 3 || changes[len(changes)-1].After != 4 {
		t.Errorf("changes %+v, want what the failed one has left to be the last", changes)
	}
	undone := ended(system(t), live.Scaled(5, ""), fleet.DeploymentCompleted)
	ended(user, of(live, fleet.TypeRollback, undone.ID), fleet.DeploymentCompleted)
	check("one has succeeded, and was undone later", last, 0)
	if changes := scalingState(t, s).Changes; changes[len(changes)-1].Before != 5 || changes[len(changes)-1].After != 2 {
		t.Errorf("changes %+v, want the undoing to be the last", changes)
	}
	for range fleet.MostFailures + 2 {
		last = fails()
	}
	check("more than are counted", last, fleet.MostFailures)
}

// TestDeploymentKeepsReplicas: where a policy owns their number, a deployment that
// names none keeps it, within the definition's range.
func TestDeploymentKeepsReplicas(t *testing.T) {
	s, _ := open(t)
	definition, live, _ := scaled(t, s, 3, time.Minute)
	next := func(limit int) int {
		t.Helper()
		d := live
		d.ID, d.Type, d.After, d.KeepReplicas, d.Status = "", fleet.TypeDeploy, 1, true, fleet.DeploymentInProgress
		d.Spec.Scaling = fleet.Scaling{MinReplicas: 1, MaxReplicas: limit}
		d, err := s.CreateDeployment(system(t), d)
		if err != nil {
			t.Fatal(err)
		}
		return d.After
	}
	if n := next(10); n != 1 {
		t.Errorf("%d replicas where no policy owns their number", n)
	}
	completed(t, s, idOf(load(t, s, live.Workload()).Target))
	p := createPolicy(t, s, policyOf(definition, "load"))
	if _, err := s.CreateDeployment(system(t), live.Scaled(5, "")); err != nil {
		t.Fatal(err)
	}
	if n := next(10); n != 5 {
		t.Errorf("%d replicas, want the 5 that are on their way", n)
	}
	if n := next(4); n != 4 {
		t.Errorf("%d replicas, want the most that the definition allows, 4", n)
	}
	if _, err := s.UpdateScalingPolicy(system(t), p.ID, func(p *fleet.ScalingPolicy) error { p.Enabled = false; return nil }); err != nil {
		t.Fatal(err)
	}
	if n := next(10); n != 1 {
		t.Errorf("%d replicas although the policy is disabled", n)
	}
}

// TestRollbackKeepsReplicas: where a policy owns their number, a rollback keeps it,
// whatever number what it brings back had; that of the rollout that it undoes, once
// that has completed, and before that the one that was there for the rollout to keep.
func TestRollbackKeepsReplicas(t *testing.T) {
	s, _ := open(t)
	definition, first, _ := scaled(t, s, 2, time.Minute)
	begin := func(d fleet.Deployment) fleet.Deployment {
		t.Helper()
		d, err := s.CreateDeployment(system(t), d)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	rollback := func(of string) fleet.Deployment {
		d := first
		d.ID, d.Type, d.Status, d.KeepReplicas, d.RollbackOfID, d.RollbackTargetID = "", fleet.TypeRollback, fleet.DeploymentInProgress, true, of, first.ID
		d.Spec.Scaling = fleet.Scaling{MinReplicas: 1, MaxReplicas: 10}
		return d
	}
	deploy := func(n int) fleet.Deployment {
		d := first
		d.ID, d.After, d.Status = "", n, fleet.DeploymentInProgress
		return d
	}
	createPolicy(t, s, policyOf(definition, "load"))
	completed(t, s, begin(first.Scaled(8, "")).ID)
	if n := begin(rollback(begin(deploy(8)).ID)).After; n != 8 {
		t.Errorf("%d replicas instead of the 8 that the rollout has kept", n)
	}
	completed(t, s, idOf(load(t, s, first.Workload()).Target))
	if n := begin(rollback(begin(deploy(3)).ID)).After; n != 8 {
		t.Errorf("%d replicas instead of the 8 that are live", n)
	}
	completed(t, s, idOf(load(t, s, first.Workload()).Target))
	begin(first.Scaled(9, ""))
	if n := begin(rollback(begin(deploy(3)).ID)).After; n != 9 {
		t.Errorf("%d replicas instead of the 9 that were on their way", n)
	}
	if n := begin(rollback(completed(t, s, begin(deploy(3)).ID).ID)).After; n != 3 {
		t.Errorf("%d replicas instead of the 3 of the rollout that has completed", n)
	}
}

// TestGrantedLimits: what a vertical policy has set holds as long as there is the policy.
func TestGrantedLimits(t *testing.T) {
	s, _ := open(t)
	definition, live, list := scaled(t, s, 1, time.Minute)
	p := createPolicy(t, s, resizing(definition, "memory", grammar.MetricMemory))
	grant := func(r fleet.Resources) {
		t.Helper()
		if err := s.RecordScaling(system(t), fleet.ScalingRecord{Workload: live.Workload(), Base: live.ID, At: testTime, Limits: &r}); err != nil {
			t.Fatal(err)
		}
	}
	grant(fleet.Resources{Memory: "96Mi"})
	grant(fleet.Resources{CPU: "2"}) // of a policy that there is no more
	if got := load(t, s, live.Workload()).Limits; got != (fleet.Resources{Memory: "96Mi"}) {
		t.Errorf("granted %+v, want memory alone", got)
	}
	state := scalingState(t, s)
	if state.Limits.Memory != "96Mi" || state.Resized == nil || !state.Resized.Equal(testTime) {
		t.Errorf("limits %+v, resized at %v", state.Limits, state.Resized)
	}
	got, err := s.UpdateInstance(system(t), list[0].ID, func(i *fleet.Instance) ([]fleet.Event, error) {
		i.Limits = &state.Limits
		return nil, nil
	})
	if err != nil || got.Limits == nil || *got.Limits != state.Limits {
		t.Errorf("the instance may use %+v, %v", got.Limits, err)
	}
	if err := s.DeleteScalingPolicy(system(t), p.ID); err != nil {
		t.Fatal(err)
	}
	if got := load(t, s, live.Workload()).Limits; got != (fleet.Resources{}) {
		t.Errorf("granted %+v without a policy", got)
	}
}

// TestLimitsGoWithTheirPolicy: a vertical policy does not begin with what one before it
// has set; what another one has set stays.
func TestLimitsGoWithTheirPolicy(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *postgres.Store, fleet.ScalingPolicy) error{
		"deleted": func(t *testing.T, s *postgres.Store, p fleet.ScalingPolicy) error {
			return s.DeleteScalingPolicy(as(t, s, devops, "staging"), p.ID)
		},
		"of another type": func(t *testing.T, s *postgres.Store, p fleet.ScalingPolicy) error {
			_, err := s.UpdateScalingPolicy(as(t, s, devops, "staging"), p.ID, func(p *fleet.ScalingPolicy) error {
				p.Rules = grammar.DefaultScaling(grammar.Horizontal, false)
				p.Rules.Metric, p.Rules.Target = grammar.MetricRequestRate, new(10.0)
				return nil
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := open(t)
			definition, live, _ := scaled(t, s, 1, time.Minute)
			memory := createPolicy(t, s, resizing(definition, "memory", grammar.MetricMemory))
			createPolicy(t, s, resizing(definition, "cpu", grammar.MetricCPU))
			r := fleet.Resources{Memory: "96Mi", CPU: "2"}
			if err := s.RecordScaling(system(t), fleet.ScalingRecord{Workload: live.Workload(), Base: live.ID, At: testTime, Limits: &r}); err != nil {
				t.Fatal(err)
			}
			if err := end(t, s, memory); err != nil {
				t.Fatal(err)
			}
			createPolicy(t, s, resizing(definition, "memory again", grammar.MetricMemory))
			if got := load(t, s, live.Workload()).Limits; got != (fleet.Resources{CPU: "2"}) {
				t.Errorf("granted %+v, want what the other policy has set alone", got)
			}
		})
	}
}

// TestPausedScalingIsNotRaised: a scaling of the autoscaler's own that somebody has
// paused is left alone.
func TestPausedScalingIsNotRaised(t *testing.T) {
	s, _ := open(t)
	definition, live, _ := scaled(t, s, 2, time.Minute)
	createPolicy(t, s, policyOf(definition, "load"))
	d, err := s.CreateDeployment(system(t), live.Scaled(4, ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []*time.Time{new(testTime), nil} {
		_, err := s.UpdateDeployment(system(t), d.ID, func(d *fleet.Deployment) ([]fleet.Event, error) { d.State.PausedAt = at; return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
		if got := scalingState(t, s); got.Busy != d.ID || got.Scaling != (at == nil) {
			t.Errorf("paused at %v: busy with %q, may be raised: %v", at, got.Busy, got.Scaling)
		}
	}
}
