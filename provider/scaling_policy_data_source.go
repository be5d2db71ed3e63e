package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/datasourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var (
	_ datasource.DataSourceWithConfigure        = (*scalingPolicyDataSource)(nil)
	_ datasource.DataSourceWithConfigValidators = (*scalingPolicyDataSource)(nil)
)

// NewScalingPolicyDataSource makes the data source wedsync_scaling_policy.
func NewScalingPolicyDataSource() datasource.DataSource { return &scalingPolicyDataSource{} }

type scalingPolicyDataSource struct{ configuredDataSource }

func (d *scalingPolicyDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_scaling_policy"
}

func (d *scalingPolicyDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	key := func(description string, check validator.String) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Computed: true, MarkdownDescription: description, Validators: []validator.String{check}}
	}
	attributes := computedAttributes(scalingPolicyAttributes())
	attributes["id"] = key("Identifier of the policy, a UUID. Give this, or `definition_id`, `environment` and `policy_name`.", isUUID)
	attributes["definition_id"] = key("Identifier of the definition that it scales.", isUUID)
	attributes["environment"] = key("Environment that it scales it in.", isName)
	attributes["policy_name"] = key("Name of the policy.", isPolicyName)
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads one scaling policy, by identifier or by definition, environment and name.",
		Attributes:          attributes,
	}
}

func (d *scalingPolicyDataSource) ConfigValidators(context.Context) []datasource.ConfigValidator {
	return []datasource.ConfigValidator{
		datasourcevalidator.ExactlyOneOf(path.MatchRoot("id"), path.MatchRoot("policy_name")),
		datasourcevalidator.RequiredTogether(path.MatchRoot("definition_id"), path.MatchRoot("environment"), path.MatchRoot("policy_name")),
	}
}

func (d *scalingPolicyDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var config scalingPolicyModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	policy, err := d.read(ctx, config)
	if err != nil {
		addClientError(&resp.Diagnostics, "Read scaling policy", err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, scalingPolicyFromAPI(policy))...)
}

func (d *scalingPolicyDataSource) read(ctx context.Context, config scalingPolicyModel) (api.ScalingPolicy, error) {
	if !config.ID.IsNull() {
		return d.client.GetScalingPolicy(ctx, config.ID.ValueString())
	}
	return findScalingPolicyByName(ctx, d.client, config.DefinitionID.ValueString(), config.Environment.ValueString(), config.PolicyName.ValueString())
}
