package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/daemon/postgres/dbsqlc"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// CreateDeployment implements deploy.Store.
func (s *Store) CreateDeployment(ctx context.Context, d fleet.Deployment) (fleet.Deployment, error) {
	id, replayed, err := s.mutate(ctx, "create deployment", func(t *transaction) (string, error) {
		var err error
		if d, err = t.insertDeployment(ctx, d); err != nil {
			return "", err
		}
		return d.ID, t.notify(ctx, d.Workload())
	})
	if err != nil || !replayed {
		return d, err
	}
	return s.Deployment(ctx, id)
}

func (t *transaction) insertDeployment(ctx context.Context, d fleet.Deployment) (fleet.Deployment, error) {
	w, err := t.lockFor(ctx, d)
	if err != nil {
		return d, err
	}
	return t.begin(ctx, w, d)
}

// lockFor locks definition, networks and workload, in this order, so that what a
// deployment needs cannot be deleted and no other deployment of the workload
// begins meanwhile.
func (t *transaction) lockFor(ctx context.Context, d fleet.Deployment) (dbsqlc.Workload, error) {
	name, err := t.LockDefinitionName(ctx, d.DefinitionID)
	if err != nil {
		return dbsqlc.Workload{}, missing("definition", d.DefinitionID, err)
	}
	if err := t.requireNetworks(ctx, name, d); err != nil {
		return dbsqlc.Workload{}, err
	}
	key := d.Workload()
	if err := t.EnsureWorkload(ctx, dbsqlc.EnsureWorkloadParams{DefinitionID: key.DefinitionID, Environment: key.Environment}); err != nil {
		return dbsqlc.Workload{}, err
	}
	return t.LockWorkload(ctx, dbsqlc.LockWorkloadParams{DefinitionID: key.DefinitionID, Environment: key.Environment})
}

// begin makes d the target of a locked workload, in the place of what is in progress there.
func (t *transaction) begin(ctx context.Context, w dbsqlc.Workload, d fleet.Deployment) (fleet.Deployment, error) {
	var err error
	if d.Before, err = t.replicasBefore(ctx, w); err != nil {
		return d, err
	}
	if err := t.keepReplicas(ctx, w, &d); err != nil {
		return d, err
	}
	if d.ID == "" {
		if d.ID, err = newID(); err != nil {
			return d, err
		}
	}
	if err := t.supersede(ctx, w, &d); err != nil {
		return d, err
	}
	if err := t.InsertDeployment(ctx, deploymentColumns(d, t.call.Principal)); err != nil {
		return d, err
	}
	if d.SupersedesID != "" {
		if err := t.SetSupersededBy(ctx, dbsqlc.SetSupersededByParams{ID: d.SupersedesID, SupersededByID: &d.ID}); err != nil {
			return d, err
		}
	}
	if d.RollbackOfID != "" {
		if err := t.SetRollback(ctx, dbsqlc.SetRollbackParams{ID: d.RollbackOfID, RollbackID: &d.ID}); err != nil {
			return d, err
		}
	}
	err = t.SetWorkload(ctx, dbsqlc.SetWorkloadParams{
		DefinitionID: d.DefinitionID, Environment: d.Environment,
		TargetDeploymentID: &d.ID, LiveDeploymentID: w.LiveDeploymentID,
	})
	if err != nil {
		return d, err
	}
	if err := t.record(ctx, startedEvent(d)); err != nil {
		return d, err
	}
	return t.deployment(ctx, d.ID)
}

// requireNetworks locks the networks that a deployment joins; each must be there.
func (t *transaction) requireNetworks(ctx context.Context, definition string, d fleet.Deployment) error {
	names := slices.Concat(d.Spec.Network.InternalNetworks, d.Spec.Network.ExternalNetworks)
	if len(names) == 0 || d.Removal {
		return nil
	}
	found, err := t.LockNetworkNames(ctx, dbsqlc.LockNetworkNamesParams{Environment: d.Environment, Names: names})
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.Contains(found, name) {
			return fleet.FieldErrorf(fleet.ErrInvalid, "environment",
				"environment %s has no network %q, which definition %q joins; create it first", d.Environment, name, definition)
		}
	}
	return nil
}

// replicasBefore is the number of replicas that run before a deployment: those of the live one.
func (t *transaction) replicasBefore(ctx context.Context, w dbsqlc.Workload) (int, error) {
	if w.LiveDeploymentID == nil {
		return 0, nil
	}
	live, err := t.deployment(ctx, *w.LiveDeploymentID)
	return live.After, err
}

