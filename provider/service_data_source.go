package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var _ datasource.DataSourceWithConfigure = (*serviceDataSource)(nil)

// NewServiceDataSource makes the data source wedsync_service.
func NewServiceDataSource() datasource.DataSource { return &serviceDataSource{} }

type serviceDataSource struct{ configuredDataSource }

// serviceDataSourceModel is a service with what its endpoints were selected by.
type serviceDataSourceModel struct {
	serviceModel
	IsHealthy    types.Bool        `tfsdk:"is_healthy"`
	ImageTag     types.String      `tfsdk:"image_tag"`
	DeploymentID types.String      `tfsdk:"deployment_id"`
	Metadata     map[string]string `tfsdk:"metadata"`
}

func (d *serviceDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_service"
}

func (d *serviceDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := serviceAttributes()
	attributes["service_name"] = schema.StringAttribute{
		Required: true, MarkdownDescription: "Name of the service.", Validators: []validator.String{isName},
	}
	attributes["environment"] = schema.StringAttribute{
		Required: true, MarkdownDescription: "Environment to look in.", Validators: []validator.String{isName},
	}
	attributes["is_healthy"] = schema.BoolAttribute{Optional: true, MarkdownDescription: "Only healthy endpoints, or, with `false`, only the others."}
	attributes["image_tag"] = filter("Only instances of this image tag.", isImageTag)
	attributes["deployment_id"] = filter("Only instances of this deployment.", isUUID)
	attributes["metadata"] = schema.MapAttribute{
		Optional: true, ElementType: types.StringType, MarkdownDescription: "Only endpoints that were registered with all of these.",
		Validators: []validator.Map{mapvalidator.NoNullValues()},
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads where a service answers in an environment. One that has no endpoint, or does not exist, has an empty list.",
		Attributes:          attributes,
	}
}

func (d *serviceDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model serviceDataSourceModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	service, err := d.client.DiscoverService(ctx, model.ServiceName.ValueString(), model.request())
	if err != nil {
		addClientError(&resp.Diagnostics, "Discover service", err)
		return
	}
	model.serviceModel = serviceFromAPI(service)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

// request asks for what the configuration selects.
func (m serviceDataSourceModel) request() api.DiscoverRequest {
	return api.DiscoverRequest{Environment: m.Environment.ValueString(), Filters: &api.ServiceFilters{
		IsHealthy:    m.IsHealthy.ValueBoolPointer(),
		ImageTag:     m.ImageTag.ValueString(),
		DeploymentID: m.DeploymentID.ValueString(),
		Metadata:     m.Metadata,
	}}
}
