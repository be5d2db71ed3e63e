package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client"
)

var (
	_ resource.ResourceWithConfigure   = (*deploymentResource)(nil)
	_ resource.ResourceWithIdentity    = (*deploymentResource)(nil)
	_ resource.ResourceWithImportState = (*deploymentResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*deploymentResource)(nil)
)

// NewDeploymentResource makes the resource wedsync_deployment.
func NewDeploymentResource() resource.Resource { return &deploymentResource{} }

type deploymentResource struct{ configuredResource }

func (r *deploymentResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_deployment"
}

func (r *deploymentResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan deploymentResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	limit, diags := plan.Timeouts.Create(ctx, defaultRolloutTimeout)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(rememberReplicas(ctx, req.Config, resp.Private)...)
	request, diags := plan.deployRequest(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	id, err := r.firstRollout(ctx, plan, request)
	if err != nil {
		addClientError(&resp.Diagnostics, "Deploy", err)
		return
	}
	// From here on something may run, whatever happens to this process.
	plan.accepted(id)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, plan.identity())...)

	if err := r.follow(ctx, &plan); err != nil {
		outcome := r.outcome(ctx, plan, err)
		if outcome.ended {
			resp.Diagnostics.AddError(outcome.summary, outcome.detail)
			resp.State.RemoveResource(ctx) // nothing runs of it
			return
		}
		// An error would taint the resource: the next apply would remove what is
		// being rolled out, rather than wait for it.
		resp.Diagnostics.AddWarning(outcome.summary, outcome.detail)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

func (r *deploymentResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state deploymentResourceModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	// Set first: the framework wants it of a resource that is gone, too.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, state.identity())...)
	observed, err := observeWorkload(ctx, r.client, state.DefinitionID.ValueString(), state.Environment.ValueString())
	if err != nil {
		addClientError(&resp.Diagnostics, "Read deployment", err)
		return
	}
	r.warnOfEnd(ctx, state, observed, &resp.Diagnostics)
	current := observed.current()
	if current == nil {
		resp.State.RemoveResource(ctx)
		return
	}
	state.show(observed)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Update rolls out when the revision or the number of replicas changes, and takes
// up waiting for a rollout that an earlier apply left. When that does not end
// well, the state keeps its settings and shows what the environment then runs, so
// that the next plan shows the same change.
func (r *deploymentResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state deploymentResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	limit, diags := plan.Timeouts.Update(ctx, defaultRolloutTimeout)
	resp.Diagnostics.Append(diags...)
	request, diags := plan.deployRequest(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	switch {
	case rollsOut(plan, state):
		id, err := r.nextRollout(ctx, plan, request)
		if err != nil {
			addClientError(&resp.Diagnostics, "Deploy", err)
			return
		}
		plan.accepted(id)
	case resumes(plan, state):
		plan.accepted(state.DeploymentID.ValueString())
	}
	if plan.inProgress() {
		if err := r.follow(ctx, &plan); err != nil {
			outcome := r.outcome(ctx, plan, err)
			resp.Diagnostics.AddError(outcome.summary, outcome.detail)
			state.show(outcome.observed)
			resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
			return
		}
	}
	resp.Diagnostics.Append(rememberReplicas(ctx, req.Config, resp.Private)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, plan.identity())...)
}

// rollsOut reports whether the plan wants something else to run.
func rollsOut(plan, state deploymentResourceModel) bool {
	return !plan.DefinitionRevision.Equal(state.DefinitionRevision) || !plan.Replicas.Equal(state.Replicas)
}

// resumes reports whether the plan wants to see the end of a rollout that goes on.
func resumes(plan, state deploymentResourceModel) bool {
	return state.inProgress() && plan.WaitForRollout.ValueBool()
}

func (r *deploymentResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state deploymentResourceModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	limit, diags := state.Timeouts.Delete(ctx, defaultRolloutTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	accepted, err := r.client.RemoveDeployment(ctx, state.DefinitionID.ValueString(), state.Environment.ValueString())
	if client.IsNotFound(err) {
		return
	}
	if err != nil {
		addClientError(&resp.Diagnostics, "Remove deployment", err)
		return
	}
	if _, err := r.client.WaitDeployment(ctx, accepted.DeploymentID, logProgress(ctx, 0)); err != nil {
		state.DeploymentID = types.StringValue(accepted.DeploymentID)
		outcome := r.outcome(ctx, state, err)
		resp.Diagnostics.AddError(outcome.summary, outcome.detail)
	}
}
