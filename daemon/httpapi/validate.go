package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// The rules beyond what a schema can say. Each function adds its faults below a
// location and looks at one value, or at the fields that a rule spans.

// maxEnvEntry is the kernel's limit for one NAME=value of a process's environment.
const maxEnvEntry = 128 << 10

// maxLabelValue bounds the value of one label.
const maxLabelValue = 4096

// checkDefinition checks a whole definition, its defaults filled in: what a
// create asks for, or what an update would leave behind.
func checkDefinition(f *faults, d api.Definition) {
	f.refuse("body.name", grammar.Name(d.Name))
	f.refuse("body.service_name", grammar.Name(d.ServiceName))
	f.refuse("body.image_name", grammar.ImageName(d.ImageName))
	f.refuse("body.image_tag", grammar.ImageTag(d.ImageTag))
	checkRegistry(f, d.RegistryURL)
	checkEnvironmentConfig(f, d.EnvironmentConfig)
	checkResources(f, d.ResourceLimits)
	if d.HealthCheckConfig != nil {
		checkHealthCheck(f, *d.HealthCheckConfig, d.NetworkConfig.Ports)
	}
	checkScaling(f, d.ScalingConfig)
	checkNetworkConfig(f, d.NetworkConfig)
	checkVolumes(f, d.VolumeMounts)
	checkRuntime(f, d.RuntimeConfig)
	checkAcross(f, d)
}

// checkAcross checks the rules that span several parts of a definition.
func checkAcross(f *faults, d api.Definition) {
	if f.sound("body.image_name", "body.image_tag", "body.registry_url") {
		if _, err := grammar.ImageReference(d.RegistryURL, d.ImageName, d.ImageTag); err != nil {
			f.add("body.image_name", "%q does not fit behind the registry %s; leave out the one or the other", d.ImageName, d.RegistryURL)
		}
	}
	if f.sound("body.volume_mounts", "body.runtime_config.tmpfs") {
		for i, target := range d.RuntimeConfig.Tmpfs {
			if slices.ContainsFunc(d.VolumeMounts, func(v api.VolumeMount) bool { return v.Target == target }) {
				f.add(at("body.runtime_config.tmpfs", i), "%q is the target of a volume mount already", target)
			}
		}
	}
}

// checkDefinitionChange checks what an update gives by itself, before the stored
// definition is known; what follows from both is found in checkDefinition.
func checkDefinitionChange(f *faults, r api.UpdateDefinitionRequest) {
	given(r.Name, func(v string) { f.refuse("body.name", grammar.Name(v)) })
	given(r.ServiceName, func(v string) { f.refuse("body.service_name", grammar.Name(v)) })
	given(r.ImageName, func(v string) { f.refuse("body.image_name", grammar.ImageName(v)) })
	given(r.ImageTag, func(v string) { f.refuse("body.image_tag", grammar.ImageTag(v)) })
	given(r.RegistryURL, func(v string) { checkRegistry(f, v) })
	given(r.EnvironmentConfig, func(v map[string]string) { checkEnvironmentConfig(f, v) })
	given(r.ResourceLimits, func(v api.ResourceLimits) { checkResources(f, v) })
	given(r.HealthCheckConfig.Value, func(v api.HealthCheckConfig) {
		checkHealthCheck(f, healthCheckToAPI(healthCheckFromAPI(v)), somePort)
	})
	given(r.ScalingConfig, func(v api.ScalingConfig) { checkScaling(f, v) })
	given(r.NetworkConfig, func(v api.NetworkConfig) { checkNetworkConfig(f, v) })
	given(r.VolumeMounts, func(v []api.VolumeMount) { checkVolumes(f, v) })
	given(r.RuntimeConfig, func(v api.RuntimeConfig) { checkRuntime(f, runtimeToAPI(runtimeFromAPI(v))) })
}

func checkRegistry(f *faults, registry string) {
	if registry == "" {
		return
	}
	_, err := grammar.Registry(registry)
	f.refuse("body.registry_url", err)
}

func checkEnvironmentConfig(f *faults, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		location := "body.environment_config." + name
		f.refuse(location, grammar.EnvVar(name))
		if size := len(name) + len(env[name]) + 2; size > maxEnvEntry {
			f.add(location, "is %d bytes long with its name; at most %d are possible", size, maxEnvEntry)
		}
	}
}

func checkResources(f *faults, r api.ResourceLimits) {
	_, err := grammar.CPU(r.CPU)
	f.refuse("body.resource_limits.cpu", err)
	_, err = grammar.Memory(r.Memory)
	f.refuse("body.resource_limits.memory", err)
	if r.Storage != "" {
		_, err = grammar.Bytes(r.Storage)
		f.refuse("body.resource_limits.storage", err)
	}
}

