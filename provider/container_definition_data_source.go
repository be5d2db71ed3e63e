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
	_ datasource.DataSourceWithConfigure        = (*containerDefinitionDataSource)(nil)
	_ datasource.DataSourceWithConfigValidators = (*containerDefinitionDataSource)(nil)
)

// NewContainerDefinitionDataSource makes the data source wedsync_container_definition.
func NewContainerDefinitionDataSource() datasource.DataSource {
	return &containerDefinitionDataSource{}
}

type containerDefinitionDataSource struct{ configuredDataSource }

func (d *containerDefinitionDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_container_definition"
}

func (d *containerDefinitionDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := computedAttributes(definitionAttributes())
	attributes["id"] = schema.StringAttribute{
		Optional: true, Computed: true, Validators: []validator.String{isUUID},
		MarkdownDescription: "Identifier of the definition, a UUID. Give this or `name`.",
	}
	attributes["name"] = schema.StringAttribute{
		Optional: true, Computed: true, Validators: []validator.String{isName},
		MarkdownDescription: "Name of the definition. Give this or `id`.",
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads one container definition, by identifier or name.",
		Attributes:          attributes,
	}
}

func (d *containerDefinitionDataSource) ConfigValidators(context.Context) []datasource.ConfigValidator {
	return []datasource.ConfigValidator{
		datasourcevalidator.ExactlyOneOf(path.MatchRoot("id"), path.MatchRoot("name")),
	}
}

func (d *containerDefinitionDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var config containerDefinitionModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	definition, err := d.read(ctx, config)
	if err != nil {
		addClientError(&resp.Diagnostics, "Read container definition", err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, definitionFromAPI(definition))...)
}

func (d *containerDefinitionDataSource) read(ctx context.Context, config containerDefinitionModel) (api.Definition, error) {
	if !config.ID.IsNull() {
		return d.client.GetDefinition(ctx, config.ID.ValueString())
	}
	return findDefinitionByName(ctx, d.client, config.Name.ValueString())
}
