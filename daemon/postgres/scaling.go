package postgres

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// CreateScalingPolicy implements httpapi.Store.
func (s *Store) CreateScalingPolicy(ctx context.Context, p fleet.ScalingPolicy) (fleet.ScalingPolicy, error) {
	id, replayed, err := s.mutate(ctx, "create scaling policy", func(t *transaction) (string, error) {
		return t.insertScalingPolicy(ctx, &p)
	})
	if err != nil || !replayed {
		return p, err
	}
	return s.ScalingPolicy(ctx, id)
}

func (t *transaction) insertScalingPolicy(ctx context.Context, p *fleet.ScalingPolicy) (id string, err error) {
	d, err := t.LockDefinition(ctx, p.DefinitionID)
	if err != nil {
		return "", noDefinition(p.DefinitionID, err)
	}
	if p.ID, err = newID(); err != nil {
		return "", err
	}
	c := policyColumns(*p)
	row, err := t.InsertScalingPolicy(ctx, dbsqlc.InsertScalingPolicyParams{
		ID: c.ID, DefinitionID: c.DefinitionID, Environment: c.Environment, PolicyName: c.PolicyName, ScalingType: c.ScalingType,
		TriggerMetric: c.TriggerMetric, MetricName: c.MetricName, TargetValue: c.TargetValue,
		ScaleUpThreshold: c.ScaleUpThreshold, ScaleDownThreshold: c.ScaleDownThreshold,
		ScaleUpAdjustment: c.ScaleUpAdjustment, ScaleDownAdjustment: c.ScaleDownAdjustment,
		MinReplicas: c.MinReplicas, MaxReplicas: c.MaxReplicas, ScaleUpCooldown: c.ScaleUpCooldown, ScaleDownCooldown: c.ScaleDownCooldown,
		StabilizationWindow: c.StabilizationWindow, MaxScaleUp: c.MaxScaleUp, MaxScaleDown: c.MaxScaleDown, ScalePeriod: c.ScalePeriod,
		MinLimit: c.MinLimit, MaxLimit: c.MaxLimit, ScheduleStart: c.ScheduleStart, ScheduleEnd: c.ScheduleEnd, TimeZone: c.TimeZone,
		IsEnabled: c.IsEnabled, CreatedBy: nullable(t.call.Principal.ID),
	})
	if err != nil {
		return "", err
	}
	*p = scalingPolicy(row, d.Name)
	if err := fitsRange(definition(d), p.Rules); err != nil {
		return "", err
	}
	return p.ID, t.settleScalingPolicy(ctx, definition(d), *p, fleet.EventScalingPolicyCreated)
}

// noDefinition is missing at the field of a policy that names the definition.
func noDefinition(id string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.FieldErrorf(fleet.ErrNotFound, "definition_id", "definition %s does not exist", id)
	}
	return err
}

// settleScalingPolicy checks a policy that has been written against the workload's
// others, notes it in the audit trail and wakes the autoscaler. The definition's row is
// locked, so that the policies of a workload change one after the other.
func (t *transaction) settleScalingPolicy(ctx context.Context, d fleet.Definition, p fleet.ScalingPolicy, event string) error {
	rows, err := t.WorkloadScalingPolicies(ctx, dbsqlc.WorkloadScalingPoliciesParams{DefinitionID: p.DefinitionID, Environment: p.Environment})
	if err != nil {
		return err
	}
	if len(rows) > fleet.MaxScalingPolicies {
		return fleet.Errorf(fleet.ErrConflict, "definition %q has %d policies in environment %s already, and more are not allowed; delete one first",
			d.Name, fleet.MaxScalingPolicies, p.Environment)
	}
	for _, row := range rows {
		if err := getAlong(p, scalingPolicy(row, d.Name)); err != nil {
			return err
		}
	}
	return t.noteScalingPolicy(ctx, p, event)
}

func (t *transaction) noteScalingPolicy(ctx context.Context, p fleet.ScalingPolicy, event string) error {
	if err := t.record(ctx, scalingPolicyEvent(p, event)); err != nil {
		return err
	}
	return t.notify(ctx, p.Workload())
}

