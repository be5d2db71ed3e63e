package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Rollback starts bringing back what an earlier deployment ran: its whole
// configuration, the image by its digest, and its number of replicas.
// ErrNotFound, ErrInvalid with the field at fault, or ErrConflict when the
// current state speaks against it and the request does not force it.
func (s *Service) Rollback(ctx context.Context, r fleet.RollbackRequest) (fleet.Deployment, error) {
	return s.begin(ctx, func() (fleet.Deployment, error) { return s.newRollback(ctx, r) })
}

// newRollback is the deployment that brings back what a request names.
func (s *Service) newRollback(ctx context.Context, r fleet.RollbackRequest) (fleet.Deployment, error) {
	d, err := s.store.Deployment(ctx, r.DeploymentID)
	if err != nil {
		return fleet.Deployment{}, err
	}
	if _, err := s.store.Definition(ctx, d.DefinitionID); err != nil {
		return fleet.Deployment{}, err
	}
	state, err := s.store.LoadWorkload(ctx, d.Workload())
	if err != nil {
		return fleet.Deployment{}, err
	}
	if err := mayUndo(d, state, r); err != nil {
		return fleet.Deployment{}, err
	}
	target, err := s.rollbackTarget(ctx, d, state, r)
	if err != nil {
		return fleet.Deployment{}, err
	}
	networks, err := s.store.Networks(ctx)
	if err != nil {
		return fleet.Deployment{}, err
	}
	if faults := checkNetworks(target.Spec, networks, d.Environment); len(faults) > 0 {
		for k := range faults {
			faults[k].Field = "target_deployment_id"
		}
		return fleet.Deployment{}, &fleet.InvalidError{Fields: faults}
	}
	rollback := rollbackTo(d, target, r.Reason)
	rollback.KeepReplicas = true
	return rollback, nil
}

// mayUndo checks that a deployment is the one that the environment runs, or is
// about to run, unless the request forces it.
func mayUndo(d fleet.Deployment, state fleet.WorkloadState, r fleet.RollbackRequest) error {
	switch {
	case d.Type == fleet.TypeRollback && r.TargetID == "":
		return fleet.Errorf(fleet.ErrConflict, "deployment %s is a rollback itself; name the target_deployment_id to bring back", d.ID)
	case r.Force:
		return nil
	case state.Target == nil && d.Removal:
		return nil // nothing is deployed since
	case state.Target == nil:
		return fleet.Errorf(fleet.ErrConflict, "environment %s runs nothing of the definition any more; force the rollback, or deploy", d.Environment)
	case state.Target.Status == fleet.DeploymentInProgress && state.Target.ID != d.ID:
		return fleet.Errorf(fleet.ErrConflict, "deployment %s is in progress; wait for it, abort it, or force the rollback", state.Target.ID)
	case state.Target.ID != d.ID:
		return fleet.Errorf(fleet.ErrConflict, "deployment %s is not what environment %s runs; that is %s: roll that back, or force the rollback",
			d.ID, d.Environment, state.Target.ID)
	}
	return nil
}

// rollbackTarget is the deployment to bring back.
func (s *Service) rollbackTarget(ctx context.Context, d fleet.Deployment, state fleet.WorkloadState, r fleet.RollbackRequest) (fleet.Deployment, error) {
	if r.TargetID == "" {
		if state.Live != nil && state.Live.ID != d.ID {
			return *state.Live, nil
		}
		target, err := s.store.StableBefore(ctx, d)
		if errors.Is(err, fleet.ErrNotFound) {
			return target, fleet.Errorf(fleet.ErrConflict, "there is no stable deployment before %s; name a target_deployment_id", d.ID)
		}
		return target, err
	}
	target, err := s.store.Deployment(ctx, r.TargetID)
	if errors.Is(err, fleet.ErrNotFound) {
		return target, fleet.FieldErrorf(fleet.ErrInvalid, "target_deployment_id", "there is no deployment %s", r.TargetID)
	}
	if err != nil {
		return target, err
	}
	switch {
	case target.ID == d.ID:
		err = fleet.FieldErrorf(fleet.ErrInvalid, "target_deployment_id", "is the deployment to undo; name an earlier one")
	case target.Workload() != d.Workload():
		err = fleet.FieldErrorf(fleet.ErrInvalid, "target_deployment_id",
			"deployment %s is of %s in %s, not of %s in %s", target.ID, target.DefinitionName, target.Environment, d.DefinitionName, d.Environment)
	case target.Removal:
		err = fleet.FieldErrorf(fleet.ErrInvalid, "target_deployment_id", "deployment %s is a removal, which runs nothing", target.ID)
	case target.Status != fleet.DeploymentCompleted && !r.Force:
		err = fleet.Errorf(fleet.ErrConflict, "deployment %s never was stable, or was rolled back (%s); force the rollback if you want it nevertheless", target.ID, target.Status)
	}
	return target, err
}

