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
	// OnProgress is called with the first status and with every one that differs
	// from the one before. It may be nil.
	OnProgress func(api.DeploymentStatus)
	// PollMin and PollMax bound the pause between two questions, which grows; 100
	// milliseconds and 2 seconds when zero.
	PollMin, PollMax time.Duration
	// Patience is how long the daemon may stay unreachable, as it is while it
	// restarts, before waiting ends with that error; a minute when zero.
	Patience time.Duration
}

// DeploymentFailedError says that a deployment ended without success.
type DeploymentFailedError struct {
	// Deployment is the deployment at its end, with every error.
	Deployment api.Deployment
}

// Error names the deployment and what went wrong, an error a line, with the
// last lines that failed containers wrote.
func (e *DeploymentFailedError) Error() string {
	d := e.Deployment
	var b strings.Builder
	fmt.Fprintf(&b, "deployment %s of %s in %s ended as %s", d.ID, d.DefinitionName, d.Environment, d.DeploymentStatus)
	for _, failure := range d.Errors {
		b.WriteString("\n" + failureText(failure))
	}
	return b.String()
}

func failureText(f api.DeploymentError) string {
	var b strings.Builder
	fmt.Fprintf(&b, "step %s", f.Step)
	if f.InstanceName != "" {
		fmt.Fprintf(&b, ", instance %s", f.InstanceName)
	}
	if f.ExitCode != nil {
		fmt.Fprintf(&b, ", exit code %d", *f.ExitCode)
	}
	fmt.Fprintf(&b, ": %s", f.Message)
	for _, line := range f.LogTail {
		b.WriteString("\n  | " + line)
	}
	return b.String()
}

// WaitDeployment waits until a deployment has ended. It returns the completed
// deployment, a [*DeploymentFailedError] when it ended otherwise, or the
// context's error; the deployment goes on when waiting ends early.
func (c *Client) WaitDeployment(ctx context.Context, id string, o WaitOptions) (api.Deployment, error) {
	var last *api.DeploymentStatus
	err := c.poll(ctx, o, func() (bool, error) {
		status, err := c.GetDeploymentStatus(ctx, id)
		if err != nil {
			return false, err
		}
		if o.OnProgress != nil && (last == nil || progressed(*last, status)) {
			o.OnProgress(status)
		}
		last = &status
		return status.Status != api.DeploymentInProgress, nil
	})
	if err != nil {
		return api.Deployment{}, fmt.Errorf("wait for deployment %s: %w", id, err)
	}
	deployment, err := c.GetDeployment(ctx, id)
	if err != nil {
		return api.Deployment{}, fmt.Errorf("read ended deployment: %w", err)
	}
	if deployment.DeploymentStatus != api.DeploymentCompleted {
		return deployment, &DeploymentFailedError{Deployment: deployment}
	}
	return deployment, nil
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
