package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

const (
	defaultPollMin  = 100 * time.Millisecond
	defaultPollMax  = 2 * time.Second
	defaultPatience = time.Minute
)

// WaitOptions say how to wait. The zero value is a good choice. How long to
// wait at most is the context's matter.
type WaitOptions struct {
	// OnProgress is called with the first status of a deployment and with every one
	// that differs from the one before; when it fails, with those of its rollback
	// too, under the rollback's identifier. It may be nil.
	OnProgress func(api.DeploymentStatus)
	// PollMin and PollMax bound the pause between two questions, which grows; 100
	// milliseconds and 2 seconds when zero.
	PollMin, PollMax time.Duration
	// Patience is how long the daemon may stay unreachable, as it is while it
	// restarts, before waiting ends with that error; a minute when zero.
	Patience time.Duration
}

// DeploymentFailedError says that a deployment ended without success, and what
// became of its environment.
type DeploymentFailedError struct {
	// Deployment is the deployment at its end, with every error.
	Deployment api.Deployment
	// Rollback is the rollback that undoes the deployment, at its end: completed,
	// or failed with errors of its own. Nil when there is none, or when waiting
	// ended before it did.
	Rollback *api.Deployment
}

// Error names the deployment and what went wrong, an error a line, each followed
// by what the health check said and the last lines that the container wrote. The
// last line is the outcome: what was brought back, or why nothing was.
func (e *DeploymentFailedError) Error() string {
	var b strings.Builder
	d := e.Deployment
	fmt.Fprintf(&b, "deployment %s of %s in %s ended as %s", d.ID, d.DefinitionName, d.Environment, d.DeploymentStatus)
	for _, failure := range d.Errors {
		fmt.Fprintf(&b, "\n%s", failure)
	}
	b.WriteString("\n" + e.outcome())
	return b.String()
}

