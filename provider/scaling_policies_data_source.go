package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var _ datasource.DataSourceWithConfigure = (*scalingPoliciesDataSource)(nil)

// NewScalingPoliciesDataSource makes the data source wedsync_scaling_policies.
func NewScalingPoliciesDataSource() datasource.DataSource { return &scalingPoliciesDataSource{} }

type scalingPoliciesDataSource struct{ configuredDataSource }

type scalingPoliciesModel struct {
	DefinitionID types.String         `tfsdk:"definition_id"`
	Environment  types.String         `tfsdk:"environment"`
	PolicyName   types.String         `tfsdk:"policy_name"`
	ScalingType  types.String         `tfsdk:"scaling_type"`
	Policies     []scalingPolicyModel `tfsdk:"policies"`
}

func (d *scalingPoliciesDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_scaling_policies"
}

func (d *scalingPoliciesDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists scaling policies, by name.",
		Attributes: map[string]schema.Attribute{
			"definition_id": filter("Only policies of this definition.", isUUID),
			"environment":   filter("Only policies of this environment.", isName),
			"policy_name":   filter("Only policies of this name.", isPolicyName),
			"scaling_type":  filter("Only policies of this type.", stringvalidator.OneOf(api.ScalingHorizontal, api.ScalingVertical, api.ScalingScheduled)),
			"policies":      computedList("Policies that match.", computedAttributes(scalingPolicyAttributes())),
		},
	}
}

func (d *scalingPoliciesDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model scalingPoliciesModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	all, err := collect(d.client.AllScalingPolicies(ctx, api.ListScalingPoliciesOptions{
		Page: pageOfDataSource, DefinitionID: model.DefinitionID.ValueString(), Environment: model.Environment.ValueString(),
		PolicyName: model.PolicyName.ValueString(), ScalingType: model.ScalingType.ValueString(),
	}), scalingPolicyFromAPI)
	if err != nil {
		addClientError(&resp.Diagnostics, "List scaling policies", err)
		return
	}
	model.Policies = all
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}
