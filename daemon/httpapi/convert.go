package httpapi

import (
	"cmp"
	"maps"
	"slices"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Conversions between the wire (api) and the domain (fleet). Those into the
// domain fill in the documented defaults, those onto the wire turn absent lists
// and maps into empty ones. Nothing shares memory with its source.

func definitionToAPI(d fleet.Definition) api.Definition {
	return api.Definition{
		ID:                     d.ID,
		Name:                   d.Name,
		ServiceName:            d.ServiceName,
		ImageName:              d.ImageName,
		ImageTag:               d.ImageTag,
		RegistryURL:            d.RegistryURL,
		HasRegistryCredentials: d.HasCredentials,
		EnvironmentConfig:      filled(d.Environment),
		ResourceLimits:         resourcesToAPI(d.Resources),
		HealthCheckConfig:      optional(d.HealthCheck, healthCheckToAPI),
		ScalingConfig:          scalingToAPI(d.Scaling),
		NetworkConfig:          networkConfigToAPI(d.Network),
		VolumeMounts:           list(d.Volumes, volumeToAPI),
		RuntimeConfig:          runtimeToAPI(d.Runtime),
		Revision:               d.Revision,
		IsActive:               d.IsActive,
		CreatedBy:              d.CreatedBy,
		CreatedAt:              d.CreatedAt,
		UpdatedAt:              d.UpdatedAt,
	}
}

// definitionFromAPI is the definition that a request asks for, without
// identifier and times, which the store sets.
func definitionFromAPI(r api.CreateDefinitionRequest) fleet.Definition {
	return fleet.Definition{
		Spec: fleet.Spec{
			Name:        r.Name,
			ServiceName: r.ServiceName,
			ImageName:   r.ImageName,
			ImageTag:    cmp.Or(r.ImageTag, fleet.DefaultImageTag),
			RegistryURL: r.RegistryURL,
			Environment: filled(r.EnvironmentConfig),
			Resources:   resourcesFromAPI(r.ResourceLimits),
			HealthCheck: optional(r.HealthCheckConfig, healthCheckFromAPI),
			Scaling:     scalingFromAPI(r.ScalingConfig),
			Network:     networkConfigFromAPI(valueOf(r.NetworkConfig)),
			Volumes:     list(r.VolumeMounts, volumeFromAPI),
			Runtime:     runtimeFromAPI(valueOf(r.RuntimeConfig)),
		},
		HasCredentials: r.RegistryCredentials != nil,
		IsActive:       true,
	}
}

// applyDefinition changes what the request gives and leaves the rest.
func applyDefinition(d *fleet.Definition, r api.UpdateDefinitionRequest) {
	assign(&d.Name, r.Name)
	assign(&d.ServiceName, r.ServiceName)
	assign(&d.ImageName, r.ImageName)
	assign(&d.ImageTag, r.ImageTag)
	assign(&d.RegistryURL, r.RegistryURL)
	convertInto(&d.Environment, r.EnvironmentConfig, filled[string])
	convertInto(&d.Resources, r.ResourceLimits, resourcesFromAPI)
	if r.HealthCheckConfig.Set {
		d.HealthCheck = optional(r.HealthCheckConfig.Value, healthCheckFromAPI)
	}
	convertInto(&d.Scaling, r.ScalingConfig, scalingFromAPI)
	convertInto(&d.Network, r.NetworkConfig, networkConfigFromAPI)
	convertInto(&d.Volumes, r.VolumeMounts, func(v []api.VolumeMount) []fleet.VolumeMount { return list(v, volumeFromAPI) })
	convertInto(&d.Runtime, r.RuntimeConfig, runtimeFromAPI)
}

func credentialsFromAPI(c api.RegistryCredentials) fleet.RegistryCredentials {
	return fleet.RegistryCredentials{Username: c.Username, Password: c.Password}
}

func credentialsChangeFromAPI(c api.Optional[api.RegistryCredentials]) fleet.CredentialsChange {
	return fleet.CredentialsChange{Set: c.Set, Value: optional(c.Value, credentialsFromAPI)}
}

func resourcesToAPI(r fleet.Resources) api.ResourceLimits {
	return api.ResourceLimits{CPU: r.CPU, Memory: r.Memory, Storage: r.Storage}
}

func resourcesFromAPI(r api.ResourceLimits) fleet.Resources {
	return fleet.Resources{CPU: r.CPU, Memory: r.Memory, Storage: r.Storage}
}

// healthCheckToAPI fills in what was stored before there were types.
func healthCheckToAPI(h fleet.HealthCheck) api.HealthCheckConfig {
	return api.HealthCheckConfig{
		Type:           h.Kind(),
		Endpoint:       h.Endpoint,
		Port:           h.Port,
		ExpectedStatus: slices.Clone(h.ExpectedStatus),
		Headers:        maps.Clone(h.Headers),
		Command:        slices.Clone(h.Command),
		Interval:       h.Interval,
		Timeout:        h.Timeout,
		Retries:        h.Retries,
		Rise:           cmp.Or(h.Rise, fleet.DefaultHealthRise),
		StartPeriod:    h.StartPeriod,
	}
}

func healthCheckFromAPI(h api.HealthCheckConfig) fleet.HealthCheck {
	return fleet.HealthCheck{
		Type:           cmp.Or(h.Type, fleet.DefaultHealthType),
		Endpoint:       h.Endpoint,
		Port:           h.Port,
		ExpectedStatus: slices.Clone(h.ExpectedStatus),
		Headers:        maps.Clone(h.Headers),
		Command:        slices.Clone(h.Command),
		Interval:       cmp.Or(h.Interval, fleet.DefaultHealthPeriod),
		Timeout:        cmp.Or(h.Timeout, fleet.DefaultHealthTimeout),
		Retries:        cmp.Or(h.Retries, fleet.DefaultHealthRetries),
		Rise:           cmp.Or(h.Rise, fleet.DefaultHealthRise),
		StartPeriod:    h.StartPeriod,
	}
}

func scalingToAPI(s fleet.Scaling) api.ScalingConfig {
	return api.ScalingConfig{
		MinReplicas: s.MinReplicas, MaxReplicas: s.MaxReplicas,
		TargetCPU: s.TargetCPU, TargetMemory: s.TargetMemory,
	}
}

func scalingFromAPI(s api.ScalingConfig) fleet.Scaling {
	return fleet.Scaling{
		MinReplicas: s.MinReplicas, MaxReplicas: s.MaxReplicas,
		TargetCPU:    cmp.Or(s.TargetCPU, fleet.DefaultTargetCPU),
		TargetMemory: cmp.Or(s.TargetMemory, fleet.DefaultTargetMemory),
	}
}

func networkConfigToAPI(n fleet.NetworkConfig) api.NetworkConfig {
	return api.NetworkConfig{
		Ports:            slices.Clone(n.Ports),
		InternalNetworks: slices.Clone(n.InternalNetworks),
		ExternalNetworks: slices.Clone(n.ExternalNetworks),
		PublishPorts:     n.PublishPorts,
	}
}

func networkConfigFromAPI(n api.NetworkConfig) fleet.NetworkConfig {
	return fleet.NetworkConfig{
		Ports:            slices.Clone(n.Ports),
		InternalNetworks: slices.Clone(n.InternalNetworks),
		ExternalNetworks: slices.Clone(n.ExternalNetworks),
		PublishPorts:     n.PublishPorts,
	}
}

func volumeToAPI(v fleet.VolumeMount) api.VolumeMount {
	return api.VolumeMount{Source: v.Source, Target: v.Target, ReadOnly: v.ReadOnly}
}

func volumeFromAPI(v api.VolumeMount) fleet.VolumeMount {
	return fleet.VolumeMount{Source: v.Source, Target: v.Target, ReadOnly: v.ReadOnly}
}

func runtimeToAPI(r fleet.RuntimeConfig) api.RuntimeConfig {
	return api.RuntimeConfig{
		Entrypoint:             slices.Clone(r.Entrypoint),
		Command:                slices.Clone(r.Command),
		User:                   r.User,
		ReadOnlyRootFilesystem: r.ReadOnlyRootFilesystem,
		Tmpfs:                  slices.Clone(r.Tmpfs),
		Labels:                 maps.Clone(r.Labels),
		StopTimeout:            r.StopTimeout,
		LogMaxSize:             r.LogMaxSize,
		LogMaxFiles:            r.LogMaxFiles,
		PullPolicy:             r.PullPolicy,
	}
}

func runtimeFromAPI(r api.RuntimeConfig) fleet.RuntimeConfig {
	return fleet.RuntimeConfig{
		Entrypoint:             slices.Clone(r.Entrypoint),
		Command:                slices.Clone(r.Command),
		User:                   r.User,
		ReadOnlyRootFilesystem: r.ReadOnlyRootFilesystem,
		Tmpfs:                  slices.Clone(r.Tmpfs),
		Labels:                 maps.Clone(r.Labels),
		StopTimeout:            cmp.Or(r.StopTimeout, fleet.DefaultStopTimeout),
		LogMaxSize:             cmp.Or(r.LogMaxSize, fleet.DefaultLogMaxSize),
		LogMaxFiles:            cmp.Or(r.LogMaxFiles, fleet.DefaultLogMaxFiles),
		PullPolicy:             cmp.Or(r.PullPolicy, fleet.PullIfNotPresent),
	}
}

// rolloutFromAPI fills in the defaults, which depend on what starts first.
func rolloutFromAPI(c api.RolloutConfig) grammar.Rollout {
	r := grammar.DefaultRollout(c.StartFirst == nil || *c.StartFirst)
	assign(&r.MaxSurge, c.MaxSurge)
	assign(&r.MaxUnavailable, c.MaxUnavailable)
	assign(&r.MinHealthyTime, c.MinHealthyTime)
	assign(&r.HealthyDeadline, c.HealthyDeadline)
	assign(&r.ProgressDeadline, c.ProgressDeadline)
	convertInto(&r.CanarySteps, c.CanarySteps, func(s []api.CanaryStep) []grammar.CanaryStep { return list(s, canaryStepFromAPI) })
	assign(&r.AutoPromote, c.AutoPromote)
	assign(&r.KeepWarmTime, c.KeepWarmTime)
	assign(&r.DrainTime, c.DrainTime)
	return r
}

// rolloutToAPI gives every setting.
func rolloutToAPI(r grammar.Rollout) api.RolloutConfig {
	steps := list(r.CanarySteps, canaryStepToAPI)
	return api.RolloutConfig{
		MaxSurge:         &r.MaxSurge,
		MaxUnavailable:   &r.MaxUnavailable,
		StartFirst:       &r.StartFirst,
		MinHealthyTime:   &r.MinHealthyTime,
		HealthyDeadline:  &r.HealthyDeadline,
		ProgressDeadline: &r.ProgressDeadline,
		CanarySteps:      &steps,
		AutoPromote:      &r.AutoPromote,
		KeepWarmTime:     &r.KeepWarmTime,
		DrainTime:        &r.DrainTime,
	}
}

func canaryStepFromAPI(s api.CanaryStep) grammar.CanaryStep {
	return grammar.CanaryStep{Weight: s.Weight, Pause: s.Pause}
}

func canaryStepToAPI(s grammar.CanaryStep) api.CanaryStep {
	return api.CanaryStep{Weight: s.Weight, Pause: s.Pause}
}

func networkToAPI(n fleet.Network) api.Network {
	return api.Network{
		ID:            n.ID,
		NetworkName:   n.Name,
		NetworkType:   string(n.Type),
		Environment:   n.Environment,
		Subnet:        n.Subnet,
		Gateway:       n.Gateway,
		DNSConfig:     dnsToAPI(n.DNS),
		NetworkConfig: networkSettingsToAPI(n.Settings),
		EngineName:    n.EngineName(),
		IsActive:      n.IsActive,
		CreatedAt:     n.CreatedAt,
	}
}

// networkFromAPI is the network that a request asks for, without identifier and
// times, which the store sets.
func networkFromAPI(r api.CreateNetworkRequest) fleet.Network {
	return fleet.Network{
		Name:        r.NetworkName,
		Type:        fleet.NetworkType(r.NetworkType),
		Environment: r.Environment,
		Subnet:      r.Subnet,
		Gateway:     r.Gateway,
		DNS:         dnsFromAPI(valueOf(r.DNSConfig)),
		Settings:    networkSettingsFromAPI(valueOf(r.NetworkConfig)),
		IsActive:    true,
	}
}

// applyNetwork changes what the request gives and leaves the rest.
func applyNetwork(n *fleet.Network, r api.UpdateNetworkRequest) {
	convertInto(&n.Type, r.NetworkType, func(t string) fleet.NetworkType { return fleet.NetworkType(t) })
	assign(&n.Subnet, r.Subnet)
	assign(&n.Gateway, r.Gateway)
	convertInto(&n.DNS, r.DNSConfig, dnsFromAPI)
	convertInto(&n.Settings, r.NetworkConfig, networkSettingsFromAPI)
}

func dnsToAPI(d fleet.DNSConfig) api.DNSConfig {
	return api.DNSConfig{Servers: slices.Clone(d.Servers), Search: slices.Clone(d.Search), Options: slices.Clone(d.Options)}
}

func dnsFromAPI(d api.DNSConfig) fleet.DNSConfig {
	return fleet.DNSConfig{Servers: slices.Clone(d.Servers), Search: slices.Clone(d.Search), Options: slices.Clone(d.Options)}
}

func networkSettingsToAPI(s fleet.NetworkSettings) api.NetworkSettings {
	return api.NetworkSettings{EnableIPv6: s.EnableIPv6, MTU: s.MTU, Labels: maps.Clone(s.Labels)}
}

func networkSettingsFromAPI(s api.NetworkSettings) fleet.NetworkSettings {
	return fleet.NetworkSettings{EnableIPv6: s.EnableIPv6, MTU: s.MTU, Labels: maps.Clone(s.Labels)}
}

// assign sets what is given.
func assign[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// convertInto sets what is given, converted.
func convertInto[From, To any](to *To, from *From, convert func(From) To) {
	if from != nil {
		*to = convert(*from)
	}
}

// optional converts what is there.
func optional[From, To any](from *From, convert func(From) To) *To {
	if from == nil {
		return nil
	}
	to := convert(*from)
	return &to
}

// valueOf is what is there, or its zero value.
func valueOf[T any](v *T) T {
	if v == nil {
		return *new(T)
	}
	return *v
}

// filled is a copy that is never nil.
func filled[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}