// outcome says what the environment was brought back to.
func (e *DeploymentFailedError) outcome() string {
	d, r := e.Deployment, e.Rollback
	switch {
	case d.RollbackID == "" && d.DeploymentType == api.TypeRollback:
		return "a rollback that fails is not rolled back itself: what was stable last stays the target"
	case d.RollbackID == "" && d.IsRemoval:
		return "a removal that fails is not rolled back: what was stable last stays the target"
	case d.RollbackID == "" && d.SupersededByID != "":
		return "deployment " + d.SupersededByID + " has taken its place"
	case d.RollbackID == "":
		return "nothing was rolled back, as nothing was stable before"
	case r == nil:
		return "the rollback " + d.RollbackID + " goes on"
	case r.DeploymentStatus == api.DeploymentCompleted || r.DeploymentStatus == api.DeploymentRolledBack:
		return fmt.Sprintf("rolled back to deployment %s (image tag %s)", r.RollbackTargetID, r.ImageTag)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the rollback %s to deployment %s (image tag %s) ended as %s:", r.ID, r.RollbackTargetID, r.ImageTag, r.DeploymentStatus)
	for _, failure := range r.Errors {
		fmt.Fprintf(&b, "\n%s", failure)
	}
	return b.String()
}

// DeploymentSupersededError says that a newer deployment of the same definition
// and environment took the place of one that was in progress. It is a
// [*DeploymentFailedError] too, to [errors.As].
type DeploymentSupersededError struct {
	// Deployment is the deployment at its end; SupersededByID names the newer one.
	Deployment api.Deployment
}

func (e *DeploymentSupersededError) Error() string {
	d := e.Deployment
	return fmt.Sprintf("deployment %s of %s in %s was superseded by deployment %s, which began while it was in progress",
		d.ID, d.DefinitionName, d.Environment, d.SupersededByID)
}

// Unwrap gives the end without success to [errors.As].
func (e *DeploymentSupersededError) Unwrap() error {
	return &DeploymentFailedError{Deployment: e.Deployment}
}

// WaitDeployment waits until a deployment has ended and, when it failed, until
// its rollback has ended too. It returns the deployment at its end with nil when
// it completed, a [*DeploymentSupersededError] when a newer one took its place, a
// [*DeploymentFailedError] when it ended otherwise, or the context's error; the
// deployment goes on when waiting ends early. Where that happens during the
// rollback, the error is both that of the failed deployment and the context's.
func (c *Client) WaitDeployment(ctx context.Context, id string, o WaitOptions) (api.Deployment, error) {
	o.OnProgress = progressFilter(o.OnProgress)
	deployment, err := c.waitEnd(ctx, id, o)
	switch {
	case err != nil:
		return api.Deployment{}, fmt.Errorf("wait for deployment %s: %w", id, err)
	case deployment.DeploymentStatus == api.DeploymentCompleted:
		return deployment, nil
	case deployment.RollbackID != "":
		return c.waitRollback(ctx, deployment, o)
	case deployment.SupersededByID != "":
		return deployment, &DeploymentSupersededError{Deployment: deployment}
	default:
		return deployment, &DeploymentFailedError{Deployment: deployment}
	}
}

// waitRollback waits for the rollback of a deployment that ended without success.
func (c *Client) waitRollback(ctx context.Context, deployment api.Deployment, o WaitOptions) (api.Deployment, error) {
	failed := &DeploymentFailedError{Deployment: deployment}
	rollback, err := c.waitEnd(ctx, deployment.RollbackID, o)
	if err != nil {
		return deployment, fmt.Errorf("%w\nwait for rollback %s: %w", failed, deployment.RollbackID, err)
	}
	failed.Rollback = &rollback
	// What a completed rollback has undone is rolled_back from then on.
	after, err := c.waitEnd(ctx, deployment.ID, o)
	if err != nil {
		return deployment, fmt.Errorf("%w\nread deployment %s: %w", failed, deployment.ID, err)
	}
	failed.Deployment = after
	return after, failed
}

// waitEnd waits until a deployment is not in progress any more and reads it whole.
func (c *Client) waitEnd(ctx context.Context, id string, o WaitOptions) (api.Deployment, error) {
	var deployment api.Deployment
	err := c.poll(ctx, o, func() (bool, error) {
		status, err := c.GetDeploymentStatus(ctx, id)
		if err != nil {
			return false, err
		}
		o.OnProgress(status)
		if status.Status == api.DeploymentInProgress {
			return false, nil
		}
		deployment, err = c.GetDeployment(ctx, id)
		return err == nil, err
	})
	return deployment, err
}

// progressFilter leaves out statuses that say nothing new about their deployment.
func progressFilter(report func(api.DeploymentStatus)) func(api.DeploymentStatus) {
	last := map[string]api.DeploymentStatus{}
	return func(status api.DeploymentStatus) {
		before, known := last[status.ID]
		last[status.ID] = status
		if report != nil && (!known || progressed(before, status)) {
			report(status)
		}
	}
}

// progressed compares what a person would want to see of two statuses.
func progressed(before, after api.DeploymentStatus) bool {
	return before.Status != after.Status ||
		before.Progress.CompletedSteps != after.Progress.CompletedSteps ||
		before.Progress.TotalSteps != after.Progress.TotalSteps ||
		before.Progress.CurrentStep != after.Progress.CurrentStep ||
		len(before.Progress.Errors) != len(after.Progress.Errors)
}

// InstanceTerminatedError says that an instance ended for good while another
// status was waited for.
type InstanceTerminatedError struct {
	Instance api.Instance
	// Wanted is the status that can't come any more.
	Wanted string
}

func (e *InstanceTerminatedError) Error() string {
	text := fmt.Sprintf("instance %s was terminated and will never be %s", e.Instance.InstanceName, e.Wanted)
	if e.Instance.ErrorMessage != "" {
		text += ": " + e.Instance.ErrorMessage
	}
	return text
}

// WaitInstance waits until an instance's observed status is the given one, such
// as [api.InstanceRunning]. An instance that is terminated instead ends the wait
// with an [*InstanceTerminatedError]; a failed one does not, because the daemon
// restarts it.
func (c *Client) WaitInstance(ctx context.Context, id, status string, o WaitOptions) (api.Instance, error) {
	var instance api.Instance
	err := c.poll(ctx, o, func() (bool, error) {
		var err error
		if instance, err = c.GetInstance(ctx, id); err != nil {
			return false, err
		}
		switch instance.CurrentStatus {
		case status:
			return true, nil
		case api.InstanceTerminated:
			return false, &InstanceTerminatedError{Instance: instance, Wanted: status}
		default:
			return false, nil
		}
	})
	if err != nil {
		return instance, fmt.Errorf("wait for instance %s: %w", id, err)
	}
	return instance, nil
}

// poll asks until the answer is yes. An unreachable daemon is forgiven for the
// options' patience, counted from its last answer.
func (c *Client) poll(ctx context.Context, o WaitOptions, done func() (bool, error)) error {
	pause := orDefault(o.PollMin, defaultPollMin)
	longest := max(pause, orDefault(o.PollMax, defaultPollMax))
	patience := orDefault(o.Patience, defaultPatience)
	answered := time.Now()
	for {
		ok, err := done()
		switch {
		case err == nil && ok:
			return nil
		case err == nil:
			answered = time.Now()
		case !IsUnavailable(err) || time.Since(answered) >= patience:
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(pause+pause/2, longest)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}
