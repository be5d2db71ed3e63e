package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/wedsync/terraform-provider-wedsync/client"
)

// configured is what the provider's Configure makes: the client of the daemon, and
// the truce between the resources of one run.
type configured struct {
	client *client.Client
	truce  *truce
}

// configuredResource is the part of every resource that takes over what the
// provider's Configure made.
type configuredResource struct{ configured }

func (r *configuredResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.configured = providerData(req.ProviderData, &resp.Diagnostics)
}

// configuredDataSource is the same for data sources.
type configuredDataSource struct{ configured }

func (d *configuredDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.configured = providerData(req.ProviderData, &resp.Diagnostics)
}

// providerData is empty before the provider is configured, as during validation.
func providerData(data any, diags *diag.Diagnostics) configured {
	if data == nil {
		return configured{}
	}
	c, ok := data.(configured)
	if !ok {
		diags.AddError("Unexpected provider data", fmt.Sprintf("Got %T instead of a client. This is an error in the provider; please report it.", data))
	}
	return c
}
