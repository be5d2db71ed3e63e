package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

const (
	defaultRolloutTimeout     = 15 * time.Minute
	defaultRolloutTimeoutText = "15m"
)

// workload is what the daemon says of a definition in an environment.
type workload struct {
	live    *api.Deployment // what runs; nil for nothing
	pending *api.Deployment // a rollout or removal that goes on; nil for none
}

// current is the deployment that stands for the workload: a rollout that goes on
// (what is being made true), or else what runs. Nil when there is neither.
func (w workload) current() *api.Deployment {
	if w.pending != nil && !w.pending.IsRemoval {
		return w.pending
	}
	return w.live
}

func observeWorkload(ctx context.Context, c *client.Client, definitionID, environment string) (workload, error) {
	// The order matters: a rollout that ends in between is seen as live.
	pending, err := firstDeployment(ctx, c, api.ListDeploymentsOptions{
		DefinitionID: definitionID, Environment: environment, Status: api.DeploymentInProgress,
	})
	if err != nil {
		return workload{}, err
	}
	live, err := firstDeployment(ctx, c, api.ListDeploymentsOptions{
		DefinitionID: definitionID, Environment: environment, Live: true,
	})
	return workload{live: live, pending: pending}, err
}

// firstDeployment is the newest that the options select, or nil.
func firstDeployment(ctx context.Context, c *client.Client, o api.ListDeploymentsOptions) (*api.Deployment, error) {
	o.Limit = 1
	page, err := c.ListDeployments(ctx, o)
	if err != nil || len(page.Deployments) == 0 {
		return nil, err
	}
	return &page.Deployments[0], nil
}

// refuseDeployed keeps Create from taking over what somebody else deployed.
func (r *deploymentResource) refuseDeployed(ctx context.Context, m deploymentResourceModel) error {
	live, err := firstDeployment(ctx, r.client, api.ListDeploymentsOptions{
		DefinitionID: m.DefinitionID.ValueString(), Environment: m.Environment.ValueString(), Live: true,
	})
	if err != nil || live == nil {
		return err
	}
	return fmt.Errorf("%s runs in %s already (deployment %s); to manage it here, import it as \"%s/%s\"",
		live.DefinitionName, live.Environment, live.ID, live.DefinitionName, live.Environment)
}

// follow waits for the model's deployment, if the model wants that, and observes it.
func (r *deploymentResource) follow(ctx context.Context, m *deploymentResourceModel) error {
	id := m.DeploymentID.ValueString()
	if m.WaitForRollout.ValueBool() {
		deployment, err := r.client.WaitDeployment(ctx, id, logProgress(ctx))
		if err != nil {
			return err
		}
		m.observe(deployment)
		m.runs(&deployment)
		return nil
	}
	deployment, err := r.client.GetDeployment(ctx, id)
	if err != nil {
		return err
	}
	observed, err := observeWorkload(ctx, r.client, deployment.DefinitionID, deployment.Environment)
	if err != nil {
		return err
	}
	m.observe(deployment)
	m.runs(observed.live)
	return nil
}

// logProgress shows a rollout's steps in Terraform's log.
func logProgress(ctx context.Context) client.WaitOptions {
	return client.WaitOptions{OnProgress: func(s api.DeploymentStatus) {
		tflog.Info(ctx, "deployment progresses", map[string]any{
			"deployment_id":   s.ID,
			"status":          s.Status,
			"completed_steps": s.Progress.CompletedSteps,
			"total_steps":     s.Progress.TotalSteps,
			"current_step":    s.Progress.CurrentStep,
		})
	}}
}

// endedWithout reports whether the rollout ended without success, rather than
// that waiting for it did.
func endedWithout(err error) bool {
	var failed *client.DeploymentFailedError
	return errors.As(err, &failed)
}

// addRolloutError reports a rollout that failed or was not waited for any
// longer. before is what the environment ran, nil if nothing.
func addRolloutError(diags *diag.Diagnostics, err error, before *deploymentResourceModel) {
	switch {
	case endedWithout(err):
		diags.AddError("Deployment failed", err.Error()+"\n\n"+remains(before))
	case errors.Is(err, context.DeadlineExceeded):
		diags.AddError("Deployment still in progress", err.Error()+
			"\n\nIt goes on in the daemon. Raise the timeouts of the resource if it needs longer; the next plan takes up waiting for it.")
	default:
		addClientError(diags, "Wait for deployment", err)
	}
}

func remains(before *deploymentResourceModel) string {
	if before == nil || before.LiveRevision.IsNull() {
		return "Nothing of the definition runs in the environment."
	}
	return fmt.Sprintf("The environment %s keeps running revision %d of %s.",
		before.Environment.ValueString(), before.LiveRevision.ValueInt64(), before.DefinitionName.ValueString())
}
