package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var (
	_ datasource.DataSourceWithConfigure        = (*routeDataSource)(nil)
	_ datasource.DataSourceWithConfigValidators = (*routeDataSource)(nil)
)

// NewRouteDataSource makes the data source wedsync_route.
func NewRouteDataSource() datasource.DataSource { return &routeDataSource{} }

type routeDataSource struct{ configuredDataSource }

func (d *routeDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_route"
}

func (d *routeDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = scopedDataSource("route", "name", computedAttributes(routeAttributes()))
}

func (d *routeDataSource) ConfigValidators(context.Context) []datasource.ConfigValidator {
	return scopedConfigValidators("name")
}

func (d *routeDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var config routeModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	route, err := d.read(ctx, config)
	if err != nil {
		addClientError(&resp.Diagnostics, "Read route", err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, routeFromAPI(route))...)
}

func (d *routeDataSource) read(ctx context.Context, config routeModel) (api.Route, error) {
	if !config.ID.IsNull() {
		return d.client.GetRoute(ctx, config.ID.ValueString())
	}
	return findRouteByName(ctx, d.client, config.Environment.ValueString(), config.Name.ValueString())
}
