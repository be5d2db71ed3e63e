package fleet

import "time"

// NetworkType is the kind of a network.
type NetworkType string

// Types of network.
const (
	NetworkInternal NetworkType = "internal"
	NetworkExternal NetworkType = "external"
	NetworkOverlay  NetworkType = "overlay"
)

// DNSConfig is given to every container that joins the network.
type DNSConfig struct {
	Servers []string `json:"servers,omitempty"`
	Search  []string `json:"search,omitempty"`
	Options []string `json:"options,omitempty"`
}

// NetworkSettings are settings of the engine's network.
type NetworkSettings struct {
	EnableIPv6 bool              `json:"enable_ipv6,omitempty"`
	MTU        int               `json:"mtu,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// Network is a network of one environment.
type Network struct {
	ID          string
	Name        string
	Type        NetworkType
	Environment string
	Subnet      string // CIDR, empty: the engine chooses
	Gateway     string
	DNS         DNSConfig
	Settings    NetworkSettings
	IsActive    bool
	CreatedAt   time.Time
}

// EngineName is the network's name in the engine. Dots keep it apart from every
// other: no name of ours has one.
func (n Network) EngineName() string { return "wedsync." + n.Environment + "." + n.Name }

// DefaultNetworkName is the engine's network that the instances of an environment
// join when their definition names none.
func DefaultNetworkName(environment string) string { return "wedsync." + environment }