// rollbackTo is the deployment that undoes d by bringing back target, with its
// settings, which hold on for what comes after; that the rollback itself hurries is
// a matter of planning.
func rollbackTo(d, target fleet.Deployment, notes string) fleet.Deployment {
	var begin fleet.RolloutState
	if d.Strategy.Weights() {
		begin.Weight = new(100) // the old set is whole: every request goes there from now on
	}
	return fleet.Deployment{
		DefinitionID:       d.DefinitionID,
		DefinitionName:     d.DefinitionName,
		DefinitionRevision: target.DefinitionRevision,
		Environment:        d.Environment,
		Type:               fleet.TypeRollback,
		ImageTag:           target.ImageTag,
		ImageDigest:        target.ImageDigest,
		Spec:               target.Spec,
		After:              replicasBefore(d, target),
		Status:             fleet.DeploymentInProgress,
		Strategy:           fleet.StrategyRollingUpdate,
		Rollout:            target.Rollout,
		State:              begin,
		RollbackTargetID:   target.ID,
		RollbackOfID:       d.ID,
		Notes:              notes,
	}
}

// replicasBefore is the number of replicas to bring back with target: its own, or that
// which was being brought when d took the place of that.
func replicasBefore(d, target fleet.Deployment) int {
	if d.State.Asked == nil {
		return target.After
	}
	return min(max(*d.State.Asked, target.Spec.Scaling.MinReplicas), target.Spec.Scaling.MaxReplicas)
}

// undoing is the rollback of the target to what is live: none when nothing is, and
// never one of a rollback.
func undoing(s fleet.WorkloadState) *fleet.Deployment {
	if s.Live == nil || s.Target.Removal || s.Target.Type == fleet.TypeRollback {
		return nil
	}
	return new(rollbackTo(*s.Target, *s.Live, ""))
}

// automatic is the rollback that the failure of the target calls for: undoing, but
// for the replicas of a scaling that have proved themselves.
func automatic(s fleet.WorkloadState, now time.Time) *fleet.Deployment {
	r := undoing(s)
	if r != nil && s.Target.Type == fleet.TypeScale {
		r.After, r.Notes = remaining(s, now)
	}
	return r
}

// Scale starts changing the number of replicas of what is live. ErrNotFound when
// nothing is, ErrConflict while a deployment is in progress.
func (s *Service) Scale(ctx context.Context, r fleet.ScaleRequest) (fleet.Deployment, error) {
	return s.begin(ctx, func() (fleet.Deployment, error) { return s.newScaling(ctx, r) })
}

