package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/datasourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// What belongs to an environment has a name there: it is found by its identifier,
// or by environment and name.

// findScoped finds it by its identifier, or as "environment/name".
func findScoped[T any](wanted, noun, example string, byID func(id string) (T, error), byName func(environment, name string) (T, error)) (T, error) {
	environment, name, named := strings.Cut(wanted, "/")
	switch {
	case named:
		return byName(environment, name)
	case !uuidPattern.MatchString(wanted):
		var none T
		return none, fmt.Errorf("%q names no %s; write its identifier, or environment and name as %s", wanted, noun, example)
	default:
		return byID(wanted)
	}
}

// importedScoped is what an import asks for, as findScoped takes it. The identity
// has the attributes environment and nameAttribute.
func importedScoped(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse, nameAttribute string) string {
	if req.ID != "" {
		return req.ID
	}
	var environment, name types.String
	resp.Diagnostics.Append(req.Identity.GetAttribute(ctx, path.Root("environment"), &environment)...)
	resp.Diagnostics.Append(req.Identity.GetAttribute(ctx, path.Root(nameAttribute), &name)...)
	return environment.ValueString() + "/" + name.ValueString()
}

// scopedDataSource is the schema of a data source that reads one noun with the
// attributes, by identifier or by environment and name.
func scopedDataSource(noun, nameAttribute string, attributes map[string]schema.Attribute) schema.Schema {
	key := func(description string, check validator.String) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Computed: true, MarkdownDescription: description, Validators: []validator.String{check}}
	}
	attributes["id"] = key(fmt.Sprintf("Identifier of the %s, a UUID. Give this, or `environment` and `%s`.", noun, nameAttribute), isUUID)
	attributes["environment"] = key("Environment that it belongs to.", isName)
	attributes[nameAttribute] = key(fmt.Sprintf("Name of the %s in its environment.", noun), isName)
	return schema.Schema{
		MarkdownDescription: fmt.Sprintf("Reads one %s, by identifier or by environment and name.", noun),
		Attributes:          attributes,
	}
}

func scopedConfigValidators(nameAttribute string) []datasource.ConfigValidator {
	return []datasource.ConfigValidator{
		datasourcevalidator.ExactlyOneOf(path.MatchRoot("id"), path.MatchRoot(nameAttribute)),
		datasourcevalidator.RequiredTogether(path.MatchRoot("environment"), path.MatchRoot(nameAttribute)),
	}
}
