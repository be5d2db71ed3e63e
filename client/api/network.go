package api

import "time"

// Types of network.
const (
	// NetworkInternal has no way out of the machine.
	NetworkInternal = "internal"
	// NetworkExternal reaches other networks through the machine.
	NetworkExternal = "external"
	// NetworkOverlay spans the machines of a swarm.
	NetworkOverlay = "overlay"
)

// DNSConfig is given to every container that joins the network.
type DNSConfig struct {
	Servers []string `json:"servers,omitempty" doc:"Addresses of name servers." example:"[\"10.20.0.2\"]" maxItems:"8" nullable:"false"`
	Search  []string `json:"search,omitempty" doc:"Domains searched for short names." example:"[\"weddings.internal\"]" maxItems:"8" nullable:"false"`
	Options []string `json:"options,omitempty" doc:"Resolver options." example:"[\"ndots:2\"]" maxItems:"8" nullable:"false"`
}

// NetworkSettings are settings of the engine's network.
type NetworkSettings struct {
	EnableIPv6 bool              `json:"enable_ipv6,omitempty" doc:"Give containers IPv6 addresses too; needs an IPv6 subnet." example:"false"`
	MTU        int               `json:"mtu,omitempty" doc:"Largest packet in bytes; the engine's default when left out." example:"1450" minimum:"576" maximum:"65535"`
	Labels     map[string]string `json:"labels,omitempty" doc:"Labels on the engine's network, beside those of wedsyncd." example:"{\"team\":\"weddings\"}" nullable:"false"`
}

// Network is a network of one environment. Instances of another environment can never join it.
type Network struct {
	ID            string          `json:"id" doc:"Identifier of the network." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a12" format:"uuid"`
	NetworkName   string          `json:"network_name" doc:"Name, unique in its environment." example:"app"`
	NetworkType   string          `json:"network_type" doc:"Kind of network." example:"internal" enum:"internal,external,overlay"`
	Environment   string          `json:"environment" doc:"Environment that it belongs to." example:"staging"`
	Subnet        string          `json:"subnet,omitempty" doc:"Subnet in CIDR form; chosen by the engine when none was given." example:"10.20.0.0/24"`
	Gateway       string          `json:"gateway,omitempty" doc:"Gateway inside the subnet." example:"10.20.0.1"`
	DNSConfig     DNSConfig       `json:"dns_config" doc:"Resolver settings of joined containers."`
	NetworkConfig NetworkSettings `json:"network_config" doc:"Settings of the engine's network."`
	EngineName    string          `json:"engine_name" doc:"Name of the network in the engine." example:"wedsync.staging.app"`
	IsActive      bool            `json:"is_active" doc:"False once the network is deleted." example:"true"`
	CreatedAt     time.Time       `json:"created_at" doc:"When it was created." example:"2026-06-06T08:30:00Z"`
}

// CreateNetworkRequest is the body of POST /api/containers/networks.
type CreateNetworkRequest struct {
	NetworkName   string           `json:"network_name" doc:"Name, unique in its environment; a DNS label." example:"app" maxLength:"63"`
	NetworkType   string           `json:"network_type" doc:"Kind of network." example:"internal" enum:"internal,external,overlay"`
	Environment   string           `json:"environment" doc:"Environment that it belongs to." example:"staging" maxLength:"63"`
	Subnet        string           `json:"subnet,omitempty" doc:"Subnet in CIDR form; left out, the engine chooses one." example:"10.20.0.0/24" maxLength:"64"`
	Gateway       string           `json:"gateway,omitempty" doc:"Gateway inside the subnet." example:"10.20.0.1" maxLength:"64"`
	DNSConfig     *DNSConfig       `json:"dns_config,omitempty" doc:"Resolver settings of joined containers."`
	NetworkConfig *NetworkSettings `json:"network_config,omitempty" doc:"Settings of the engine's network."`
}

// UpdateNetworkRequest is the body of PUT /api/containers/networks/{network_id}.
// A field that is left out stays as it is. Resolver settings apply to containers
// that are created afterwards. Everything else changes the engine's network,
// which is possible only while no container is attached (409 otherwise).
type UpdateNetworkRequest struct {
	NetworkType   *string          `json:"network_type,omitempty" doc:"Kind of network." example:"external" enum:"internal,external,overlay"`
	Subnet        *string          `json:"subnet,omitempty" doc:"Subnet in CIDR form; empty lets the engine choose." example:"10.21.0.0/24" maxLength:"64"`
	Gateway       *string          `json:"gateway,omitempty" doc:"Gateway inside the subnet; empty lets the engine choose." example:"10.21.0.1" maxLength:"64"`
	DNSConfig     *DNSConfig       `json:"dns_config,omitempty" doc:"Resolver settings of joined containers."`
	NetworkConfig *NetworkSettings `json:"network_config,omitempty" doc:"Settings of the engine's network."`
}

// NetworkList is one page of networks, by name.
type NetworkList struct {
	Networks   []Network `json:"networks" doc:"One page of networks, by name." nullable:"false"`
	TotalCount int       `json:"total_count" doc:"Networks that match, over all pages." example:"2"`
	NextCursor string    `json:"next_cursor,omitempty" doc:"Continues the list; absent on its last page." example:"eyJrIjoiYXBwIn0"`
}

// ListNetworksOptions select and page networks.
type ListNetworksOptions struct {
	Page
	// Environment selects the networks of one environment.
	Environment string
	// Name selects networks of this name.
	Name string
}
