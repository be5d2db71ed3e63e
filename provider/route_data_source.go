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
	attributes := computedAttributes(routeAttributes())
	attributes["id"] = schema.StringAttribute{
		Optional: true, Computed: true, Validators: []validator.String{isUUID},
		MarkdownDescription: "Identifier of the route, a UUID. Give this, or `environment` and `name`.",
	}
	attributes["environment"] = schema.StringAttribute{
		Optional: true, Computed: true, Validators: []validator.String{isName},
		MarkdownDescription: "Environment that it belongs to.",
	}
	attributes["name"] = schema.StringAttribute{
		Optional: true, Computed: true, Validators: []validator.String{isName},
		MarkdownDescription: "Name of the route in its environment.",
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads one route, by identifier or by environment and name.",
		Attributes:          attributes,
	}
}

func (d *routeDataSource) ConfigValidators(context.Context) []datasource.ConfigValidator {
	return []datasource.ConfigValidator{
		datasourcevalidator.ExactlyOneOf(path.MatchRoot("id"), path.MatchRoot("name")),
		datasourcevalidator.RequiredTogether(path.MatchRoot("environment"), path.MatchRoot("name")),
	}
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