// fitsRange refuses bounds outside of the definition's range, which would never hold.
func fitsRange(d fleet.Definition, s grammar.Scaling) error {
	var faults []fleet.FieldError
	check := func(field string, n *int) {
		if n != nil && (*n < d.Scaling.MinReplicas || *n > d.Scaling.MaxReplicas) {
			err := fleet.FieldErrorf(fleet.ErrInvalid, field, "%d is outside of the range of definition %q, which is %d to %d replicas; choose a number within, or change the definition's scaling_config",
				*n, d.Name, d.Scaling.MinReplicas, d.Scaling.MaxReplicas)
			faults = append(faults, fleet.FieldError{Field: field, Message: err.Error()})
		}
	}
	check("min_replicas", s.MinReplicas)
	check("max_replicas", s.MaxReplicas)
	if len(faults) > 0 {
		return &fleet.InvalidError{Fields: faults}
	}
	return nil
}

// getAlong refuses two policies that would work against each other: percentages of
// a limit mean nothing where another policy moves the limit.
func getAlong(p, other fleet.ScalingPolicy) error {
	vertical := p.Rules.Type == grammar.Vertical
	switch {
	case p.ID == other.ID || !p.Enabled || !other.Enabled || p.Rules.Metric == "" || p.Rules.Metric != other.Rules.Metric:
		return nil
	case vertical && other.Rules.Type == grammar.Vertical:
		return fleet.FieldErrorf(fleet.ErrConflict, "trigger_metric", "policy %q resizes %s already; change that one, or choose the other metric", other.Name, p.Rules.Metric)
	case vertical:
		return fleet.FieldErrorf(fleet.ErrConflict, "trigger_metric", "policy %q changes the number of replicas after %s, in percent of the limit that this policy would change; "+
			"choose the other metric, or delete or disable that policy", other.Name, p.Rules.Metric)
	case other.Rules.Type == grammar.Vertical:
		return fleet.FieldErrorf(fleet.ErrConflict, "trigger_metric", "policy %q changes the limit of %s that this policy would measure in percent of; "+
			"choose another metric, or delete or disable that policy", other.Name, p.Rules.Metric)
	}
	return nil
}

// ScalingPolicy implements httpapi.Store.
func (s *Store) ScalingPolicy(ctx context.Context, id string) (fleet.ScalingPolicy, error) {
	q, err := s.read(ctx)
	if err != nil {
		return fleet.ScalingPolicy{}, err
	}
	row, err := q.GetScalingPolicy(ctx, id)
	return scalingPolicy(row.ScalingPolicy, row.DefinitionName), missing("scaling policy", id, err)
}

// ListScalingPolicies implements httpapi.Store: by name.
func (s *Store) ListScalingPolicies(ctx context.Context, f fleet.ScalingPolicyFilter, p fleet.Page) (fleet.Result[fleet.ScalingPolicy], error) {
	var none fleet.Result[fleet.ScalingPolicy]
	page, err := pageOf(p)
	if err != nil {
		return none, err
	}
	count := dbsqlc.CountScalingPoliciesParams{
		DefinitionID: nullable(f.DefinitionID), Environment: nullable(f.Environment), PolicyName: nullable(f.Name), ScalingType: nullable(f.Type),
	}
	rows := dbsqlc.ListScalingPoliciesParams{
		DefinitionID: count.DefinitionID, Environment: count.Environment, PolicyName: count.PolicyName, ScalingType: count.ScalingType,
		AfterID: page.after, AfterName: page.afterName, MaxRows: page.rowsToFetch,
	}
	total, found, err := listRows(ctx, s, "list scaling policies",
		func(q *dbsqlc.Queries) (int64, error) { return q.CountScalingPolicies(ctx, count) },
		func(q *dbsqlc.Queries) ([]dbsqlc.ListScalingPoliciesRow, error) {
			return q.ListScalingPolicies(ctx, rows)
		})
	if err != nil {
		return none, err
	}
	return resultOf(page, found, total,
		func(r dbsqlc.ListScalingPoliciesRow) fleet.ScalingPolicy {
			return scalingPolicy(r.ScalingPolicy, r.DefinitionName)
		},
		func(p fleet.ScalingPolicy) cursor { return cursor{Name: p.Name, ID: p.ID} }), nil
}

