package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var _ datasource.DataSourceWithConfigure = (*servicesDataSource)(nil)

// NewServicesDataSource makes the data source wedsync_services.
func NewServicesDataSource() datasource.DataSource { return &servicesDataSource{} }

type servicesDataSource struct{ configuredDataSource }

type servicesModel struct {
	Environment types.String   `tfsdk:"environment"`
	ServiceName types.String   `tfsdk:"service_name"`
	Services    []serviceModel `tfsdk:"services"`
}

func (d *servicesDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_services"
}

func (d *servicesDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists services that have endpoints, by name and environment.",
		Attributes: map[string]schema.Attribute{
			"environment":  filter("Only services of this environment.", isName),
			"service_name": filter("Only the service of this name.", isName),
			"services":     computedList("Services that match.", serviceAttributes()),
		},
	}
}

func (d *servicesDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model servicesModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	list, err := d.client.ListServices(ctx, api.ListServicesOptions{
		Environment: model.Environment.ValueString(), ServiceName: model.ServiceName.ValueString(),
	})
	if err != nil {
		addClientError(&resp.Diagnostics, "List services", err)
		return
	}
	model.Services = make([]serviceModel, len(list.Services))
	for i, s := range list.Services {
		model.Services[i] = serviceFromAPI(s)
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}
