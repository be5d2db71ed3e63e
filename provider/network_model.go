package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// networkModel is a network as the resource and the data sources show it.
type networkModel struct {
	ID            types.String          `tfsdk:"id"`
	NetworkName   types.String          `tfsdk:"network_name"`
	NetworkType   types.String          `tfsdk:"network_type"`
	Environment   types.String          `tfsdk:"environment"`
	Subnet        types.String          `tfsdk:"subnet"`
	Gateway       types.String          `tfsdk:"gateway"`
	DNSConfig     *dnsConfigModel       `tfsdk:"dns_config"`
	NetworkConfig *networkSettingsModel `tfsdk:"network_config"`
	EngineName    types.String          `tfsdk:"engine_name"`
	IsActive      types.Bool            `tfsdk:"is_active"`
	CreatedAt     types.String          `tfsdk:"created_at"`
}

type dnsConfigModel struct {
	Servers []string `tfsdk:"servers"`
	Search  []string `tfsdk:"search"`
	Options []string `tfsdk:"options"`
}

type networkSettingsModel struct {
	EnableIPv6 types.Bool        `tfsdk:"enable_ipv6"`
	MTU        types.Int64       `tfsdk:"mtu"`
	Labels     map[string]string `tfsdk:"labels"`
}

func networkFromAPI(n api.Network) networkModel {
	return networkModel{
		ID:          types.StringValue(n.ID),
		NetworkName: types.StringValue(n.NetworkName),
		NetworkType: types.StringValue(n.NetworkType),
		Environment: types.StringValue(n.Environment),
		Subnet:      nullIfEmpty(n.Subnet),
		Gateway:     nullIfEmpty(n.Gateway),
		DNSConfig: &dnsConfigModel{
			Servers: listOrEmpty(n.DNSConfig.Servers),
			Search:  listOrEmpty(n.DNSConfig.Search),
			Options: listOrEmpty(n.DNSConfig.Options),
		},
		NetworkConfig: &networkSettingsModel{
			EnableIPv6: types.BoolValue(n.NetworkConfig.EnableIPv6),
			MTU:        nullIfZero(n.NetworkConfig.MTU),
			Labels:     mapOrEmpty(n.NetworkConfig.Labels),
		},
		EngineName: types.StringValue(n.EngineName),
		IsActive:   types.BoolValue(n.IsActive),
		CreatedAt:  timeValue(n.CreatedAt),
	}
}

func createNetworkRequest(m networkModel) api.CreateNetworkRequest {
	return api.CreateNetworkRequest{
		NetworkName:   m.NetworkName.ValueString(),
		NetworkType:   m.NetworkType.ValueString(),
		Environment:   m.Environment.ValueString(),
		Subnet:        m.Subnet.ValueString(),
		Gateway:       m.Gateway.ValueString(),
		DNSConfig:     m.DNSConfig.toAPI(),
		NetworkConfig: m.NetworkConfig.toAPI(),
	}
}

// updateNetworkRequest replaces everything. An address that is unknown in the
// plan is the engine's to choose again.
func updateNetworkRequest(plan networkModel) api.UpdateNetworkRequest {
	return api.UpdateNetworkRequest{
		NetworkType:   plan.NetworkType.ValueStringPointer(),
		Subnet:        pointer(plan.Subnet.ValueString()),
		Gateway:       pointer(plan.Gateway.ValueString()),
		DNSConfig:     plan.DNSConfig.toAPI(),
		NetworkConfig: plan.NetworkConfig.toAPI(),
	}
}

func (m *dnsConfigModel) toAPI() *api.DNSConfig {
	return &api.DNSConfig{Servers: m.Servers, Search: m.Search, Options: m.Options}
}

func (m *networkSettingsModel) toAPI() *api.NetworkSettings {
	return &api.NetworkSettings{EnableIPv6: m.EnableIPv6.ValueBool(), MTU: intOf(m.MTU), Labels: m.Labels}
}
