package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var _ datasource.DataSourceWithConfigure = (*routesDataSource)(nil)

// NewRoutesDataSource makes the data source wedsync_routes.
func NewRoutesDataSource() datasource.DataSource { return &routesDataSource{} }

type routesDataSource struct{ configuredDataSource }

type routesModel struct {
	Environment types.String `tfsdk:"environment"`
	ServiceName types.String `tfsdk:"service_name"`
	Name        types.String `tfsdk:"name"`
	Routes      []routeModel `tfsdk:"routes"`
}

func (d *routesDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_routes"
}

func (d *routesDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists routes, by name.",
		Attributes: map[string]schema.Attribute{
			"environment":  filter("Only routes of this environment.", isName),
			"service_name": filter("Only routes to this service.", isName),
			"name":         filter("Only routes of this name.", isName),
			"routes":       computedList("Routes that match.", computedAttributes(routeAttributes())),
		},
	}
}

func (d *routesDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model routesModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	all, err := collect(d.client.AllRoutes(ctx, api.ListRoutesOptions{
		Page: pageOfDataSource, Environment: model.Environment.ValueString(), ServiceName: model.ServiceName.ValueString(), Name: model.Name.ValueString(),
	}), routeFromAPI)
	if err != nil {
		addClientError(&resp.Diagnostics, "List routes", err)
		return
	}
	model.Routes = all
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}
