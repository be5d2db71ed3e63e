package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

const (
	// aftermath bounds what is still asked of the daemon once an apply was
	// interrupted or has run out of time.
	aftermath = 15 * time.Second
	// abortPatience bounds aborting a rollout and, but for what the requests need
	// that it has, waiting for its rollback; drainPatience bounds that.
	abortPatience = time.Minute
	drainPatience = 5 * time.Minute
)

// outcome is how an apply ended that did not see its rollout completed.
type outcome struct {
	summary, detail string
	// ended tells a rollout that ended otherwise from one that goes on.
	ended bool
	// observed is what the environment runs afterwards; nothing when that could not be read.
	observed workload
}

// notAbortedError says that a rollout should have been aborted and goes on.
type notAbortedError struct{ err error }

func (e *notAbortedError) Error() string { return "abort: " + e.err.Error() }

func (e *notAbortedError) Unwrap() error { return e.err }

// interrupted reports whether a context was ended by the user rather than by time.
func interrupted(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// endedWithout reports whether the rollout ended without success, rather than
// that waiting for it did.
func endedWithout(err error) bool {
	var failed *client.DeploymentFailedError
	return errors.As(err, &failed)
}

// abort ends a rollout and waits for its rollback. The rollout may have completed
// before; then there is no error.
func (r *deploymentResource) abort(ctx context.Context, id string) (api.Deployment, error) {
	ctx = context.WithoutCancel(ctx)
	asking, cancel := context.WithTimeout(ctx, abortPatience)
	defer cancel()
	_, err := r.client.AbortDeployment(asking, id, api.CommandRequest{Reason: "the apply that waited for it was interrupted"})
	if err != nil && !client.IsConflict(err) { // a conflict: it has ended
		return api.Deployment{}, &notAbortedError{err}
	}
	waiting, cancel := context.WithTimeout(ctx, abortPatience+r.drains(asking, id))
	defer cancel()
	return r.client.WaitDeployment(waiting, id, logProgress(ctx, 0))
}

// drains is how long the rollback of a rollout may let requests end, as far as that
// is waited for: it goes on for that time though what ran before is back.
func (r *deploymentResource) drains(ctx context.Context, id string) time.Duration {
	undone, err := r.client.GetDeployment(ctx, id)
	if err != nil || undone.RollbackID == "" {
		return 0
	}
	rollback, err := r.client.GetDeployment(ctx, undone.RollbackID)
	if err != nil || rollback.RolloutConfig.DrainTime == nil {
		return 0
	}
	return min(time.Duration(*rollback.RolloutConfig.DrainTime)*time.Second, drainPatience)
}

// outcome says why waiting for the model's deployment, with the context, ended in
// an error, and observes what is left.
func (r *deploymentResource) outcome(ctx context.Context, m deploymentResourceModel, err error) outcome {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), aftermath)
	defer cancel()
	observed, unseen := observeWorkload(after, r.client, m.DefinitionID.ValueString(), m.Environment.ValueString())
	out := outcome{observed: observed, ended: endedWithout(err)}
	if out.ended {
		out.summary, out.detail = endSummary(err), err.Error()+"\n\n"+remains(m, observed, unseen)
		return out
	}
	id := m.DeploymentID.ValueString()
	out.detail = fmt.Sprintf("Deployment %s goes on in the daemon%s. The next apply waits for it; through the daemon's API you can follow it or end it:\n"+
		"  GET  /api/containers/deployments/%s/status\n  POST /api/containers/deployments/%s/abort", id, r.currentStep(after, id), id, id)
	var notAborted *notAbortedError
	switch {
	case errors.As(err, &notAborted):
		out.summary, out.detail = "Deployment not aborted", problemDetail(notAborted.err)+"\n\n"+out.detail
	case interrupted(ctx):
		out.summary = "Interrupted, deployment still in progress"
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		out.summary = "Deployment still in progress"
		out.detail += "\n\nRaise the timeouts of the resource if it needs longer."
	default:
		out.summary, out.detail = "Wait for deployment", problemDetail(err)+"\n\n"+out.detail
	}
	return out
}

// currentStep is where a rollout is, as a clause; empty when that is not known.
func (r *deploymentResource) currentStep(ctx context.Context, id string) string {
	status, err := r.client.GetDeploymentStatus(ctx, id)
	if err != nil || status.Progress.CurrentStep == "" {
		return ""
	}
	return fmt.Sprintf(" (at %q, step %d of %d)", status.Progress.CurrentStep, status.Progress.CompletedSteps+1, status.Progress.TotalSteps)
}

// Steps that errors of deployments name beside those of the plan.
const stepAborted = "aborted"

// endSummary names the way in which a rollout ended without success.
func endSummary(err error) string {
	var superseded *client.DeploymentSupersededError
	if errors.As(err, &superseded) {
		return "Deployment superseded"
	}
	var failed *client.DeploymentFailedError
	if !errors.As(err, &failed) {
		return "Deployment failed"
	}
	for _, e := range failed.Deployment.Errors {
		if e.Step == stepAborted {
			return "Deployment aborted"
		}
	}
	if failed.Deployment.DeploymentStatus == api.DeploymentRolledBack {
		return "Deployment failed and rolled back"
	}
	return "Deployment failed"
}

// remains says what an environment runs after a rollout that did not succeed.
func remains(m deploymentResourceModel, observed workload, unseen error) string {
	environment := m.Environment.ValueString()
	switch live := observed.live; {
	case unseen != nil:
		return fmt.Sprintf("What the environment %s runs now could not be read: %v", environment, unseen)
	case live == nil:
		return fmt.Sprintf("Nothing of the definition runs in the environment %s.", environment)
	default:
		return fmt.Sprintf("The environment %s runs revision %d of %s (image tag %s, deployment %s).",
			environment, live.DefinitionRevision, live.DefinitionName, live.ImageTag, live.ID)
	}
}

// warnOfEnd tells how a rollout ended that an earlier apply left in progress,
// when that was not well: nobody has seen it.
func (r *deploymentResource) warnOfEnd(ctx context.Context, state deploymentResourceModel, observed workload, diags *diag.Diagnostics) {
	if current := observed.current(); !state.inProgress() || current != nil && current.ID == state.DeploymentID.ValueString() {
		return
	}
	deployment, err := r.client.GetDeployment(ctx, state.DeploymentID.ValueString())
	if err != nil || deployment.DeploymentStatus == api.DeploymentCompleted || deployment.DeploymentStatus == api.DeploymentInProgress {
		return // what the environment runs is known either way
	}
	failed := &client.DeploymentFailedError{Deployment: deployment}
	diags.AddWarning("A deployment that an earlier apply left did not complete", failed.Error()+"\n\n"+remains(state, observed, nil))
}