// keepReplicas gives a deployment the number of replicas that is wanted now, where
// it asks for that and a policy owns the number. What a deployment in progress was to
// change is not wanted any more by the one that undoes it.
func (t *transaction) keepReplicas(ctx context.Context, w dbsqlc.Workload, d *fleet.Deployment) error {
	if !d.KeepReplicas || w.TargetDeploymentID == nil {
		return nil
	}
	owned, err := t.ReplicasOwned(ctx, dbsqlc.ReplicasOwnedParams{DefinitionID: w.DefinitionID, Environment: w.Environment})
	if err != nil || !owned {
		return err
	}
	target, err := t.deployment(ctx, *w.TargetDeploymentID)
	if err != nil || target.Removal {
		return err
	}
	wanted := target.After
	if d.RollbackOfID == target.ID && target.Status == fleet.DeploymentInProgress && w.LiveDeploymentID != nil {
		wanted = target.AskedBefore(d.Before)
	}
	d.After = min(max(wanted, d.Spec.Scaling.MinReplicas), d.Spec.Scaling.MaxReplicas)
	return nil
}

// supersede ends the deployment in progress of d's workload, if there is one, in favour of d.
func (t *transaction) supersede(ctx context.Context, w dbsqlc.Workload, d *fleet.Deployment) error {
	rows, err := t.LockInProgress(ctx, dbsqlc.LockInProgressParams{DefinitionID: d.DefinitionID, Environment: d.Environment})
	if err != nil {
		return err
	}
	for _, row := range rows {
		old := deployment(row.DeploymentHistory, row.DefinitionName, false)
		now := time.Now().UTC()
		old.Status, old.CompletedAt, old.CurrentStep = fleet.DeploymentFailed, &now, ""
		message := "superseded by deployment " + d.ID
		if d.RollbackOfID == old.ID {
			message = "rolled back by deployment " + d.ID + " before it was completed"
		}
		old.Errors = append(old.Errors, fleet.DeploymentError{Step: "superseded", Message: message})
		d.Supersede(old, text(w.LiveDeploymentID))
		if err := t.UpdateDeployment(ctx, progressColumns(old)); err != nil {
			return err
		}
		err := t.record(ctx, fleet.Event{
			DefinitionID: old.DefinitionID, DeploymentID: old.ID, Environment: old.Environment,
			Type: fleet.EventDeploymentSuperseded, Data: map[string]any{"superseded_by_id": d.ID},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Deployment implements httpapi.Store and deploy.Store.
func (s *Store) Deployment(ctx context.Context, id string) (fleet.Deployment, error) {
	q, err := s.read(ctx)
	if err != nil {
		return fleet.Deployment{}, err
	}
	row, err := q.GetDeployment(ctx, id)
	return deployment(row.DeploymentHistory, row.DefinitionName, row.Live), missing("deployment", id, err)
}

func (t *transaction) deployment(ctx context.Context, id string) (fleet.Deployment, error) {
	row, err := t.GetDeployment(ctx, id)
	return deployment(row.DeploymentHistory, row.DefinitionName, row.Live), missing("deployment", id, err)
}

// StableBefore implements deploy.Store.
func (s *Store) StableBefore(ctx context.Context, d fleet.Deployment) (fleet.Deployment, error) {
	q, err := s.read(ctx)
	if err != nil {
		return fleet.Deployment{}, err
	}
	row, err := q.StableBefore(ctx, dbsqlc.StableBeforeParams{DefinitionID: d.DefinitionID, Environment: d.Environment, BeforeID: d.ID})
	return deployment(row.DeploymentHistory, row.DefinitionName, row.Live), missing("stable deployment before", d.ID, err)
}

// UpdateDeployment implements deploy.Store. ErrConflict when the deployment has ended.
func (s *Store) UpdateDeployment(ctx context.Context, id string, change func(*fleet.Deployment) ([]fleet.Event, error)) (fleet.Deployment, error) {
	var after fleet.Deployment
	err := s.write(ctx, "update deployment", func(t *transaction) (err error) {
		after, err = t.changeDeployment(ctx, id, change)
		return err
	})
	return after, err
}

// SteerDeployment implements deploy.Store.
func (s *Store) SteerDeployment(ctx context.Context, id string, change func(*fleet.Deployment) ([]fleet.Event, error), rollback *fleet.Deployment) (fleet.Deployment, error) {
	var after fleet.Deployment
	_, replayed, err := s.mutate(ctx, "steer deployment", func(t *transaction) (_ string, err error) {
		if after, err = t.changeDeployment(ctx, id, change); err != nil || rollback == nil {
			return id, err
		}
		w, err := t.LockWorkload(ctx, dbsqlc.LockWorkloadParams{DefinitionID: after.DefinitionID, Environment: after.Environment})
		if err != nil {
			return "", err
		}
		next := *rollback
		next.RollbackOfID = id
		if _, err := t.begin(ctx, w, next); err != nil {
			return "", err
		}
		after, err = t.deployment(ctx, id)
		return id, err
	})
	if err != nil || !replayed {
		return after, err
	}
	return s.Deployment(ctx, id)
}

// changeDeployment locks the workload first, as everything does that changes what it should run.
func (t *transaction) changeDeployment(ctx context.Context, id string, change func(*fleet.Deployment) ([]fleet.Event, error)) (fleet.Deployment, error) {
	before, err := t.deployment(ctx, id)
	if err != nil {
		return before, err
	}
	key := before.Workload()
	w, err := t.LockWorkload(ctx, dbsqlc.LockWorkloadParams{DefinitionID: key.DefinitionID, Environment: key.Environment})
	if err != nil {
		return before, missing("deployment", id, err)
	}
	if before, err = t.lockedDeployment(ctx, id); err != nil {
		return before, err
	}
	after := before
	after.Errors = slices.Clone(before.Errors)
	events, err := change(&after)
	if err != nil {
		return after, err
	}
	return after, t.replaceDeployment(ctx, w, &after, events)
}

// lockedDeployment locks and reads a deployment that has not ended.
func (t *transaction) lockedDeployment(ctx context.Context, id string) (fleet.Deployment, error) {
	if err := t.LockDeployment(ctx, id); err != nil {
		return fleet.Deployment{}, err
	}
	d, err := t.deployment(ctx, id)
	if err == nil && d.Status != fleet.DeploymentInProgress {
		err = fleet.Errorf(fleet.ErrConflict, "deployment %s has ended already: %s", id, d.Status)
	}
	return d, err
}

func (t *transaction) replaceDeployment(ctx context.Context, w dbsqlc.Workload, d *fleet.Deployment, events []fleet.Event) error {
	ended := d.Status != fleet.DeploymentInProgress
	if ended && d.CompletedAt == nil {
		now := time.Now().UTC()
		d.CompletedAt = &now
	}
	if err := t.UpdateDeployment(ctx, progressColumns(*d)); err != nil {
		return err
	}
	if ended {
		if err := t.settle(ctx, w, *d); err != nil {
			return err
		}
	}
	if err := t.record(ctx, events...); err != nil {
		return err
	}
	after, err := t.deployment(ctx, d.ID)
	*d = after
	return err
}

// settle writes what a workload runs and should run after a deployment has ended.
func (t *transaction) settle(ctx context.Context, w dbsqlc.Workload, d fleet.Deployment) error {
	target, live := w.LiveDeploymentID, w.LiveDeploymentID
	switch {
	case d.Status == fleet.DeploymentCompleted && d.Removal:
		target, live = nil, nil
	case d.Status == fleet.DeploymentCompleted:
		target, live = &d.ID, &d.ID
	}
	err := t.SetWorkload(ctx, dbsqlc.SetWorkloadParams{
		DefinitionID: w.DefinitionID, Environment: w.Environment, TargetDeploymentID: target, LiveDeploymentID: live,
	})
	if err != nil {
		return err
	}
	if d.Type == fleet.TypeRollback && d.Status == fleet.DeploymentCompleted {
		if err := t.undone(ctx, d); err != nil {
			return err
		}
	}
	return t.notify(ctx, d.Workload())
}

// undone marks what a completed rollback has undone.
func (t *transaction) undone(ctx context.Context, rollback fleet.Deployment) error {
	marked, err := t.MarkRolledBack(ctx, rollback.RollbackOfID)
	if err != nil || len(marked) == 0 {
		return err
	}
	return t.record(ctx, fleet.Event{
		DefinitionID: rollback.DefinitionID, DeploymentID: rollback.RollbackOfID, Environment: rollback.Environment,
		Type: fleet.EventDeploymentRolledBack, Data: map[string]any{"rollback_id": rollback.ID, "rollback_target_id": rollback.RollbackTargetID},
	})
}

// ListDeployments implements httpapi.Store: newest first.
func (s *Store) ListDeployments(ctx context.Context, f fleet.DeploymentFilter, p fleet.Page) (fleet.Result[fleet.Deployment], error) {
	var none fleet.Result[fleet.Deployment]
	page, err := pageOf(p)
	if err != nil {
		return none, err
	}
	count := dbsqlc.CountDeploymentsParams{
		DefinitionID: nullable(f.DefinitionID), Environment: nullable(f.Environment),
		Status: nullable(string(f.Status)), OnlyLive: f.Live,
	}
	rows := dbsqlc.ListDeploymentsParams{
		DefinitionID: count.DefinitionID, Environment: count.Environment, Status: count.Status, OnlyLive: count.OnlyLive,
		BeforeID: page.after, MaxRows: page.rowsToFetch,
	}
	total, found, err := listRows(ctx, s, "list deployments",
		func(q *dbsqlc.Queries) (int64, error) { return q.CountDeployments(ctx, count) },
		func(q *dbsqlc.Queries) ([]dbsqlc.ListDeploymentsRow, error) { return q.ListDeployments(ctx, rows) })
	if err != nil {
		return none, err
	}
	convert := func(r dbsqlc.ListDeploymentsRow) fleet.Deployment {
		return deployment(r.DeploymentHistory, r.DefinitionName, r.Live)
	}
	return resultOf(page, found, total, convert, func(d fleet.Deployment) cursor { return cursor{ID: d.ID} }), nil
}

func startedEvent(d fleet.Deployment) fleet.Event {
	return fleet.Event{
		DefinitionID: d.DefinitionID, DeploymentID: d.ID, Environment: d.Environment, Type: fleet.EventDeploymentStarted,
		Data: map[string]any{
			"deployment_type": string(d.Type), "image_tag": d.ImageTag, "image_digest": d.ImageDigest,
			"definition_revision": d.DefinitionRevision, "instances_before": d.Before, "instances_after": d.After,
			"is_removal": d.Removal, "deployment_strategy": string(d.Strategy),
		},
	}
}

func deploymentColumns(d fleet.Deployment, by fleet.Principal) dbsqlc.InsertDeploymentParams {
	kind, strategy := d.Type, d.Strategy
	if kind == "" {
		kind = fleet.TypeDeploy
	}
	if strategy == "" {
		strategy = fleet.StrategyRollingUpdate
	}
	return dbsqlc.InsertDeploymentParams{
		ID: d.ID, DefinitionID: d.DefinitionID, DefinitionRevision: d.DefinitionRevision, Environment: d.Environment,
		DeploymentType: kind, ImageTag: d.ImageTag, ImageDigest: d.ImageDigest, ConfigSnapshot: normalSpec(d.Spec),
		InstancesBefore: d.Before, InstancesAfter: d.After, DeploymentStrategy: strategy,
		RollbackTargetID: nullable(d.RollbackTargetID), IsRemoval: d.Removal, TotalSteps: d.TotalSteps,
		CurrentStep: d.CurrentStep, StartedBy: nullable(by.ID), DeploymentNotes: nullable(d.Notes),
		RolloutConfig: d.Rollout, RolloutState: d.State, RollbackOfID: nullable(d.RollbackOfID), SupersedesID: nullable(d.SupersedesID),
	}
}

func progressColumns(d fleet.Deployment) dbsqlc.UpdateDeploymentParams {
	return dbsqlc.UpdateDeploymentParams{
		ID: d.ID, DeploymentStatus: d.Status, CompletedAt: d.CompletedAt, ErrorDetails: d.Errors,
		TotalSteps: d.TotalSteps, CompletedSteps: d.CompletedSteps, CurrentStep: d.CurrentStep, RolloutState: d.State,
	}
}

// normalRollout is the rollout as it was meant: one that began before there were settings had the defaults.
func normalRollout(r grammar.Rollout) grammar.Rollout {
	if r.MaxSurge == "" {
		return grammar.DefaultRollout(true)
	}
	return r
}

func deployment(r dbsqlc.DeploymentHistory, definition string, live bool) fleet.Deployment {
	return fleet.Deployment{
		ID: r.ID, DefinitionID: r.DefinitionID, DefinitionName: definition, DefinitionRevision: r.DefinitionRevision,
		Environment: r.Environment, Type: r.DeploymentType, ImageTag: r.ImageTag, ImageDigest: r.ImageDigest,
		Spec: normalSpec(r.ConfigSnapshot), Before: r.InstancesBefore, After: r.InstancesAfter,
		Status: r.DeploymentStatus, Strategy: r.DeploymentStrategy, RollbackTargetID: text(r.RollbackTargetID),
		Removal: r.IsRemoval, Live: live, StartedBy: text(r.StartedBy), StartedAt: r.StartedAt,
		CompletedAt: r.CompletedAt, Errors: r.ErrorDetails, Notes: text(r.DeploymentNotes),
		TotalSteps: r.TotalSteps, CompletedSteps: r.CompletedSteps, CurrentStep: r.CurrentStep,
		Rollout: normalRollout(r.RolloutConfig), State: r.RolloutState, RollbackOfID: text(r.RollbackOfID),
		RollbackID: text(r.RollbackID), SupersedesID: text(r.SupersedesID), SupersededByID: text(r.SupersededByID),
	}
}
