package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var _ datasource.DataSourceWithConfigure = (*networksDataSource)(nil)

// NewNetworksDataSource makes the data source wedsync_networks.
func NewNetworksDataSource() datasource.DataSource { return &networksDataSource{} }

type networksDataSource struct{ configuredDataSource }

type networksModel struct {
	Environment types.String   `tfsdk:"environment"`
	NetworkName types.String   `tfsdk:"network_name"`
	Networks    []networkModel `tfsdk:"networks"`
}

func (d *networksDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_networks"
}

func (d *networksDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists networks, by name.",
		Attributes: map[string]schema.Attribute{
			"environment":  filter("Only networks of this environment.", isName),
			"network_name": filter("Only networks of this name.", isName),
			"networks":     computedList("Networks that match.", computedAttributes(networkAttributes())),
		},
	}
}

func (d *networksDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model networksModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	all, err := collect(d.client.AllNetworks(ctx, api.ListNetworksOptions{
		Page: pageOfDataSource, Environment: model.Environment.ValueString(), Name: model.NetworkName.ValueString(),
	}), networkFromAPI)
	if err != nil {
		addClientError(&resp.Diagnostics, "List networks", err)
		return
	}
	model.Networks = all
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}
