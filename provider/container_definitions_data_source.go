package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var _ datasource.DataSourceWithConfigure = (*containerDefinitionsDataSource)(nil)

// NewContainerDefinitionsDataSource makes the data source wedsync_container_definitions.
func NewContainerDefinitionsDataSource() datasource.DataSource {
	return &containerDefinitionsDataSource{}
}

type containerDefinitionsDataSource struct{ configuredDataSource }

type containerDefinitionsModel struct {
	Name        types.String               `tfsdk:"name"`
	ServiceName types.String               `tfsdk:"service_name"`
	Definitions []containerDefinitionModel `tfsdk:"definitions"`
}

func (d *containerDefinitionsDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_container_definitions"
}

func (d *containerDefinitionsDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists container definitions, by name.",
		Attributes: map[string]schema.Attribute{
			"name":         filter("Only the definition of this name.", isName),
			"service_name": filter("Only definitions of this service.", isName),
			"definitions":  computedList("Definitions that match.", computedAttributes(definitionAttributes())),
		},
	}
}

func (d *containerDefinitionsDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model containerDefinitionsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	all, err := collect(d.client.AllDefinitions(ctx, api.ListDefinitionsOptions{
		Page: pageOfDataSource, Name: model.Name.ValueString(), ServiceName: model.ServiceName.ValueString(),
	}), definitionFromAPI)
	if err != nil {
		addClientError(&resp.Diagnostics, "List container definitions", err)
		return
	}
	model.Definitions = all
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

// filter is an optional argument of a data source that lists.
func filter(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

func computedList(description string, attributes map[string]schema.Attribute) schema.ListNestedAttribute {
	return schema.ListNestedAttribute{
		Computed: true, MarkdownDescription: description,
		NestedObject: schema.NestedAttributeObject{Attributes: attributes},
	}
}
