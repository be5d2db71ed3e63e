package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var (
	_ resource.ResourceWithConfigure      = (*scalingPolicyResource)(nil)
	_ resource.ResourceWithIdentity       = (*scalingPolicyResource)(nil)
	_ resource.ResourceWithImportState    = (*scalingPolicyResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*scalingPolicyResource)(nil)
	_ resource.ResourceWithValidateConfig = (*scalingPolicyResource)(nil)
)

// NewScalingPolicyResource makes the resource wedsync_scaling_policy.
func NewScalingPolicyResource() resource.Resource { return &scalingPolicyResource{} }

type scalingPolicyResource struct{ configuredResource }

type scalingPolicyIdentityModel struct {
	DefinitionID types.String `tfsdk:"definition_id"`
	Environment  types.String `tfsdk:"environment"`
	PolicyName   types.String `tfsdk:"policy_name"`
}

func (m scalingPolicyModel) identity() scalingPolicyIdentityModel {
	return scalingPolicyIdentityModel{DefinitionID: m.DefinitionID, Environment: m.Environment, PolicyName: m.PolicyName}
}

func (r *scalingPolicyResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_scaling_policy"
}

func (r *scalingPolicyResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"definition_id": identityschema.StringAttribute{RequiredForImport: true, Description: "Identifier of the definition that it scales, a UUID."},
		"environment":   identityschema.StringAttribute{RequiredForImport: true, Description: "Environment that it scales it in."},
		"policy_name":   identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the policy."},
	}}
}

// ModifyPlan finds the times that the configuration leaves out, which depend on the
// type, and keeps the truce.
func (r *scalingPolicyResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var plan, config scalingPolicyResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	planTimes(&plan, config)
	if !req.State.Raw.IsNull() {
		var state scalingPolicyResourceModel
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
		if resp.Diagnostics.HasError() {
			return
		}
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan.keptFrom(state))...)
		plan.UpdatedAt, plan.DefinitionName = state.UpdatedAt, state.DefinitionName
		if !resp.Plan.Raw.Equal(req.State.Raw) {
			plan.UpdatedAt, plan.DefinitionName = types.StringUnknown(), types.StringUnknown()
		}
	}
	r.refusePolicy(plan, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// planTimes completes the times of a plan that the configuration leaves out.
func planTimes(plan *scalingPolicyResourceModel, config scalingPolicyResourceModel) {
	defaults, all := config.defaults()
	for _, t := range []struct {
		given, planned *types.Int64
		value          int
	}{
		{&config.ScaleUpCooldown, &plan.ScaleUpCooldown, defaults.ScaleUpCooldown},
		{&config.ScaleDownCooldown, &plan.ScaleDownCooldown, defaults.ScaleDownCooldown},
		{&config.StabilizationWindow, &plan.StabilizationWindow, defaults.StabilizationWindow},
	} {
		switch {
		case !t.given.IsNull():
		case all:
			*t.planned = int64Value(t.value)
		default:
			*t.planned = types.Int64Unknown()
		}
	}
}

// keptFrom is the plan, but with what is not the policy's as the state has it.
func (m scalingPolicyResourceModel) keptFrom(state scalingPolicyResourceModel) scalingPolicyResourceModel {
	m.UpdatedAt, m.DefinitionName, m.CooldownPeriod = state.UpdatedAt, state.DefinitionName, state.CooldownPeriod
	return m
}

func (r *scalingPolicyResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan scalingPolicyResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	policy, err := r.client.CreateScalingPolicy(ctx, createScalingPolicyRequest(plan.scalingPolicyModel))
	if err != nil {
		addClientError(&resp.Diagnostics, "Create scaling policy", err)
		return
	}
	plan.scalingPolicyModel = scalingPolicyFromAPI(policy)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, plan.identity())...)
}

func (r *scalingPolicyResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state scalingPolicyResourceModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	// Set first: the framework wants it of a resource that is gone, too.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, state.identity())...)
	policy, err := r.client.GetScalingPolicy(ctx, state.ID.ValueString())
	switch {
	case client.IsNotFound(err):
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		addClientError(&resp.Diagnostics, "Read scaling policy", err)
		return
	}
	state.scalingPolicyModel = scalingPolicyFromAPI(policy)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

func (r *scalingPolicyResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan scalingPolicyResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	policy, err := r.client.UpdateScalingPolicy(ctx, plan.ID.ValueString(), updateScalingPolicyRequest(plan.scalingPolicyModel))
	if err != nil {
		addClientError(&resp.Diagnostics, "Update scaling policy", err)
		return
	}
	plan.scalingPolicyModel = scalingPolicyFromAPI(policy)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, plan.identity())...)
}

func (r *scalingPolicyResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var id types.String
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("id"), &id)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := r.client.DeleteScalingPolicy(ctx, id.ValueString()); err != nil && !client.IsNotFound(err) {
		addClientError(&resp.Diagnostics, "Delete scaling policy", err)
	}
}

// ImportState takes the identifier, or "DEFINITION/ENVIRONMENT/NAME", the definition
// by identifier or name.
func (r *scalingPolicyResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	wanted := req.ID
	if wanted == "" {
		var identity scalingPolicyIdentityModel
		resp.Diagnostics.Append(req.Identity.Get(ctx, &identity)...)
		wanted = strings.Join([]string{identity.DefinitionID.ValueString(), identity.Environment.ValueString(), identity.PolicyName.ValueString()}, "/")
	}
	if resp.Diagnostics.HasError() {
		return
	}
	policy, err := findScalingPolicy(ctx, r.client, wanted)
	if err != nil {
		addClientError(&resp.Diagnostics, "Import scaling policy", err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, scalingPolicyResourceModel{scalingPolicyModel: scalingPolicyFromAPI(policy)})...)
}

// findScalingPolicy finds a policy by its identifier or as "definition/environment/name".
func findScalingPolicy(ctx context.Context, c *client.Client, wanted string) (api.ScalingPolicy, error) {
	if uuidPattern.MatchString(wanted) {
		return c.GetScalingPolicy(ctx, wanted)
	}
	parts := strings.Split(wanted, "/")
	if len(parts) != 3 {
		return api.ScalingPolicy{}, fmt.Errorf("%q names no scaling policy; write its identifier, or the definition, the environment and the name as wedding-api/staging/load", wanted)
	}
	definition, err := findDefinition(ctx, c, parts[0])
	if err != nil {
		return api.ScalingPolicy{}, err
	}
	return findScalingPolicyByName(ctx, c, definition.ID, parts[1], parts[2])
}

func findScalingPolicyByName(ctx context.Context, c *client.Client, definitionID, environment, name string) (api.ScalingPolicy, error) {
	page, err := c.ListScalingPolicies(ctx, api.ListScalingPoliciesOptions{DefinitionID: definitionID, Environment: environment, PolicyName: name})
	switch {
	case err != nil:
		return api.ScalingPolicy{}, err
	case len(page.Policies) == 0:
		return api.ScalingPolicy{}, fmt.Errorf("definition %s has no scaling policy %q in the environment %q that the token may see", definitionID, name, environment)
	default:
		return page.Policies[0], nil
	}
}