// UpdateScalingPolicy implements httpapi.Store. Definition, environment and name
// are the policy's identity and stay as they are.
func (s *Store) UpdateScalingPolicy(ctx context.Context, id string, change func(*fleet.ScalingPolicy) error) (fleet.ScalingPolicy, error) {
	var after fleet.ScalingPolicy
	_, replayed, err := s.mutate(ctx, "update scaling policy", func(t *transaction) (string, error) {
		d, before, err := t.lockScalingPolicy(ctx, id)
		if err != nil {
			return "", err
		}
		after = before
		if err := change(&after); err != nil {
			return "", err
		}
		after.ID, after.DefinitionID, after.Environment, after.Name = before.ID, before.DefinitionID, before.Environment, before.Name
		if reflect.DeepEqual(before, after) {
			return id, nil
		}
		return id, t.replaceScalingPolicy(ctx, d, before, &after)
	})
	if err != nil || !replayed {
		return after, err
	}
	return s.ScalingPolicy(ctx, id)
}

// lockScalingPolicy locks a policy, behind the definition that it belongs to.
func (t *transaction) lockScalingPolicy(ctx context.Context, id string) (fleet.Definition, fleet.ScalingPolicy, error) {
	found, err := t.GetScalingPolicy(ctx, id)
	if err != nil {
		return fleet.Definition{}, fleet.ScalingPolicy{}, missing("scaling policy", id, err)
	}
	d, err := t.LockDefinition(ctx, found.ScalingPolicy.DefinitionID)
	if err != nil {
		return fleet.Definition{}, fleet.ScalingPolicy{}, missing("scaling policy", id, err)
	}
	row, err := t.LockScalingPolicy(ctx, id)
	return definition(d), scalingPolicy(row, d.Name), missing("scaling policy", id, err)
}

func (t *transaction) replaceScalingPolicy(ctx context.Context, d fleet.Definition, before fleet.ScalingPolicy, p *fleet.ScalingPolicy) error {
	c := policyColumns(*p)
	row, err := t.UpdateScalingPolicy(ctx, dbsqlc.UpdateScalingPolicyParams{
		ID: c.ID, ScalingType: c.ScalingType, TriggerMetric: c.TriggerMetric, MetricName: c.MetricName, TargetValue: c.TargetValue,
		ScaleUpThreshold: c.ScaleUpThreshold, ScaleDownThreshold: c.ScaleDownThreshold,
		ScaleUpAdjustment: c.ScaleUpAdjustment, ScaleDownAdjustment: c.ScaleDownAdjustment,
		MinReplicas: c.MinReplicas, MaxReplicas: c.MaxReplicas, ScaleUpCooldown: c.ScaleUpCooldown, ScaleDownCooldown: c.ScaleDownCooldown,
		StabilizationWindow: c.StabilizationWindow, MaxScaleUp: c.MaxScaleUp, MaxScaleDown: c.MaxScaleDown, ScalePeriod: c.ScalePeriod,
		MinLimit: c.MinLimit, MaxLimit: c.MaxLimit, ScheduleStart: c.ScheduleStart, ScheduleEnd: c.ScheduleEnd, TimeZone: c.TimeZone,
		IsEnabled: c.IsEnabled,
	})
	if err != nil {
		return err
	}
	if p.Rules.Type != before.Rules.Type || p.Rules.Metric != before.Rules.Metric {
		if err := t.forgetLimit(ctx, before); err != nil {
			return err
		}
	}
	*p = scalingPolicy(row, d.Name)
	if p.Enabled || !sameBounds(before.Rules, p.Rules) { // what is off does no harm after the definition's range has changed
		if err := fitsRange(d, p.Rules); err != nil {
			return err
		}
	}
	return t.settleScalingPolicy(ctx, d, *p, fleet.EventScalingPolicyUpdated)
}

