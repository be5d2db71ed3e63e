package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"

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
	resp.Schema = scopedDataSource("network", "network_name", computedAttributes(networkAttributes()))
}

func (d *networkDataSource) ConfigValidators(context.Context) []datasource.ConfigValidator {
	return scopedConfigValidators("network_name")
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
