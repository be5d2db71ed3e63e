package provider

import (
	"context"
	"fmt"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client"
	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var (
	_ resource.ResourceWithConfigure      = (*containerDefinitionResource)(nil)
	_ resource.ResourceWithIdentity       = (*containerDefinitionResource)(nil)
	_ resource.ResourceWithImportState    = (*containerDefinitionResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*containerDefinitionResource)(nil)
	_ resource.ResourceWithValidateConfig = (*containerDefinitionResource)(nil)
)

// NewContainerDefinitionResource makes the resource wedsync_container_definition.
func NewContainerDefinitionResource() resource.Resource { return &containerDefinitionResource{} }

type containerDefinitionResource struct{ configuredResource }

// containerDefinitionIdentityModel identifies a definition for as long as it
// lives: its name may change.
type containerDefinitionIdentityModel struct {
	ID types.String `tfsdk:"id"`
}

func (r *containerDefinitionResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_container_definition"
}

func (r *containerDefinitionResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"id": identityschema.StringAttribute{RequiredForImport: true, Description: "Identifier of the definition, a UUID."},
	}}
}

func (r *containerDefinitionResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan containerDefinitionResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	definition, err := r.client.CreateDefinition(ctx, createDefinitionRequest(plan))
	if err != nil {
		addClientError(&resp.Diagnostics, "Create container definition", err)
		return
	}
	plan.containerDefinitionModel = definitionFromAPI(definition)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, containerDefinitionIdentityModel{plan.ID})...)
}

func (r *containerDefinitionResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state containerDefinitionResourceModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	// Set first: the framework wants it of a resource that is gone, too.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, containerDefinitionIdentityModel{state.ID})...)
	definition, err := r.client.GetDefinition(ctx, state.ID.ValueString())
	switch {
	case client.IsNotFound(err), err == nil && !definition.IsActive:
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		addClientError(&resp.Diagnostics, "Read container definition", err)
		return
	}
	state.containerDefinitionModel = definitionFromAPI(definition)
	if !definition.HasRegistryCredentials {
		state.RegistryCredentials = nil // somebody removed them: plan to give them again
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

func (r *containerDefinitionResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state containerDefinitionResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	definition, err := r.client.UpdateDefinition(ctx, state.ID.ValueString(), updateDefinitionRequest(plan, state))
	if err != nil {
		addClientError(&resp.Diagnostics, "Update container definition", err)
		return
	}
	plan.containerDefinitionModel = definitionFromAPI(definition)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, containerDefinitionIdentityModel{plan.ID})...)
}

func (r *containerDefinitionResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var id types.String
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("id"), &id)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := r.client.DeleteDefinition(ctx, id.ValueString()); err != nil && !client.IsNotFound(err) {
		addClientError(&resp.Diagnostics, "Delete container definition", err)
	}
}

// ModifyPlan plans what follows from the configuration but is no default:
// whether credentials are stored. A change of that alone is a change of the
// definition too.
func (r *containerDefinitionResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var credentials types.Object
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("registry_credentials"), &credentials)...)
	planned := types.BoolValue(!credentials.IsNull())
	if credentials.IsUnknown() {
		planned = types.BoolUnknown()
	}
	at := path.Root("has_registry_credentials")
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, at, planned)...)
	if req.State.Raw.IsNull() {
		return
	}
	var held types.Bool
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, at, &held)...)
	if !held.Equal(planned) {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("revision"), types.Int64Unknown())...)
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("updated_at"), types.StringUnknown())...)
	}
}

func (r *containerDefinitionResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	wanted := types.StringValue(req.ID)
	if req.ID == "" {
		resp.Diagnostics.Append(req.Identity.GetAttribute(ctx, path.Root("id"), &wanted)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	definition, err := findDefinition(ctx, r.client, wanted.ValueString())
	if err != nil {
		addClientError(&resp.Diagnostics, "Import container definition", err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), definition.ID)...)
}

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// findDefinition finds an active definition by identifier or name. A name that
// looks like an identifier is tried as one first.
func findDefinition(ctx context.Context, c *client.Client, idOrName string) (api.Definition, error) {
	if uuidPattern.MatchString(idOrName) {
		definition, err := c.GetDefinition(ctx, idOrName)
		if err == nil && definition.IsActive || err != nil && !client.IsNotFound(err) {
			return definition, err
		}
	}
	return findDefinitionByName(ctx, c, idOrName)
}

func findDefinitionByName(ctx context.Context, c *client.Client, name string) (api.Definition, error) {
	page, err := c.ListDefinitions(ctx, api.ListDefinitionsOptions{Name: name})
	switch {
	case err != nil:
		return api.Definition{}, err
	case len(page.Definitions) == 0:
		return api.Definition{}, fmt.Errorf("there is no container definition %q that the token may see", name)
	default:
		return page.Definitions[0], nil
	}
}
