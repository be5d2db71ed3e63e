package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/defaults"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectdefault"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Lists, maps and objects that the daemon always has, be they empty, default to
// just that. So the state never tells "left out" from "empty", and taking a block
// out of the configuration plans its removal.

func emptyList(element attr.Type) defaults.List {
	return listdefault.StaticValue(types.ListValueMust(element, nil))
}

func emptyStringMap() defaults.Map {
	return mapdefault.StaticValue(types.MapValueMust(types.StringType, nil))
}

// defaultObject is the object of every attribute's own default, null where it has none.
func defaultObject(attributes map[string]schema.Attribute) defaults.Object {
	kinds := make(map[string]attr.Type, len(attributes))
	values := make(map[string]attr.Value, len(attributes))
	for name, a := range attributes {
		kinds[name] = a.GetType()
		values[name] = defaultValue(a)
	}
	return objectdefault.StaticValue(types.ObjectValueMust(kinds, values))
}

func defaultValue(a schema.Attribute) attr.Value {
	ctx := context.Background()
	switch a := a.(type) {
	case schema.StringAttribute:
		if a.Default != nil {
			var resp defaults.StringResponse
			a.Default.DefaultString(ctx, defaults.StringRequest{}, &resp)
			return resp.PlanValue
		}
	case schema.Int64Attribute:
		if a.Default != nil {
			var resp defaults.Int64Response
			a.Default.DefaultInt64(ctx, defaults.Int64Request{}, &resp)
			return resp.PlanValue
		}
	case schema.BoolAttribute:
		if a.Default != nil {
			var resp defaults.BoolResponse
			a.Default.DefaultBool(ctx, defaults.BoolRequest{}, &resp)
			return resp.PlanValue
		}
	case schema.ListAttribute:
		if a.Default != nil {
			var resp defaults.ListResponse
			a.Default.DefaultList(ctx, defaults.ListRequest{}, &resp)
			return resp.PlanValue
		}
	case schema.ListNestedAttribute:
		if a.Default != nil {
			var resp defaults.ListResponse
			a.Default.DefaultList(ctx, defaults.ListRequest{}, &resp)
			return resp.PlanValue
		}
	case schema.MapAttribute:
		if a.Default != nil {
			var resp defaults.MapResponse
			a.Default.DefaultMap(ctx, defaults.MapRequest{}, &resp)
			return resp.PlanValue
		}
	}
	null, err := a.GetType().ValueFromTerraform(ctx, nullOf(ctx, a))
	if err != nil {
		panic(err) // a type always takes its own null
	}
	return null
}

func nullOf(ctx context.Context, a schema.Attribute) tftypes.Value {
	return tftypes.NewValue(a.GetType().TerraformType(ctx), nil)
}