func sameBounds(a, b grammar.Scaling) bool {
	return reflect.DeepEqual(a.MinReplicas, b.MinReplicas) && reflect.DeepEqual(a.MaxReplicas, b.MaxReplicas)
}

// forgetLimit takes away what a policy has set that is about to go: one that comes
// later begins with the definition's limit, not with what was right in other days.
func (t *transaction) forgetLimit(ctx context.Context, p fleet.ScalingPolicy) error {
	if p.Rules.Type != grammar.Vertical {
		return nil
	}
	return t.ForgetLimit(ctx, dbsqlc.ForgetLimitParams{Metric: p.Rules.Metric, DefinitionID: p.DefinitionID, Environment: p.Environment})
}

// DeleteScalingPolicy implements httpapi.Store.
func (s *Store) DeleteScalingPolicy(ctx context.Context, id string) error {
	_, _, err := s.mutate(ctx, "delete scaling policy", func(t *transaction) (string, error) {
		_, p, err := t.lockScalingPolicy(ctx, id)
		if err != nil {
			return "", err
		}
		if err := t.DeleteScalingPolicy(ctx, id); err != nil {
			return "", err
		}
		if err := t.forgetLimit(ctx, p); err != nil {
			return "", err
		}
		return id, t.noteScalingPolicy(ctx, p, fleet.EventScalingPolicyDeleted)
	})
	return err
}

// deleteScalingPolicies deletes those of a definition that is being deleted.
func (t *transaction) deleteScalingPolicies(ctx context.Context, d fleet.Definition) error {
	rows, err := t.DeleteScalingPoliciesOf(ctx, d.ID)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := t.noteScalingPolicy(ctx, scalingPolicy(row, d.Name), fleet.EventScalingPolicyDeleted); err != nil {
			return err
		}
	}
	return nil
}

func scalingPolicyEvent(p fleet.ScalingPolicy, kind string) fleet.Event {
	return fleet.Event{
		DefinitionID: p.DefinitionID, Environment: p.Environment, Type: kind,
		Data: map[string]any{"policy_id": p.ID, "policy_name": p.Name, "scaling_type": p.Rules.Type, "is_enabled": p.Enabled},
	}
}

func policyColumns(p fleet.ScalingPolicy) dbsqlc.ScalingPolicy {
	r := p.Rules
	return dbsqlc.ScalingPolicy{
		ID: p.ID, DefinitionID: p.DefinitionID, Environment: p.Environment, PolicyName: p.Name, ScalingType: r.Type,
		TriggerMetric: nullable(r.Metric), MetricName: nullable(r.MetricName), TargetValue: r.Target,
		ScaleUpThreshold: r.ScaleUpThreshold, ScaleDownThreshold: r.ScaleDownThreshold,
		ScaleUpAdjustment: r.ScaleUpAdjustment, ScaleDownAdjustment: r.ScaleDownAdjustment,
		MinReplicas: r.MinReplicas, MaxReplicas: r.MaxReplicas, ScaleUpCooldown: r.ScaleUpCooldown, ScaleDownCooldown: r.ScaleDownCooldown,
		StabilizationWindow: r.StabilizationWindow, MaxScaleUp: r.MaxScaleUp, MaxScaleDown: r.MaxScaleDown,
		ScalePeriod: cmp.Or(r.ScalePeriod, grammar.DefaultScalePeriod),
		MinLimit:    nullable(r.MinLimit), MaxLimit: nullable(r.MaxLimit),
		ScheduleStart: nullable(r.ScheduleStart), ScheduleEnd: nullable(r.ScheduleEnd), TimeZone: nullable(r.TimeZone),
		IsEnabled: p.Enabled,
	}
}

