package deploy

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// progress writes how far a deployment in progress has come, if that has changed.
func (x *executor) progress(ctx context.Context, state fleet.WorkloadState, o Outline) error {
	d := state.Target
	if d == nil || d.Status != fleet.DeploymentInProgress {
		return nil
	}
	total, done, current := Progress(state, o)
	if total == d.TotalSteps && done == d.CompletedSteps && current == d.CurrentStep {
		return nil
	}
	return x.end(ctx, d.ID, func(row *fleet.Deployment) []fleet.Event {
		row.TotalSteps, row.CompletedSteps, row.CurrentStep = total, done, current
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

// Progress counts a deployment's steps. Each new replica is created and
// becomes healthy, each old one is removed, and the deployment is completed.
func Progress(state fleet.WorkloadState, o Outline) (total, done int, current string) {
	d := state.Target
	settled, created, leaving := 0, 0, 0
	for _, i := range state.Instances {
		switch {
		case i.DeploymentID != d.ID || i.Desired == fleet.StatusTerminated:
			leaving++
		case serves(i) || heldBack(i):
			settled++
			created++
		case i.ContainerID != "":
			created++
		}
	}
	old := max(d.Before, leaving)
	total = 2*d.After + old + 1
	done = created + settled
	if settled == d.After {
		done += old - leaving // nothing old is removed before all that is new is healthy
	}
	for _, s := range o.Steps {
		current = s.String()
		if s.Kind != StepPull {
			break
		}
	}
	return total, done, current
}

// complete ends the deployment well: it is live from now on.
func (x *executor) complete(ctx context.Context, state fleet.WorkloadState) error {
	now := time.Now().UTC()
	return x.end(ctx, state.Target.ID, func(row *fleet.Deployment) []fleet.Event {
		row.Status, row.CompletedAt = fleet.DeploymentCompleted, &now
		row.CompletedSteps, row.CurrentStep = row.TotalSteps, ""
		return []fleet.Event{deploymentEvent(*row, fleet.EventDeploymentCompleted, "")}
	})
}

// fail ends the deployment and keeps what the failed instances have left behind.
func (x *executor) fail(ctx context.Context, state fleet.WorkloadState, s Step) error {
	found := x.autopsy(ctx, state, s)
	now := time.Now().UTC()
	return x.end(ctx, state.Target.ID, func(row *fleet.Deployment) []fleet.Event {
		row.Status, row.CompletedAt, row.CurrentStep = fleet.DeploymentFailed, &now, ""
		row.Errors = append(row.Errors, found...)
		return []fleet.Event{deploymentEvent(*row, fleet.EventDeploymentFailed, found[0].Message)}
	})
}

// autopsy describes the instance that failed the deployment, and others of it that failed too.
func (x *executor) autopsy(ctx context.Context, state fleet.WorkloadState, s Step) []fleet.DeploymentError {
	list := []fleet.DeploymentError{x.describe(ctx, s.Instance, s.Reason)}
	for _, i := range state.Instances {
		if i.ID != s.Instance.ID && i.DeploymentID == state.Target.ID && i.Current == fleet.StatusFailed && len(list) < maxErrors {
			list = append(list, x.describe(ctx, i, i.Error))
		}
	}
	return list
}

func (x *executor) describe(ctx context.Context, i fleet.Instance, message string) fleet.DeploymentError {
	e := fleet.DeploymentError{InstanceID: i.ID, InstanceName: i.Name, Message: message, Step: string(StepAwaitHealthy)}
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
