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
	written, err := r.written(ctx, deployment)
	if err != nil {
		addClientError(&resp.Diagnostics, "Import deployment", err)
		return
	}
	rollout, diags := rolloutConfigObject(ctx, rolloutConfigFromAPI(written.RolloutConfig))
	resp.Diagnostics.Append(diags...)
	for name, value := range map[string]any{
		"definition_id":       deployment.DefinitionID,
		"environment":         deployment.Environment,
		"deployment_strategy": written.DeploymentStrategy,
		"rollout_config":      rollout,
		"deployment_notes":    nullIfEmpty(written.DeploymentNotes),
		"wait_for_rollout":    types.BoolValue(true),
		"abort_on_interrupt":  types.BoolValue(false),
	} {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
	}
}

// written is the newest deployment that stands for what a user wrote, for its
// settings: those of a rollback or of a scaling are the daemon's own.
func (r *deploymentResource) written(ctx context.Context, current api.Deployment) (api.Deployment, error) {
	for d, err := range r.client.AllDeployments(ctx, api.ListDeploymentsOptions{DefinitionID: current.DefinitionID, Environment: current.Environment}) {
		if err != nil {
			return api.Deployment{}, err
		}
		stands := d.DeploymentStatus == api.DeploymentCompleted || d.DeploymentStatus == api.DeploymentInProgress
		if stands && d.DeploymentType == api.TypeDeploy && !d.IsRemoval {
			return d, nil
		}
	}
	return current, nil
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
