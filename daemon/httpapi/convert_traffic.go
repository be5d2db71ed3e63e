package httpapi

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Conversions of what decides where requests go.

func endpointToAPI(e fleet.Endpoint) api.ServiceInstance {
	return api.ServiceInstance{
		InstanceID:         e.ID,
		EndpointURL:        e.URL,
		HealthCheckURL:     e.HealthCheckURL,
		IsHealthy:          e.Healthy,
		LoadBalancerWeight: e.Weight,
		LastHeartbeat:      e.LastHeartbeat,
		Metadata:           filled(e.Metadata),
		ImageTag:           e.ImageTag,
		DeploymentID:       e.DeploymentID,
		External:           e.External(),
		RegisteredAt:       e.RegisteredAt,
		TTLSeconds:         int(e.TTL / time.Second),
	}
}

// endpointFromAPI is the endpoint that a request registers, without identifier and
// times, which the store sets.
func endpointFromAPI(serviceName string, r api.RegisterEndpointRequest) fleet.Endpoint {
	weight := fleet.MaxWeight
	assign(&weight, r.LoadBalancerWeight)
	return fleet.Endpoint{
		ServiceName:    serviceName,
		Environment:    r.Environment,
		URL:            r.EndpointURL,
		HealthCheckURL: r.HealthCheckURL,
		Healthy:        true,
		Weight:         weight,
		Metadata:       maps.Clone(r.Metadata),
		TTL:            time.Duration(cmp.Or(r.TTLSeconds, defaultTTL)) * time.Second,
	}
}

// defaultTTL is that of an endpoint, in seconds.
const defaultTTL = 30

func heartbeatFromAPI(endpointID string, r api.HeartbeatRequest, at time.Time) fleet.Heartbeat {
	return fleet.Heartbeat{EndpointID: endpointID, Status: fleet.HeartbeatStatus(cmp.Or(r.Status, api.HeartbeatPassing)), At: at}
}

// serviceToAPI is a service of an environment with some of its endpoints.
func serviceToAPI(name, environment string, endpoints []fleet.Endpoint) api.Service {
	s := api.Service{
		ServiceName:    name,
		Environment:    environment,
		Instances:      list(endpoints, endpointToAPI),
		TotalInstances: len(endpoints),
	}
	for _, e := range endpoints {
		if e.Healthy {
			s.HealthyInstances++
		}
	}
	return s
}

// servicesToAPI groups endpoints that are by service and environment.
func servicesToAPI(endpoints []fleet.Endpoint) []api.Service {
	services := []api.Service{}
	for len(endpoints) > 0 {
		first, n := endpoints[0], 1
		for n < len(endpoints) && endpoints[n].ServiceName == first.ServiceName && endpoints[n].Environment == first.Environment {
			n++
		}
		services = append(services, serviceToAPI(first.ServiceName, first.Environment, endpoints[:n]))
		endpoints = endpoints[n:]
	}
	return services
}

// filterFromAPI is what a discovery asks for.
func filterFromAPI(serviceName string, r api.DiscoverRequest) fleet.EndpointFilter {
	f := valueOf(r.Filters)
	return fleet.EndpointFilter{
		ServiceName:  serviceName,
		Environment:  r.Environment,
		Healthy:      f.IsHealthy,
		ImageTag:     f.ImageTag,
		DeploymentID: f.DeploymentID,
		Metadata:     maps.Clone(f.Metadata),
	}
}

func routeToAPI(r fleet.Route) api.Route {
	return api.Route{
		ID:              r.ID,
		Name:            r.Name,
		Environment:     r.Environment,
		ServiceName:     r.ServiceName,
		Hosts:           append([]string{}, r.Hosts...),
		PathPrefixes:    append([]string{}, r.PathPrefixes...),
		Strategy:        r.Settings.Strategy,
		StickyCookie:    r.Settings.StickyCookie,
		CanaryHeader:    r.Settings.CanaryHeader,
		CanaryCookie:    r.Settings.CanaryCookie,
		StripPrefix:     r.Settings.StripPrefix,
		RequireTLS:      r.Settings.RequireTLS,
		MaxBodySize:     r.Settings.MaxBodySize,
		MaxHeaderSize:   r.Settings.MaxHeaderSize,
		ResponseTimeout: r.Settings.ResponseTimeout,
		IdleTimeout:     r.Settings.IdleTimeout,
		MaxRequests:     r.Settings.MaxRequests,
		CreatedBy:       r.CreatedBy,
		CreatedAt:       r.CreatedAt,
		UpdatedAt:       r.UpdatedAt,
	}
}

// routeFromAPI is the route that a request asks for, without identifier and times,
// which the store sets.
func routeFromAPI(r api.CreateRouteRequest) fleet.Route {
	defaults := grammar.DefaultRouting()
	prefixes := slices.Clone(r.PathPrefixes)
	if prefixes == nil {
		prefixes = []string{"/"}
	}
	return fleet.Route{
		Name:         r.Name,
		Environment:  r.Environment,
		ServiceName:  r.ServiceName,
		Hosts:        slices.Clone(r.Hosts),
		PathPrefixes: prefixes,
		Settings: grammar.Routing{
			Strategy:        cmp.Or(r.Strategy, defaults.Strategy),
			StickyCookie:    r.StickyCookie,
			CanaryHeader:    r.CanaryHeader,
			CanaryCookie:    r.CanaryCookie,
			StripPrefix:     r.StripPrefix,
			RequireTLS:      r.RequireTLS,
			MaxBodySize:     cmp.Or(r.MaxBodySize, defaults.MaxBodySize),
			MaxHeaderSize:   cmp.Or(r.MaxHeaderSize, defaults.MaxHeaderSize),
			ResponseTimeout: cmp.Or(r.ResponseTimeout, defaults.ResponseTimeout),
			IdleTimeout:     cmp.Or(r.IdleTimeout, defaults.IdleTimeout),
			MaxRequests:     cmp.Or(r.MaxRequests, defaults.MaxRequests),
		},
	}
}

// applyRoute changes what the request gives and leaves the rest.
func applyRoute(to *fleet.Route, r api.UpdateRouteRequest) {
	assign(&to.ServiceName, r.ServiceName)
	convertInto(&to.Hosts, r.Hosts, slices.Clone[[]string])
	convertInto(&to.PathPrefixes, r.PathPrefixes, slices.Clone[[]string])
	s := &to.Settings
	assign(&s.Strategy, r.Strategy)
	assign(&s.StickyCookie, r.StickyCookie)
	assign(&s.CanaryHeader, r.CanaryHeader)
	assign(&s.CanaryCookie, r.CanaryCookie)
	assign(&s.StripPrefix, r.StripPrefix)
	assign(&s.RequireTLS, r.RequireTLS)
	assign(&s.MaxBodySize, r.MaxBodySize)
	assign(&s.MaxHeaderSize, r.MaxHeaderSize)
	assign(&s.ResponseTimeout, r.ResponseTimeout)
	assign(&s.IdleTimeout, r.IdleTimeout)
	assign(&s.MaxRequests, r.MaxRequests)
}
