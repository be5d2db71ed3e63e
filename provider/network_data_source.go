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
	_ datasource.DataSourceWithConfigure        = (*networkDataSource)(nil)
	_ datasource.DataSourceWithConfigValidators = (*networkDataSource)(nil)
)

// NewNetworkDataSource makes the data source wedsync_network.
func NewNetworkDataSource() datasource.DataSource { return &networkDataSource{} }

type networkDataSource struct{ configuredDataSource }

func (d *networkDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_network"
}

func (d *networkDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := computedAttributes(networkAttributes())
	attributes["id"] = schema.StringAttribute{
		Optional: true, Computed: true, Validators: []validator.String{isUUID},
		MarkdownDescription: "Identifier of the network, a UUID. Give this, or `environment` and `network_name`.",
	}
	attributes["environment"] = schema.StringAttribute{
		Optional: true, Computed: true, Validators: []validator.String{isName},
		MarkdownDescription: "Environment that it belongs to.",
	}
	attributes["network_name"] = schema.StringAttribute{
		Optional: true, Computed: true, Validators: []validator.String{isName},
		MarkdownDescription: "Name of the network in its environment.",
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads one network, by identifier or by environment and name.",
		Attributes:          attributes,
	}
}

func (d *networkDataSource) ConfigValidators(context.Context) []datasource.ConfigValidator {
	return []datasource.ConfigValidator{
		datasourcevalidator.ExactlyOneOf(path.MatchRoot("id"), path.MatchRoot("network_name")),
		datasourcevalidator.RequiredTogether(path.MatchRoot("environment"), path.MatchRoot("network_name")),
	}
}

func (d *networkDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var config networkModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	network, err := d.read(ctx, config)
	if err != nil {
		addClientError(&resp.Diagnostics, "Read network", err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, networkFromAPI(network))...)
}

func (d *networkDataSource) read(ctx context.Context, config networkModel) (api.Network, error) {
	if !config.ID.IsNull() {
		return d.client.GetNetwork(ctx, config.ID.ValueString())
	}
	return findNetworkByName(ctx, d.client, config.Environment.ValueString(), config.NetworkName.ValueString())
}
