package deploy

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// progress writes how far a deployment in progress has come, if that has changed.
// Another replica that has proved itself renews the progress deadline.
func (x *executor) progress(ctx context.Context, state fleet.WorkloadState, at Progress) error {
	d := state.Target
	if d == nil || d.Status != fleet.DeploymentInProgress {
		return nil
	}
	if at.Total == d.TotalSteps && at.Done == d.CompletedSteps && at.Current == d.CurrentStep && at.Settled <= d.State.Settled {
		return nil
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	return x.end(ctx, d.ID, func(row *fleet.Deployment) []fleet.Event {
		row.TotalSteps, row.CompletedSteps, row.CurrentStep = at.Total, at.Done, at.Current
		if at.Settled > row.State.Settled {
			row.State.Settled, row.State.ProgressAt = at.Settled, &now
		}
		return nil
	})
}

// end changes a deployment that is still in progress; one that has ended
// meanwhile, because a newer one took over, stays as it is.
func (x *executor) end(ctx context.Context, id string, change func(*fleet.Deployment) []fleet.Event) error {
	_, err := x.store.UpdateDeployment(ctx, id, func(row *fleet.Deployment) ([]fleet.Event, error) {
		return change(row), nil
	})
	if errors.Is(err, fleet.ErrConflict) {
		return nil
	}
	return err
}

// complete ends the deployment well: it is live from now on.
func (x *executor) complete(ctx context.Context, state fleet.WorkloadState) error {
	now := time.Now().UTC()
	return x.end(ctx, state.Target.ID, func(row *fleet.Deployment) []fleet.Event {
		row.Status, row.CompletedAt = fleet.DeploymentCompleted, &now
		row.CompletedSteps, row.CurrentStep, row.State.Weight = row.TotalSteps, "", nil
		return []fleet.Event{deploymentEvent(*row, fleet.EventDeploymentCompleted, "")}
	})
}

// fail ends the deployment, keeps what the failed instances have left behind,
// and begins the rollback in the same transaction. Where the rows are behind the
// engine it brings them up to date instead, and while the engine does not answer
// it is an error: whose container the engine has stopped is not to blame for not
// answering.
func (x *executor) fail(ctx context.Context, state fleet.WorkloadState, s Step) error {
	if fresh, err := x.upToDate(ctx, state, s.Instance); err != nil || !fresh {
		return err
	}
	found := x.autopsy(ctx, state, s)
	now := time.Now().UTC()
	_, err := x.store.SteerDeployment(ctx, state.Target.ID, func(row *fleet.Deployment) ([]fleet.Event, error) {
		row.Status, row.CompletedAt, row.CurrentStep, row.State.Weight = fleet.DeploymentFailed, &now, "", nil
		row.Errors = append(row.Errors, found...)
		return []fleet.Event{deploymentEvent(*row, fleet.EventDeploymentFailed, found[0].Message)}, nil
	}, automatic(state, now))
	if errors.Is(err, fleet.ErrConflict) {
		return nil // it has ended meanwhile
	}
	return err
}

// upToDate reports whether an instance that runs, as its row has it, is still in
// that run, and writes what has become of it if not.
func (x *executor) upToDate(ctx context.Context, state fleet.WorkloadState, i fleet.Instance) (bool, error) {
	if i.Current != fleet.StatusRunning {
		return true, nil
	}
	c, err := x.engine.InspectContainer(ctx, i.ContainerID)
	if err != nil {
		return false, err
	}
	if before := i; len(Observe(&before, c, hasCheck(state, i), time.Now())) == 0 {
		return true, nil
	}
	return false, x.record(ctx, state, i, c)
}

// autopsy describes the instance that failed the deployment, and others of it that failed too.
func (x *executor) autopsy(ctx context.Context, state fleet.WorkloadState, s Step) []fleet.DeploymentError {
	list := []fleet.DeploymentError{x.describe(ctx, s.Instance, s.Reason)}
	for _, i := range state.Instances {
		if s.Instance.ID != "" && i.ID != s.Instance.ID && i.DeploymentID == state.Target.ID && i.Current == fleet.StatusFailed && len(list) < maxErrors {
			list = append(list, x.describe(ctx, i, i.Error))
		}
	}
	return list
}

func (x *executor) describe(ctx context.Context, i fleet.Instance, message string) fleet.DeploymentError {
	e := fleet.DeploymentError{InstanceID: i.ID, InstanceName: i.Name, Message: message, Step: string(StepAwaitHealthy)}
	switch {
	case i.ID == "" && i.Replica > 0:
		e.Step = string(StepAdd)
		return e
	case i.ID == "":
		e.Step = string(StepPull)
		return e
	}
	if n := len(i.Checks); n > 0 {
		e.HealthOutput = i.Checks[n-1].Details
	}
	if i.ContainerID == "" {
		e.Step = string(StepCreate)
		return e
	}
	if i.StartedAt == nil && i.ExitCode == nil {
		e.Step = string(StepStart)
	}
	if i.Current == fleet.StatusFailed {
		e.ExitCode = i.ExitCode
	}
	tail, err := x.engine.LogTail(ctx, i.ContainerID, tailLines)
	if err != nil {
		x.log.Warn("cannot read the last lines of a failed instance", "instance", i.Name, "error", err)
	}
	for _, line := range slices.Clip(tail) {
		e.LogTail = append(e.LogTail, line.Message)
	}
	return e
}

func deploymentEvent(d fleet.Deployment, kind, message string) fleet.Event {
	return fleet.Event{
		DefinitionID: d.DefinitionID,
		DeploymentID: d.ID,
		Environment:  d.Environment,
		Type:         kind,
		Source:       fleet.SourceSystem,
		Data:         map[string]any{"image_tag": d.ImageTag, "instances_after": d.After},
		Error:        message,
	}
}
