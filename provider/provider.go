// Package provider is the Terraform provider of wedsyncd: container definitions,
// networks, deployments, routes and scaling policies as resources, and as data
// sources with the services and scaling decisions that come of them. It talks to the daemon through package client only.
package provider

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client"
)

// Environment variables that stand in for the provider's arguments.
const (
	EnvEndpoint = "WEDSYNC_ENDPOINT"
	EnvToken    = "WEDSYNC_TOKEN"
)

var _ provider.Provider = (*wedsyncProvider)(nil)

type wedsyncProvider struct {
	version string
}

type wedsyncProviderModel struct {
	Endpoint types.String `tfsdk:"endpoint"`
	Token    types.String `tfsdk:"token"`
}

// New makes the factory of the provider that the plugin server asks for. The
// version goes into the User-Agent header.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &wedsyncProvider{version: version} }
}

func (p *wedsyncProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "wedsync"
	resp.Version = p.version
}

func (p *wedsyncProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Declares containers that [wedsyncd](https://github.com/wedsync/terraform-provider-wedsync) runs on Docker: " +
			"their definitions, networks and deployments, the routes to them, and the policies that scale them.",
		Attributes: map[string]schema.Attribute{
			"endpoint": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("Address of wedsyncd's API. `%s` when it is left out, or else `%s`.", EnvEndpoint, client.DefaultEndpoint),
			},
			"token": schema.StringAttribute{
				Optional:  true,
				Sensitive: true,
				MarkdownDescription: fmt.Sprintf("API token. `%s` when it is left out. The first administrator's token is in `<data-dir>/admin.token` "+
					"of the daemon; `wedsyncd token create` makes others.", EnvToken),
			},
		},
	}
}

func (p *wedsyncProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var config wedsyncProviderModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	refuseUnknown(&resp.Diagnostics, "endpoint", EnvEndpoint, config.Endpoint)
	refuseUnknown(&resp.Diagnostics, "token", EnvToken, config.Token)
	if resp.Diagnostics.HasError() {
		return
	}
	token := setting(config.Token, EnvToken, "")
	if token == "" {
		resp.Diagnostics.AddAttributeError(path.Root("token"), "Missing API token", fmt.Sprintf(
			"Set the provider's argument token or the environment variable %s. The first administrator's token is in the file "+
				"admin.token of wedsyncd's data directory; \"wedsyncd token create\" makes others.", EnvToken))
		return
	}
	c, err := client.New(setting(config.Endpoint, EnvEndpoint, client.DefaultEndpoint), token,
		client.WithLogger(slog.New(tflogHandler{})),
		client.WithUserAgent(fmt.Sprintf("terraform-provider-wedsync/%s terraform/%s", p.version, req.TerraformVersion)))
	if err != nil {
		resp.Diagnostics.AddError("Invalid provider configuration", err.Error()+".")
		return
	}
	data := configured{client: c, truce: newTruce()}
	resp.ResourceData = data
	resp.DataSourceData = data
}

// refuseUnknown reports a value that is known only after apply: guessing a
// default for it could change the wrong daemon.
func refuseUnknown(diags *diag.Diagnostics, name, variable string, value types.String) {
	if value.IsUnknown() {
		diags.AddAttributeError(path.Root(name), "Unknown provider configuration", fmt.Sprintf(
			"The value of %s is known only after apply, but it is needed to plan. Give a value that does not depend on resources, "+
				"set the environment variable %s, or apply what it depends on first with -target.", name, variable))
	}
}

func setting(value types.String, variable, fallback string) string {
	if !value.IsNull() {
		return value.ValueString()
	}
	if v := os.Getenv(variable); v != "" {
		return v
	}
	return fallback
}

func (p *wedsyncProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		NewContainerDefinitionResource,
		NewNetworkResource,
		NewDeploymentResource,
		NewRouteResource,
		NewScalingPolicyResource,
	}
}

func (p *wedsyncProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		NewContainerDefinitionDataSource,
		NewContainerDefinitionsDataSource,
		NewNetworkDataSource,
		NewNetworksDataSource,
		NewInstancesDataSource,
		NewDeploymentsDataSource,
		NewServiceDataSource,
		NewServicesDataSource,
		NewRouteDataSource,
		NewRoutesDataSource,
		NewScalingPolicyDataSource,
		NewScalingPoliciesDataSource,
		NewScalingDecisionsDataSource,
	}
}