func scalingPolicy(r dbsqlc.ScalingPolicy, definitionName string) fleet.ScalingPolicy {
	return fleet.ScalingPolicy{
		ID: r.ID, DefinitionID: r.DefinitionID, DefinitionName: definitionName, Environment: r.Environment, Name: r.PolicyName,
		Rules: grammar.Scaling{
			Type: r.ScalingType, Metric: text(r.TriggerMetric), MetricName: text(r.MetricName), Target: r.TargetValue,
			ScaleUpThreshold: r.ScaleUpThreshold, ScaleDownThreshold: r.ScaleDownThreshold,
			ScaleUpAdjustment: r.ScaleUpAdjustment, ScaleDownAdjustment: r.ScaleDownAdjustment,
			MinReplicas: r.MinReplicas, MaxReplicas: r.MaxReplicas, ScaleUpCooldown: r.ScaleUpCooldown, ScaleDownCooldown: r.ScaleDownCooldown,
			StabilizationWindow: r.StabilizationWindow, MaxScaleUp: r.MaxScaleUp, MaxScaleDown: r.MaxScaleDown, ScalePeriod: r.ScalePeriod,
			MinLimit: text(r.MinLimit), MaxLimit: text(r.MaxLimit),
			ScheduleStart: text(r.ScheduleStart), ScheduleEnd: text(r.ScheduleEnd), TimeZone: text(r.TimeZone),
		},
		Enabled: r.IsEnabled, CreatedBy: text(r.CreatedBy), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}

// ListScalingDecisions implements httpapi.Store: newest first. The time is part of
// the key, since it, other than the identifier, has an index by workload.
func (s *Store) ListScalingDecisions(ctx context.Context, f fleet.ScalingDecisionFilter, p fleet.Page) (fleet.Result[fleet.ScalingDecision], error) {
	var none fleet.Result[fleet.ScalingDecision]
	page, err := pageOf(p)
	if err != nil {
		return none, err
	}
	before, err := page.afterTime()
	if err != nil {
		return none, err
	}
	count := dbsqlc.CountScalingDecisionsParams{
		DefinitionID: nullable(f.DefinitionID), Environment: nullable(f.Environment), PolicyID: nullable(f.PolicyID),
		Outcome: nullable(string(f.Outcome)), Changes: f.Changes, FromTime: f.From, ToTime: f.To,
	}
	rows := dbsqlc.ListScalingDecisionsParams{
		DefinitionID: count.DefinitionID, Environment: count.Environment, PolicyID: count.PolicyID,
		Outcome: count.Outcome, Changes: count.Changes, FromTime: count.FromTime, ToTime: count.ToTime,
		BeforeID: page.after, BeforeTime: before, MaxRows: page.rowsToFetch,
	}
	total, found, err := listRows(ctx, s, "list scaling decisions",
		func(q *dbsqlc.Queries) (int64, error) { return q.CountScalingDecisions(ctx, count) },
		func(q *dbsqlc.Queries) ([]dbsqlc.ListScalingDecisionsRow, error) {
			return q.ListScalingDecisions(ctx, rows)
		})
	if err != nil {
		return none, err
	}
	return resultOf(page, found, total, scalingDecision, func(d fleet.ScalingDecision) cursor {
		return cursor{Name: d.DecidedAt.UTC().Format(time.RFC3339Nano), ID: d.ID}
	}), nil
}

func scalingDecision(r dbsqlc.ListScalingDecisionsRow) fleet.ScalingDecision {
	s := r.ScalingDecision
	return fleet.ScalingDecision{
		ID: s.ID, DefinitionID: s.DefinitionID, DefinitionName: r.DefinitionName, Environment: s.Environment,
		PolicyID: text(s.PolicyID), PolicyName: text(s.PolicyName), Outcome: s.Outcome,
		Current: s.CurrentValue, Wanted: s.WantedValue, Limited: s.LimitedValue, Unit: s.Unit, Limit: text(s.LimitedBy),
		Reason: s.Reason, Inputs: s.Inputs, DeploymentID: text(s.DeploymentID),
		Evaluations: s.Evaluations, DecidedAt: s.DecidedAt, LastEvaluatedAt: s.LastEvaluatedAt,
	}
}
