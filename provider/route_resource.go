package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var (
	_ resource.ResourceWithConfigure      = (*routeResource)(nil)
	_ resource.ResourceWithIdentity       = (*routeResource)(nil)
	_ resource.ResourceWithImportState    = (*routeResource)(nil)
	_ resource.ResourceWithValidateConfig = (*routeResource)(nil)
)

// NewRouteResource makes the resource wedsync_route.
func NewRouteResource() resource.Resource { return &routeResource{} }

type routeResource struct{ configuredResource }

type routeIdentityModel struct {
	Environment types.String `tfsdk:"environment"`
	Name        types.String `tfsdk:"name"`
}

func (m routeModel) identity() routeIdentityModel {
	return routeIdentityModel{Environment: m.Environment, Name: m.Name}
}

func (r *routeResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_route"
}

func (r *routeResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"environment": identityschema.StringAttribute{RequiredForImport: true, Description: "Environment that the route belongs to."},
		"name":        identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the route in its environment."},
	}}
}

func (r *routeResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan routeModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	route, err := r.client.CreateRoute(ctx, createRouteRequest(plan))
	if err != nil {
		addClientError(&resp.Diagnostics, "Create route", err)
		return
	}
	state := routeFromAPI(route)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, state.identity())...)
}

func (r *routeResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state routeModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	// Set first: the framework wants it of a resource that is gone, too.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, state.identity())...)
	route, err := r.client.GetRoute(ctx, state.ID.ValueString())
	switch {
	case client.IsNotFound(err):
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		addClientError(&resp.Diagnostics, "Read route", err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, routeFromAPI(route))...)
}

func (r *routeResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan routeModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	route, err := r.client.UpdateRoute(ctx, plan.ID.ValueString(), updateRouteRequest(plan))
	if err != nil {
		addClientError(&resp.Diagnostics, "Update route", err)
		return
	}
	state := routeFromAPI(route)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, state.identity())...)
}

func (r *routeResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var id types.String
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("id"), &id)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := r.client.DeleteRoute(ctx, id.ValueString()); err != nil && !client.IsNotFound(err) {
		addClientError(&resp.Diagnostics, "Delete route", err)
	}
}

func (r *routeResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	wanted := importedScoped(ctx, req, resp, "name")
	if resp.Diagnostics.HasError() {
		return
	}
	route, err := findRoute(ctx, r.client, wanted)
	if err != nil {
		addClientError(&resp.Diagnostics, "Import route", err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, routeFromAPI(route))...)
}

// findRoute finds a route by its identifier or as "environment/name".
func findRoute(ctx context.Context, c *client.Client, wanted string) (api.Route, error) {
	return findScoped(wanted, "route", "staging/shop",
		func(id string) (api.Route, error) { return c.GetRoute(ctx, id) },
		func(environment, name string) (api.Route, error) { return findRouteByName(ctx, c, environment, name) })
}

func findRouteByName(ctx context.Context, c *client.Client, environment, name string) (api.Route, error) {
	page, err := c.ListRoutes(ctx, api.ListRoutesOptions{Environment: environment, Name: name})
	switch {
	case err != nil:
		return api.Route{}, err
	case len(page.Routes) == 0:
		return api.Route{}, fmt.Errorf("there is no route %q in the environment %q that the token may see", name, environment)
	default:
		return page.Routes[0], nil
	}
}