// somePort stands for the ports of a definition that is not known yet.
var somePort = []int{80}

// checkHealthCheck needs the defaults filled in. Where a field is wrong in itself,
// it says nothing of what that has to do with others.
func checkHealthCheck(f *faults, h api.HealthCheckConfig, ports []int) {
	const location = "body.health_check_config."
	if !f.sound(location + "type") {
		return
	}
	found := slices.DeleteFunc(healthCheckFromAPI(h).Faults(ports), func(fault grammar.Fault) bool {
		field, _, _ := strings.Cut(fault.Field, "[")
		field, _, _ = strings.Cut(field, ".")
		return !f.sound(location+field) ||
			field == "timeout" && !f.sound(location+"interval") || field == "port" && !f.sound("body.network_config.ports")
	})
	for _, fault := range found {
		f.refuse(location+fault.Field, fault.Err)
	}
}

func checkScaling(f *faults, s api.ScalingConfig) {
	if f.sound("body.scaling_config.min_replicas", "body.scaling_config.max_replicas") && s.MinReplicas > s.MaxReplicas {
		f.add("body.scaling_config.min_replicas", "%d is more than max_replicas %d", s.MinReplicas, s.MaxReplicas)
	}
}

func checkNetworkConfig(f *faults, n api.NetworkConfig) {
	const location = "body.network_config"
	seen := map[int]bool{}
	for i, port := range n.Ports {
		f.refuse(at(location+".ports", i), grammar.Port(port))
		if seen[port] {
			f.add(at(location+".ports", i), "%d is listed twice", port)
		}
		seen[port] = true
	}
	joined := map[string]bool{}
	checkJoined(f, location+".internal_networks", n.InternalNetworks, joined)
	checkJoined(f, location+".external_networks", n.ExternalNetworks, joined)
	if !n.PublishPorts || !f.sound(location+".ports", location+".internal_networks", location+".external_networks", location+".publish_ports") {
		return
	}
	if len(n.Ports) == 0 {
		f.add(location+".publish_ports", "has nothing to publish; list the container's ports in ports")
	} else if len(n.InternalNetworks) > 0 && len(n.ExternalNetworks) == 0 {
		f.add(location+".publish_ports", "cannot work with internal networks alone; add one to external_networks")
	}
}

func checkJoined(f *faults, location string, names []string, joined map[string]bool) {
	for i, name := range names {
		f.refuse(at(location, i), grammar.Name(name))
		if joined[name] {
			f.add(at(location, i), "%q is listed twice", name)
		}
		joined[name] = true
	}
}

func checkVolumes(f *faults, volumes []api.VolumeMount) {
	const location = "body.volume_mounts"
	targets := map[string]bool{}
	for i, v := range volumes {
		f.refuse(at(location, i)+".source", grammar.VolumeSource(v.Source))
		f.refuse(at(location, i)+".target", grammar.ContainerPath(v.Target))
		if targets[v.Target] {
			f.add(at(location, i)+".target", "%q is the target of another mount", v.Target)
		}
		targets[v.Target] = true
	}
}

// checkRuntime needs the defaults filled in.
func checkRuntime(f *faults, r api.RuntimeConfig) {
	const location = "body.runtime_config"
	if r.User != "" {
		f.refuse(location+".user", grammar.User(r.User))
	}
	targets := map[string]bool{}
	for i, path := range r.Tmpfs {
		f.refuse(at(location+".tmpfs", i), grammar.ContainerPath(path))
		if targets[path] {
			f.add(at(location+".tmpfs", i), "%q is listed twice", path)
		}
		targets[path] = true
	}
	checkLabels(f, location+".labels", r.Labels)
	_, err := grammar.Bytes(r.LogMaxSize)
	f.refuse(location+".log_max_size", err)
}

func checkLabels(f *faults, location string, labels map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		f.refuse(location+"."+key, grammar.Label(key))
		if size := len(labels[key]); size > maxLabelValue {
			f.add(location+"."+key, "is %d bytes long; at most %d are allowed", size, maxLabelValue)
		}
	}
}

// checkNetwork checks a whole network: what a create asks for, or what an update
// would leave behind.
func checkNetwork(f *faults, n api.Network) {
	f.refuse("body.network_name", grammar.Name(n.NetworkName))
	checkSubnet(f, n.Subnet)
	if n.Gateway != "" {
		f.refuse("body.gateway", grammar.Gateway(n.Gateway, n.Subnet))
	}
	checkDNS(f, n.DNSConfig)
	checkNetworkSettings(f, n.NetworkConfig)
	if n.NetworkConfig.EnableIPv6 && f.sound("body.subnet", "body.network_config.enable_ipv6") {
		if p, err := grammar.Subnet(n.Subnet); err != nil || !p.Addr().Is6() {
			f.add("body.network_config.enable_ipv6", "needs an IPv6 subnet; give one in subnet, for example fd00:20::/64")
		}
	}
}

