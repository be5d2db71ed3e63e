package provider

import (
	"context"
	"fmt"
	"time"

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
	if err != nil {
		return workload{}, err
	}
	scaling, err := scales(ctx, c, pending)
	if err == nil && scaling && live != nil {
		pending = nil
	}
	return workload{live: live, pending: pending}, err
}

// scales reports whether a deployment in progress is a scaling, or takes one back.
// What runs is then what the live deployment says, but for their number: nobody
// waits for that, and the autoscaler may do it at any time.
func scales(ctx context.Context, c *client.Client, pending *api.Deployment) (bool, error) {
	switch {
	case pending == nil || pending.IsRemoval:
		return false, nil
	case pending.DeploymentType == api.TypeScale:
		return true, nil
	case pending.DeploymentType != api.TypeRollback || pending.RollbackOfID == "":
		return false, nil
	}
	undone, err := c.GetDeployment(ctx, pending.RollbackOfID)
	return undone.DeploymentType == api.TypeScale, err
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

// firstRollout starts the first rollout of a workload, or joins it when it goes on
// already, and returns the deployment to follow. It does not take over what
// somebody else deployed.
func (r *deploymentResource) firstRollout(ctx context.Context, m deploymentResourceModel, request api.DeployRequest) (string, error) {
	observed, err := observeWorkload(ctx, r.client, m.DefinitionID.ValueString(), m.Environment.ValueString())
	if err != nil {
		return "", err
	}
	if observed.live == nil {
		if joins, err := r.makes(ctx, observed.pending, request); err != nil || joins {
			return idOf(observed.pending), err
		}
	}
	if current := observed.current(); current != nil {
		return "", fmt.Errorf("%s runs in %s already (deployment %s); to manage it here, import it as \"%s/%s\"",
			current.DefinitionName, current.Environment, current.ID, current.DefinitionName, current.Environment)
	}
	return r.deploy(ctx, m.DefinitionID.ValueString(), request)
}

// nextRollout starts a rollout in the place of what runs, or joins one that goes
// on and makes the same, and returns the deployment to follow.
func (r *deploymentResource) nextRollout(ctx context.Context, m deploymentResourceModel, request api.DeployRequest) (string, error) {
	pending, err := firstDeployment(ctx, r.client, api.ListDeploymentsOptions{
		DefinitionID: m.DefinitionID.ValueString(), Environment: request.Environment, Status: api.DeploymentInProgress,
	})
	if err != nil {
		return "", err
	}
	if joins, err := r.makes(ctx, pending, request); err != nil || joins {
		return idOf(pending), err
	}
	return r.deploy(ctx, m.DefinitionID.ValueString(), request)
}

func idOf(d *api.Deployment) string {
	if d == nil {
		return ""
	}
	return d.ID
}

// makes reports whether a rollout that goes on makes what is asked for, in the
// way that is asked for. How many replicas it has, where a policy owns their
// number, is none of Terraform's business.
func (r *deploymentResource) makes(ctx context.Context, pending *api.Deployment, request api.DeployRequest) (bool, error) {
	if pending == nil || pending.IsRemoval || pending.DeploymentType == api.TypeRollback ||
		pending.DefinitionRevision != *request.DefinitionRevision || pending.DeploymentStrategy != request.DeploymentStrategy {
		return false, nil
	}
	if request.ReplicaCount != nil {
		return pending.InstancesAfter == *request.ReplicaCount, nil
	}
	owner, err := r.replicasOwner(ctx, truceKey{pending.DefinitionID, pending.Environment})
	if err != nil || owner != "" {
		return owner != "", err
	}
	definition, err := r.client.GetDefinition(ctx, pending.DefinitionID)
	return err == nil && pending.InstancesAfter == definition.ScalingConfig.MinReplicas, err
}

// deploy starts a rollout. An interrupt does not cut it off at once: without the
// answer nobody would know of the rollout that has begun.
func (r *deploymentResource) deploy(ctx context.Context, definitionID string, request api.DeployRequest) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	ctx, cancel := outlasting(ctx, aftermath)
	defer cancel()
	accepted, err := r.client.Deploy(ctx, definitionID, request)
	return accepted.DeploymentID, err
}

// outlasting is a context that ends a while after its parent.
func outlasting(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(while, cancel)
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() {
		stop()
		cancel()
	}
}

// follow waits for the model's deployment, if the model wants that, and observes it.
func (r *deploymentResource) follow(ctx context.Context, m *deploymentResourceModel) error {
	id := m.DeploymentID.ValueString()
	if m.WaitForRollout.ValueBool() {
		deployment, err := r.client.WaitDeployment(ctx, id, logProgress(ctx, m.Replicas.ValueInt64()))
		if err != nil && !endedWithout(err) && interrupted(ctx) && m.AbortOnInterrupt.ValueBool() {
			deployment, err = r.abort(ctx, id)
		}
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

// logProgress shows the steps of a rollout, and of the rollback that it may end
// in, in Terraform's log. wanted is the number of replicas, 0 when it is unknown.
func logProgress(ctx context.Context, wanted int64) client.WaitOptions {
	var first string
	return client.WaitOptions{OnProgress: func(s api.DeploymentStatus) {
		if first == "" {
			first = s.ID
		}
		fields := map[string]any{
			"deployment_id":     s.ID,
			"phase":             "rollout",
			"status":            s.Status,
			"completed_steps":   s.Progress.CompletedSteps,
			"total_steps":       s.Progress.TotalSteps,
			"current_step":      s.Progress.CurrentStep,
			"healthy_instances": healthyOf(s.Instances),
		}
		if wanted > 0 {
			fields["wanted_instances"] = wanted
		}
		if s.ID != first {
			fields["phase"], fields["rollback_of_id"] = "rollback", first
			delete(fields, "wanted_instances")
		}
		tflog.Info(ctx, "deployment progresses", fields)
	}}
}

func healthyOf(instances []api.InstanceProgress) (n int) {
	for _, i := range instances {
		if i.HealthStatus == api.HealthHealthy {
			n++
		}
	}
	return n
}