// newScaling is the deployment of what runs in another number of replicas.
func (s *Service) newScaling(ctx context.Context, r fleet.ScaleRequest) (fleet.Deployment, error) {
	definition, err := s.store.Definition(ctx, r.DefinitionID)
	if err != nil {
		return fleet.Deployment{}, err
	}
	state, err := s.store.LoadWorkload(ctx, r.Workload)
	if err != nil {
		return fleet.Deployment{}, err
	}
	switch {
	case state.Target == nil:
		return fleet.Deployment{}, fleet.Errorf(fleet.ErrNotFound, "definition %q is not deployed in environment %s", definition.Name, r.Environment)
	case state.Target.Status == fleet.DeploymentInProgress:
		return fleet.Deployment{}, fleet.Errorf(fleet.ErrConflict, "deployment %s of %q in %s is in progress; wait for it, or abort it, and scale then",
			state.Target.ID, definition.Name, r.Environment)
	}
	live := *state.Target
	if limits := definition.Scaling; r.Replicas < limits.MinReplicas || r.Replicas > limits.MaxReplicas {
		return fleet.Deployment{}, &fleet.InvalidError{Fields: []fleet.FieldError{{Field: "target_replicas", Message: fmt.Sprintf(
			"%d is not between min_replicas and max_replicas of definition %q, %d and %d", r.Replicas, definition.Name, limits.MinReplicas, limits.MaxReplicas)}}}
	}
	return live.Scaled(r.Replicas, r.Reason), nil
}

// Steer carries a user's command into a deployment in progress. ErrNotFound, or
// ErrConflict when the deployment has ended or the command does not fit it.
func (s *Service) Steer(ctx context.Context, id string, command fleet.Command, reason string) (fleet.Deployment, error) {
	if d, found, err := s.replayed(ctx); found || err != nil {
		return d, err
	}
	var rollback *fleet.Deployment
	if command == fleet.CommandAbort {
		d, err := s.store.Deployment(ctx, id)
		if err != nil {
			return fleet.Deployment{}, err
		}
		state, err := s.store.LoadWorkload(ctx, d.Workload())
		if err != nil {
			return fleet.Deployment{}, err
		}
		if state.Target != nil && state.Target.ID == id {
			rollback = undoing(state)
		}
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	d, err := s.store.SteerDeployment(ctx, id, func(row *fleet.Deployment) ([]fleet.Event, error) {
		return obey(row, command, reason, now)
	}, rollback)
	if err != nil {
		return fleet.Deployment{}, err
	}
	s.wake(d.Workload())
	return d, nil
}

// obey writes a command into a deployment in progress. It is pure.
func obey(d *fleet.Deployment, command fleet.Command, reason string, now time.Time) ([]fleet.Event, error) {
	var kind string
	switch command {
	case fleet.CommandPause:
		if d.State.PausedAt != nil {
			return nil, fleet.Errorf(fleet.ErrConflict, "deployment %s is paused already", d.ID)
		}
		kind, d.State.PausedAt = fleet.EventDeploymentPaused, &now
	case fleet.CommandResume:
		if d.State.PausedAt == nil {
			return nil, fleet.Errorf(fleet.ErrConflict, "deployment %s is not paused", d.ID)
		}
		kind, d.State.PausedAt, d.State.ProgressAt = fleet.EventDeploymentResumed, nil, &now
	case fleet.CommandPromote:
		switch {
		case !d.Strategy.Weights():
			return nil, fleet.Errorf(fleet.ErrConflict, "deployment %s is a %s, which has nothing to promote; blue_green and canary have", d.ID, d.Strategy)
		case d.State.PromotedAt != nil:
			return nil, fleet.Errorf(fleet.ErrConflict, "deployment %s is promoted already", d.ID)
		}
		kind, d.State.PromotedAt, d.State.ProgressAt = fleet.EventDeploymentPromoted, &now, &now
	case fleet.CommandAbort:
		kind, d.Status, d.CompletedAt, d.CurrentStep = fleet.EventDeploymentAborted, fleet.DeploymentFailed, &now, ""
		message := "aborted by a user"
		if reason != "" {
			message += ": " + reason
		}
		d.Errors = append(d.Errors, fleet.DeploymentError{Step: "aborted", Message: message})
	default:
		return nil, fleet.FieldErrorf(fleet.ErrInvalid, "command", "%q is not a command", command)
	}
	e := deploymentEvent(*d, kind, "")
	e.Source = fleet.SourceUser
	if reason != "" {
		e.Data["reason"] = reason
	}
	return []fleet.Event{e}, nil
}
