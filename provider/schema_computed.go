package provider

import (
	"fmt"
	"strings"

	datasource "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	resource "github.com/hashicorp/terraform-plugin-framework/resource/schema"
)

// computedAttributes are a resource's attributes as a data source shows them:
// the same names, types and descriptions, all computed.
func computedAttributes(attributes map[string]resource.Attribute) map[string]datasource.Attribute {
	out := make(map[string]datasource.Attribute, len(attributes))
	for name, a := range attributes {
		out[name] = computedAttribute(a)
	}
	return out
}

func computedAttribute(a resource.Attribute) datasource.Attribute {
	description, _, _ := strings.Cut(a.GetMarkdownDescription(), defaultText)
	switch a := a.(type) {
	case resource.StringAttribute:
		return datasource.StringAttribute{Computed: true, MarkdownDescription: description}
	case resource.Int64Attribute:
		return datasource.Int64Attribute{Computed: true, MarkdownDescription: description}
	case resource.Float64Attribute:
		return datasource.Float64Attribute{Computed: true, MarkdownDescription: description}
	case resource.BoolAttribute:
		return datasource.BoolAttribute{Computed: true, MarkdownDescription: description}
	case resource.MapAttribute:
		return datasource.MapAttribute{Computed: true, MarkdownDescription: description, ElementType: a.ElementType}
	case resource.SetAttribute:
		return datasource.SetAttribute{Computed: true, MarkdownDescription: description, ElementType: a.ElementType}
	case resource.ListAttribute:
		return datasource.ListAttribute{Computed: true, MarkdownDescription: description, ElementType: a.ElementType}
	case resource.SingleNestedAttribute:
		return datasource.SingleNestedAttribute{Computed: true, MarkdownDescription: description, Attributes: computedAttributes(a.Attributes)}
	case resource.ListNestedAttribute:
		return datasource.ListNestedAttribute{
			Computed: true, MarkdownDescription: description,
			NestedObject: datasource.NestedAttributeObject{Attributes: computedAttributes(a.NestedObject.Attributes)},
		}
	default:
		panic(fmt.Sprintf("no data source attribute for %T", a))
	}
}