// checkNetworkChange checks what an update gives by itself, before the stored
// network is known; what follows from both is found in checkNetwork.
func checkNetworkChange(f *faults, r api.UpdateNetworkRequest) {
	given(r.Subnet, func(v string) { checkSubnet(f, v) })
	given(r.Gateway, func(v string) {
		if v != "" {
			_, err := grammar.Address(v)
			f.refuse("body.gateway", err)
		}
	})
	given(r.DNSConfig, func(v api.DNSConfig) { checkDNS(f, v) })
	given(r.NetworkConfig, func(v api.NetworkSettings) { checkNetworkSettings(f, v) })
}

func checkSubnet(f *faults, subnet string) {
	if subnet == "" {
		return
	}
	_, err := grammar.Subnet(subnet)
	f.refuse("body.subnet", err)
}

func checkDNS(f *faults, d api.DNSConfig) {
	for i, server := range d.Servers {
		_, err := grammar.Address(server)
		f.refuse(at("body.dns_config.servers", i), err)
	}
	for i, domain := range d.Search {
		f.refuse(at("body.dns_config.search", i), grammar.Domain(domain))
	}
	for i, option := range d.Options {
		f.refuse(at("body.dns_config.options", i), grammar.DNSOption(option))
	}
}

func checkNetworkSettings(f *faults, s api.NetworkSettings) {
	checkLabels(f, "body.network_config.labels", s.Labels)
	if s.EnableIPv6 && s.MTU != 0 && s.MTU < 1280 {
		f.refuse("body.network_config.mtu", errors.New("must be at least 1280 with IPv6"))
	}
}

// checkDeploy checks the rollout that a deploy asks for, its defaults filled in.
// What it has to do with the definition, the Deployer knows.
func checkDeploy(f *faults, r api.DeployRequest) {
	const location = "body.rollout_config"
	if !f.sound(location) {
		return
	}
	for _, fault := range rolloutFromAPI(valueOf(r.RolloutConfig)).Faults() {
		f.refuse(location+"."+fault.Field, fault.Err)
	}
}

// checkRoute checks a whole route: what a create asks for, or what an update would
// leave behind. domain is that of the services' own hosts.
func checkRoute(f *faults, r fleet.Route, domain string) {
	f.refuse("body.name", grammar.Name(r.Name))
	f.refuse("body.service_name", grammar.Name(r.ServiceName))
	for _, fault := range append(grammar.RouteFaults(r.Hosts, r.PathPrefixes), r.Settings.Faults()...) {
		f.refuse("body."+fault.Field, fault.Err)
	}
	for i, host := range r.Hosts {
		if domain != "" && strings.HasSuffix(host, "."+domain) {
			f.add(at("body.hosts", i), "%q lies in %s, where every service has a host of its own, SERVICE.ENVIRONMENT.%s; leave hosts empty to use it, or choose a name elsewhere", host, domain, domain)
		}
	}
}

// checkRouteChange checks what an update gives by itself, before the stored route
// is known; what follows from both is found in checkRoute.
func checkRouteChange(f *faults, r api.UpdateRouteRequest, domain string) {
	sample := routeFromAPI(api.CreateRouteRequest{Name: "sample", ServiceName: "sample"})
	applyRoute(&sample, r)
	checkRoute(f, sample, domain)
}

// checkEndpoint checks an external endpoint.
func checkEndpoint(f *faults, r api.RegisterEndpointRequest) {
	f.refuse("body.endpoint_url", grammar.EndpointURL(r.EndpointURL))
	if r.HealthCheckURL != "" {
		f.refuse("body.health_check_url", grammar.HealthCheckURL(r.HealthCheckURL))
	}
	if n := len(r.Metadata); n > grammar.MaxMetadata {
		f.add("body.metadata", "has %d entries; at most %d are allowed", n, grammar.MaxMetadata)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(r.Metadata)) {
		f.refuse("body.metadata."+key, grammar.MetadataKey(key))
		if size := len(r.Metadata[key]); size > grammar.MaxMetadataValue {
			f.add("body.metadata."+key, "is %d bytes long; at most %d are allowed", size, grammar.MaxMetadataValue)
		}
	}
}

func at(location string, index int) string { return fmt.Sprintf("%s[%d]", location, index) }

// given runs check on a value that is there.
func given[T any](v *T, check func(T)) {
	if v != nil {
		check(*v)
	}
}
