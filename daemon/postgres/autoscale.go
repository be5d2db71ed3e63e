package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// ScalingStates implements autoscale.Store: all but the metrics as of one moment.
func (s *Store) ScalingStates(ctx context.Context, now time.Time, fresh fleet.Freshness) (states []fleet.ScalingState, err error) {
	err = s.snapshot(ctx, "read what decides on scaling", func(t *transaction) error {
		if states, err = t.scalingWorkloads(ctx); err != nil || len(states) == 0 {
			return err
		}
		byWorkload := make(map[fleet.Workload]*fleet.ScalingState, len(states))
		for k := range states {
			byWorkload[states[k].Workload] = &states[k]
		}
		for _, load := range []func(context.Context, map[fleet.Workload]*fleet.ScalingState, time.Time) error{
			t.loadPolicies, t.loadRecommendations, t.loadChanges, t.loadFailures, t.loadScalingInstances,
		} {
			if err := load(ctx, byWorkload, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return states, s.loadReadings(ctx, states, now, fresh)
}

// loadReadings completes the instances of all states with what their policies go by.
func (s *Store) loadReadings(ctx context.Context, states []fleet.ScalingState, now time.Time, fresh fleet.Freshness) error {
	var ids []string
	var keys []fleet.MetricKey
	for _, state := range states {
		for _, i := range state.Instances {
			ids = append(ids, i.ID)
		}
		for _, p := range state.Policies {
			if p.Rules.Type == grammar.Horizontal && !slices.Contains(keys, p.Key()) {
				keys = append(keys, p.Key())
			}
		}
	}
	readings, err := s.Readings(ctx, now, fresh, ids, keys)
	for _, state := range states {
		for k, i := range state.Instances {
			state.Instances[k].Values = readings[i.ID]
		}
	}
	return err
}

// scalingWorkloads are the workloads that policies are about, with what is wanted of them.
func (t *transaction) scalingWorkloads(ctx context.Context) ([]fleet.ScalingState, error) {
	rows, err := t.ScalingWorkloads(ctx)
	return convertAll(rows, func(r dbsqlc.ScalingWorkloadsRow) fleet.ScalingState {
		target := deployment(r.DeploymentHistory, r.DefinitionName, text(r.LiveDeploymentID) == r.DeploymentHistory.ID)
		state := fleet.ScalingState{
			Workload: target.Workload(), DefinitionName: r.DefinitionName, Target: target, Replicas: target.After,
			Limits: target.Spec.Resources, Resized: r.ResizedAt,
		}
		if r.ResourceLimits != nil {
			state.Limits = target.Spec.Resources.With(*r.ResourceLimits)
		}
		if target.Status == fleet.DeploymentInProgress {
			state.Busy = target.ID
			state.Scaling = target.Type == fleet.TypeScale && target.StartedBy == fleet.System.ID && target.After > target.Before && target.State.PausedAt == nil
		}
		return state
	}), err
}

func (t *transaction) loadPolicies(ctx context.Context, states map[fleet.Workload]*fleet.ScalingState, _ time.Time) error {
	rows, err := t.EnabledPolicies(ctx)
	for _, r := range rows {
		p := scalingPolicy(r.ScalingPolicy, r.DefinitionName)
		if state, ok := states[p.Workload()]; ok {
			state.Range, state.Policies = r.ScalingConfig, append(state.Policies, p)
		}
	}
	return err
}

func (t *transaction) loadRecommendations(ctx context.Context, states map[fleet.Workload]*fleet.ScalingState, _ time.Time) error {
	rows, err := t.ScalingRecommendations(ctx)
	for _, r := range rows {
		if state, ok := states[fleet.Workload{DefinitionID: r.DefinitionID, Environment: r.Environment}]; ok {
			state.Recommendations = r.Recommendations
		}
	}
	return err
}

// changesBack is how far back changes count: longer than any cooldown can be.
const changesBack = 24 * time.Hour

func (t *transaction) loadChanges(ctx context.Context, states map[fleet.Workload]*fleet.ScalingState, now time.Time) error {
	changes, err := t.ScalingChanges(ctx, now.Add(-changesBack))
	if err != nil {
		return err
	}
	for _, r := range changes {
		if state, ok := states[fleet.Workload{DefinitionID: r.DefinitionID, Environment: r.Environment}]; ok {
			state.Changes = append(state.Changes, fleet.ReplicaChange{At: r.StartedAt, Before: r.InstancesBefore, After: r.InstancesAfter})
		}
	}
	return nil
}

// endsBack is how many ends of deployments are looked at to count failures in a row,
// which need not all be failures.
const endsBack = 2 * fleet.MostFailures

func (t *transaction) loadFailures(ctx context.Context, states map[fleet.Workload]*fleet.ScalingState, _ time.Time) error {
	ends, err := t.ScalingEnds(ctx, endsBack)
	for _, r := range ends {
		state, ok := states[fleet.Workload{DefinitionID: r.DefinitionID, Environment: r.Environment}]
		if !ok {
			continue
		}
		switch {
		case r.Succeeded && !r.UndoesScaling:
			state.Failure = nil
		case !r.Succeeded && r.DeploymentType == fleet.TypeScale:
			before := cmp.Or(state.Failure, new(fleet.ScalingFailure)).InARow
			if r.LeftSome { // it got somewhere
				before = 0
			}
			state.Failure = &fleet.ScalingFailure{DeploymentID: r.ID, At: *r.CompletedAt, InARow: min(before+1, fleet.MostFailures)}
		}
	}
	return err
}

func (t *transaction) loadScalingInstances(ctx context.Context, states map[fleet.Workload]*fleet.ScalingState, now time.Time) error {
	rows, err := t.ScalingInstances(ctx, now)
	for _, r := range rows {
		if state, ok := states[fleet.Workload{DefinitionID: r.DefinitionID, Environment: r.Environment}]; ok {
			state.Instances = append(state.Instances, fleet.ScalingInstance{ID: r.ID, Settled: r.Settled, Down: down(r)})
		}
	}
	return err
}

// down reports whether a replica will not come back by itself.
func down(r dbsqlc.ScalingInstancesRow) bool {
	return r.DesiredStatus == fleet.StatusStopped || r.CurrentStatus == fleet.StatusFailed && fleet.CrashLoop(r.RecentExits)
}

// RecordScaling implements autoscale.Store.
func (s *Store) RecordScaling(ctx context.Context, r fleet.ScalingRecord) error {
	return s.write(ctx, "record scaling", func(t *transaction) error {
		if err := t.change(ctx, r); err != nil {
			return err
		}
		if err := t.explain(ctx, r); err != nil || r.Recommendations == nil {
			return err
		}
		return t.SetRecommendations(ctx, dbsqlc.SetRecommendationsParams{
			DefinitionID: r.DefinitionID, Environment: r.Environment, Recommendations: r.Recommendations,
		})
	})
}

// change begins the deployment of a record and sets its limits; ErrConflict when
// something else is wanted of the workload by now.
func (t *transaction) change(ctx context.Context, r fleet.ScalingRecord) error {
	if r.Deployment == nil && r.Limits == nil {
		return nil
	}
	w, err := t.lockFor(ctx, *cmp.Or(r.Deployment, &fleet.Deployment{DefinitionID: r.DefinitionID, Environment: r.Environment}))
	if err != nil {
		return err
	}
	if text(w.TargetDeploymentID) != r.Base {
		return fleet.Errorf(fleet.ErrConflict, "deployment %s is wanted by now, not %s, which the evaluation saw", text(w.TargetDeploymentID), r.Base)
	}
	if r.Deployment != nil {
		if _, err := t.begin(ctx, w, *r.Deployment); err != nil {
			return err
		}
	}
	if r.Limits != nil {
		if err := t.setLimits(ctx, w, r); err != nil {
			return err
		}
	}
	return t.notify(ctx, r.Workload)
}

// setLimits writes what each replica may use; what was set before and is not mentioned stays.
func (t *transaction) setLimits(ctx context.Context, w dbsqlc.Workload, r fleet.ScalingRecord) error {
	limits := *r.Limits
	if w.ResourceLimits != nil {
		limits = w.ResourceLimits.With(limits)
	}
	return t.SetLimits(ctx, dbsqlc.SetLimitsParams{DefinitionID: r.DefinitionID, Environment: r.Environment, ResourceLimits: &limits, At: r.At})
}

// explain writes the decisions of a record, with an event for each that changed something.
func (t *transaction) explain(ctx context.Context, r fleet.ScalingRecord) error {
	var events []fleet.Event
	for _, d := range r.Decisions {
		if err := t.InsertDecision(ctx, decisionColumns(d)); err != nil {
			return err
		}
		if d.Outcome.Changes() {
			events = append(events, scaledEvent(d))
		}
	}
	for _, p := range r.Prolonged {
		c := decisionColumns(p.ScalingDecision)
		err := t.ProlongDecision(ctx, dbsqlc.ProlongDecisionParams{
			ID: c.ID, More: p.More, Until: p.Until,
			PolicyID: c.PolicyID, PolicyName: c.PolicyName, Outcome: c.Outcome, WantedValue: c.WantedValue,
			LimitedBy: c.LimitedBy, Reason: c.Reason, Inputs: c.Inputs,
		})
		if err != nil {
			return err
		}
	}
	return t.record(ctx, events...)
}

func scaledEvent(d fleet.ScalingDecision) fleet.Event {
	return fleet.Event{
		DefinitionID: d.DefinitionID, DeploymentID: d.DeploymentID, Environment: d.Environment,
		Type: fleet.EventScaled, Source: fleet.SourceScheduler,
		Data: map[string]any{
			"decision_id": d.ID, "policy_name": d.PolicyName, "outcome": string(d.Outcome), "unit": d.Unit,
			"current_value": d.Current, "limited_value": d.Limited, "reason": d.Reason,
		},
	}
}

// LatestDecisions implements autoscale.Store.
func (s *Store) LatestDecisions(ctx context.Context, after time.Time) ([]fleet.ScalingDecision, error) {
	q, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.LatestDecisions(ctx, after)
	return convertAll(rows, func(r dbsqlc.LatestDecisionsRow) fleet.ScalingDecision {
		return scalingDecision(dbsqlc.ListScalingDecisionsRow(r))
	}), translate("list scaling decisions", err)
}

func decisionColumns(d fleet.ScalingDecision) dbsqlc.InsertDecisionParams {
	return dbsqlc.InsertDecisionParams{
		ID: d.ID, DefinitionID: d.DefinitionID, Environment: d.Environment, PolicyID: nullable(d.PolicyID), PolicyName: nullable(d.PolicyName),
		Outcome: d.Outcome, CurrentValue: d.Current, WantedValue: d.Wanted, LimitedValue: d.Limited, Unit: d.Unit, LimitedBy: nullable(d.Limit),
		Reason: d.Reason, Inputs: slices.Clone(d.Inputs), DeploymentID: nullable(d.DeploymentID),
		Evaluations: d.Evaluations, DecidedAt: d.DecidedAt, LastEvaluatedAt: d.LastEvaluatedAt,
	}
}
