package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

var (
	_ resource.ResourceWithConfigure      = (*networkResource)(nil)
	_ resource.ResourceWithIdentity       = (*networkResource)(nil)
	_ resource.ResourceWithImportState    = (*networkResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*networkResource)(nil)
	_ resource.ResourceWithValidateConfig = (*networkResource)(nil)
)

// NewNetworkResource makes the resource wedsync_network.
func NewNetworkResource() resource.Resource { return &networkResource{} }

type networkResource struct{ configuredResource }

type networkIdentityModel struct {
	Environment types.String `tfsdk:"environment"`
	NetworkName types.String `tfsdk:"network_name"`
}

func (m networkModel) identity() networkIdentityModel {
	return networkIdentityModel{Environment: m.Environment, NetworkName: m.NetworkName}
}

func (r *networkResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_network"
}

func (r *networkResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"environment":  identityschema.StringAttribute{RequiredForImport: true, Description: "Environment that the network belongs to."},
		"network_name": identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the network in its environment."},
	}}
}

func (r *networkResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan networkModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	network, err := r.client.CreateNetwork(ctx, createNetworkRequest(plan))
	if err != nil {
		addClientError(&resp.Diagnostics, "Create network", err)
		return
	}
	state := networkFromAPI(network)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, state.identity())...)
}

func (r *networkResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state networkModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	// Set first: the framework wants it of a resource that is gone, too.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, state.identity())...)
	network, err := r.client.GetNetwork(ctx, state.ID.ValueString())
	switch {
	case client.IsNotFound(err), err == nil && !network.IsActive:
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		addClientError(&resp.Diagnostics, "Read network", err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, networkFromAPI(network))...)
}

func (r *networkResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan networkModel
	var id types.String
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("id"), &id)...)
	if resp.Diagnostics.HasError() {
		return
	}
	network, err := r.client.UpdateNetwork(ctx, id.ValueString(), updateNetworkRequest(plan))
	if err != nil {
		addClientError(&resp.Diagnostics, "Update network", err)
		return
	}
	state := networkFromAPI(network)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, state.identity())...)
}

func (r *networkResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var id types.String
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("id"), &id)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := r.client.DeleteNetwork(ctx, id.ValueString()); err != nil && !client.IsNotFound(err) {
		addClientError(&resp.Diagnostics, "Delete network", err)
	}
}

// ValidateConfig holds the addresses against each other, as the daemon does.
func (r *networkResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var subnet, gateway types.String
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("subnet"), &subnet)...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("gateway"), &gateway)...)
	if resp.Diagnostics.HasError() || subnet.IsUnknown() {
		return
	}
	if gateway.ValueString() != "" {
		if _, malformed := grammar.Address(gateway.ValueString()); malformed == nil {
			if err := grammar.Gateway(gateway.ValueString(), subnet.ValueString()); err != nil {
				resp.Diagnostics.AddAttributeError(path.Root("gateway"), "Gateway without its subnet", fmt.Sprintf("gateway %s.", err))
			}
		}
	}
	checkIPv6(ctx, req, resp, subnet)
}

func checkIPv6(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse, subnet types.String) {
	var settings types.Object
	at := path.Root("network_config")
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, at, &settings)...)
	ipv6, _ := settings.Attributes()["enable_ipv6"].(types.Bool)
	mtu, _ := settings.Attributes()["mtu"].(types.Int64)
	if !ipv6.ValueBool() {
		return
	}
	if p, err := grammar.Subnet(subnet.ValueString()); subnet.IsNull() || err == nil && !p.Addr().Is6() {
		resp.Diagnostics.AddAttributeError(at.AtName("enable_ipv6"), "IPv6 without an IPv6 subnet",
			"enable_ipv6 needs an IPv6 subnet; give one in subnet, for example fd00:20::/64.")
	}
	if known(mtu) && mtu.ValueInt64() < 1280 {
		resp.Diagnostics.AddAttributeError(at.AtName("mtu"), "MTU too small for IPv6", "mtu must be at least 1280 with IPv6.")
	}
}

// ModifyPlan lets the engine choose addresses again that the configuration leaves
// to it, when the change makes another network of the engine.
func (r *networkResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || req.State.Raw.IsNull() {
		return
	}
	var subnet, gateway types.String
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("subnet"), &subnet)...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("gateway"), &gateway)...)
	remade := changes(ctx, req, &resp.Diagnostics, "network_type") || changes(ctx, req, &resp.Diagnostics, "network_config")
	if subnet.IsNull() && remade {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("subnet"), types.StringUnknown())...)
	}
	if gateway.IsNull() && (remade || changes(ctx, req, &resp.Diagnostics, "subnet")) {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("gateway"), types.StringUnknown())...)
	}
}

// changes reports whether the plan changes an attribute, or may.
func changes(ctx context.Context, req resource.ModifyPlanRequest, diags *diag.Diagnostics, name string) bool {
	var planned, held attr.Value
	diags.Append(req.Plan.GetAttribute(ctx, path.Root(name), &planned)...)
	diags.Append(req.State.GetAttribute(ctx, path.Root(name), &held)...)
	return !diags.HasError() && !planned.Equal(held)
}

func (r *networkResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	wanted := importedScoped(ctx, req, resp, "network_name")
	if resp.Diagnostics.HasError() {
		return
	}
	network, err := findNetwork(ctx, r.client, wanted)
	if err != nil {
		addClientError(&resp.Diagnostics, "Import network", err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, networkFromAPI(network))...)
}

// findNetwork finds an active network by its identifier or as "environment/name".
func findNetwork(ctx context.Context, c *client.Client, wanted string) (api.Network, error) {
	return findScoped(wanted, "network", "staging/app",
		func(id string) (api.Network, error) { return c.GetNetwork(ctx, id) },
		func(environment, name string) (api.Network, error) {
			return findNetworkByName(ctx, c, environment, name)
		})
}

func findNetworkByName(ctx context.Context, c *client.Client, environment, name string) (api.Network, error) {
	page, err := c.ListNetworks(ctx, api.ListNetworksOptions{Environment: environment, Name: name})
	switch {
	case err != nil:
		return api.Network{}, err
	case len(page.Networks) == 0:
		return api.Network{}, fmt.Errorf("there is no network %q in the environment %q that the token may see", name, environment)
	default:
		return page.Networks[0], nil
	}
}
