package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

func (r *networkResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A network of one environment. Instances of another environment can never join it. " +
			"Type, addresses and engine settings can change only while no container is attached.",
		Attributes: networkAttributes(),
	}
}

// networkAttributes are what the resource and the data sources have in common.
func networkAttributes() map[string]schema.Attribute {
	dns, settings := dnsConfigAttributes(), networkSettingsAttributes()
	return map[string]schema.Attribute{
		"id":           keptString("Identifier of the network, a UUID."),
		"network_name": identityString("Name, unique in its environment; a DNS label. Changing it makes a new network.", isName),
		"network_type": requiredString("Kind of network: `internal` has no way out of the machine, `external` reaches other networks through it, "+
			"`overlay` spans the machines of a swarm.",
			stringvalidator.OneOf(api.NetworkInternal, api.NetworkExternal, api.NetworkOverlay)),
		"environment": identityString("Environment that it belongs to. Changing it makes a new network.", isName),
		"subnet": schema.StringAttribute{
			Optional: true, Computed: true,
			MarkdownDescription: "Subnet in CIDR form, such as `10.20.0.0/24`. Left out, the engine chooses one.",
			Validators:          []validator.String{isSubnet},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
		},
		"gateway": schema.StringAttribute{
			Optional: true, Computed: true,
			MarkdownDescription: "Gateway inside `subnet`, such as `10.20.0.1`. Left out, the engine chooses one.",
			Validators:          []validator.String{isAddress},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
		},
		"dns_config": schema.SingleNestedAttribute{
			Optional: true, Computed: true, Attributes: dns, Default: defaultObject(dns),
			MarkdownDescription: "Resolver settings of joined containers. A change applies to containers that are created afterwards.",
		},
		"network_config": schema.SingleNestedAttribute{
			Optional: true, Computed: true, Attributes: settings, Default: defaultObject(settings),
			MarkdownDescription: "Settings of the engine's network.",
		},
		"engine_name": keptString("Name of the network in the engine."),
		"is_active": schema.BoolAttribute{
			Computed: true, MarkdownDescription: "False once the network is deleted.",
			PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
		},
		"created_at": keptString("When it was created (RFC 3339)."),
	}
}

func dnsConfigAttributes() map[string]schema.Attribute {
	atMostEight := func(element validator.String) []validator.List {
		return []validator.List{listvalidator.SizeAtMost(8), listvalidator.NoNullValues(), listvalidator.ValueStringsAre(element)}
	}
	return map[string]schema.Attribute{
		"servers": defaultStrings("Addresses of name servers.", atMostEight(isAddress)...),
		"search":  defaultStrings("Domains searched for short names.", atMostEight(isDomain)...),
		"options": defaultStrings("Resolver options, such as `ndots:2`.", atMostEight(isDNSOption)...),
	}
}

func networkSettingsAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"enable_ipv6": defaultBool("Give containers IPv6 addresses too; needs an IPv6 subnet."),
		"mtu": schema.Int64Attribute{
			Optional: true, MarkdownDescription: "Largest packet in bytes. The engine's default when left out.",
			Validators: []validator.Int64{int64validator.Between(576, 65535)},
		},
		"labels": schema.MapAttribute{
			ElementType: types.StringType, Optional: true, Computed: true, Default: emptyStringMap(),
			MarkdownDescription: "Labels on the engine's network, beside those of wedsyncd, which begin with `wedsync.`.",
			Validators:          []validator.Map{mapvalidator.KeysAre(isLabel), mapvalidator.NoNullValues(), entrySizeValidator{maxLabelValue, false}},
		},
	}
}

// identityString is part of what identifies a resource: changing it makes another one.
func identityString(description string, validators ...validator.String) schema.StringAttribute {
	a := requiredString(description, validators...)
	a.PlanModifiers = []planmodifier.String{stringplanmodifier.RequiresReplace()}
	return a
}
