package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
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
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	if err := r.refuseDeployed(ctx, plan); err != nil {
		addClientError(&resp.Diagnostics, "Deploy", err)
		return
	}
	accepted, err := r.client.Deploy(ctx, plan.DefinitionID.ValueString(), plan.deployRequest())
	if err != nil {
		addClientError(&resp.Diagnostics, "Deploy", err)
		return
	}
	// From here on something may run, whatever happens to this process.
	plan.accepted(accepted.DeploymentID)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, plan.identity())...)

	if err := r.follow(ctx, &plan); err != nil {
		addRolloutError(&resp.Diagnostics, err, nil)
		if endedWithout(err) {
			resp.State.RemoveResource(ctx) // nothing runs of it
		}
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
	current := observed.current()
	if current == nil {
		resp.State.RemoveResource(ctx)
		return
	}
	state.observe(*current)
	state.runs(observed.live)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Update rolls out when the revision or the number of replicas changes, and takes
// up waiting for a rollout that an earlier apply left. When that fails, the state
// stays as it was, so that the next plan shows the same change.
func (r *deploymentResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state deploymentResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	limit, diags := plan.Timeouts.Update(ctx, defaultRolloutTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	switch {
	case rollsOut(plan, state):
		accepted, err := r.client.Deploy(ctx, plan.DefinitionID.ValueString(), plan.deployRequest())
		if err != nil {
			addClientError(&resp.Diagnostics, "Deploy", err)
			return
		}
		plan.accepted(accepted.DeploymentID)
	case resumes(plan, state):
		plan.accepted(state.DeploymentID.ValueString())
	}
	if plan.inProgress() {
		if err := r.follow(ctx, &plan); err != nil {
			addRolloutError(&resp.Diagnostics, err, &state)
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
	if _, err := r.client.WaitDeployment(ctx, accepted.DeploymentID, logProgress(ctx)); err != nil {
		addRolloutError(&resp.Diagnostics, err, &state)
	}
}

// ImportState takes "DEFINITION/ENVIRONMENT", the definition by identifier or name.
func (r *deploymentResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	wanted := req.ID
	if wanted == "" {
		var identity deploymentIdentityModel
		resp.Diagnostics.Append(req.Identity.Get(ctx, &identity)...)
		wanted = identity.DefinitionID.ValueString() + "/" + identity.Environment.ValueString()
	}
	if resp.Diagnostics.HasError() {
		return
	}
	deployment, err := findDeployment(ctx, r.client, wanted)
	if err != nil {
		addClientError(&resp.Diagnostics, "Import deployment", err)
		return
	}
	for name, value := range map[string]any{
		"definition_id":       deployment.DefinitionID,
		"environment":         deployment.Environment,
		"deployment_strategy": deployment.DeploymentStrategy,
		"deployment_notes":    nullIfEmpty(deployment.DeploymentNotes),
		"wait_for_rollout":    types.BoolValue(true),
	} {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
	}
}

func findDeployment(ctx context.Context, c *client.Client, wanted string) (api.Deployment, error) {
	definitionName, environment, ok := strings.Cut(wanted, "/")
	if !ok || definitionName == "" || environment == "" {
		return api.Deployment{}, fmt.Errorf("%q names no deployment; write the definition's name or identifier and the environment, as wedding-api/staging", wanted)
	}
	definition, err := findDefinition(ctx, c, definitionName)
	if err != nil {
		return api.Deployment{}, err
	}
	observed, err := observeWorkload(ctx, c, definition.ID, environment)
	if err != nil {
		return api.Deployment{}, err
	}
	if current := observed.current(); current != nil {
		return *current, nil
	}
	return api.Deployment{}, fmt.Errorf("%s is not deployed in the environment %q", definition.Name, environment)
}
