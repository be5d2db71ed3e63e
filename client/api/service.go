package api

import "time"

// ServiceInstance is one address at which a service answers: that of an instance,
// or of something that wedsyncd does not run.
type ServiceInstance struct {
	InstanceID         string            `json:"instance_id" doc:"Identifier of the instance; of the endpoint itself when external." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a13" format:"uuid"`
	EndpointURL        string            `json:"endpoint_url" doc:"Scheme, host and port." example:"http://172.18.0.4:8080"`
	HealthCheckURL     string            `json:"health_check_url" doc:"What is checked; empty where nothing is." example:"http://172.18.0.4:8080/health"`
	IsHealthy          bool              `json:"is_healthy" doc:"Newest verdict; only healthy endpoints get requests." example:"true"`
	LoadBalancerWeight int               `json:"load_balancer_weight" doc:"Share beside its siblings, 0 to 100; at 0 it gets no new request." example:"100"`
	LastHeartbeat      time.Time         `json:"last_heartbeat" doc:"When it last proved to be there." example:"2026-06-06T08:30:30Z"`
	Metadata           map[string]string `json:"metadata" doc:"What else it was registered with." example:"{\"zone\":\"eu-1\"}" nullable:"false"`
	ImageTag           string            `json:"image_tag" doc:"Image tag that it runs; empty when external." example:"v1.4.2"`
	DeploymentID       string            `json:"deployment_id" doc:"Deployment that it belongs to; empty when external." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14"`
	External           bool              `json:"external" doc:"Whether it is something that wedsyncd does not run." example:"false"`
	RegisteredAt       time.Time         `json:"registered_at" doc:"When it was registered." example:"2026-06-06T08:30:00Z"`
	TTLSeconds         int               `json:"ttl_seconds,omitempty" doc:"Seconds that an external endpoint stays without a heartbeat; absent for an instance, of which the engine tells." example:"30"`
}

// Service is what answers under one name in one environment.
type Service struct {
	ServiceName      string            `json:"service_name" doc:"Name of the service." example:"api"`
	Environment      string            `json:"environment" doc:"Environment of the endpoints." example:"staging"`
	Instances        []ServiceInstance `json:"instances" doc:"Its endpoints, by identifier. Those that drain are not there any more." nullable:"false"`
	TotalInstances   int               `json:"total_instances" doc:"Number of the endpoints." example:"3"`
	HealthyInstances int               `json:"healthy_instances" doc:"Number of the healthy ones." example:"2"`
}

// ServiceList is every service that matches, by name and environment. It has no
// pages: services are few.
type ServiceList struct {
	Services []Service `json:"services" doc:"All services that match, by name and environment." nullable:"false"`
}

// ListServicesOptions select services.
type ListServicesOptions struct {
	// Environment selects the services of one environment.
	Environment string
	// ServiceName selects the service of this name, in each environment that has it.
	ServiceName string
}

// ServiceFilters select endpoints of a service: those that all given filters fit.
type ServiceFilters struct {
	IsHealthy    *bool             `json:"is_healthy,omitempty" doc:"Only healthy endpoints, or only the others." example:"true"`
	ImageTag     string            `json:"image_tag,omitempty" doc:"Only instances of this image tag." example:"v1.4.2" maxLength:"128"`
	DeploymentID string            `json:"deployment_id,omitempty" doc:"Only instances of this deployment." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14" format:"uuid"`
	Metadata     map[string]string `json:"metadata,omitempty" doc:"Only endpoints that were registered with all of these." example:"{\"zone\":\"eu-1\"}" nullable:"false"`
}

// DiscoverRequest is the body of POST /api/containers/services/{service_name}/discover.
type DiscoverRequest struct {
	Environment string          `json:"environment" doc:"Environment to look in." example:"staging" maxLength:"63"`
	Filters     *ServiceFilters `json:"filters,omitempty" doc:"Which endpoints to return; all when left out."`
}

// Statuses of heartbeats.
const (
	// HeartbeatPassing says that the endpoint can take requests.
	HeartbeatPassing = "passing"
	// HeartbeatCritical says that it is there and cannot.
	HeartbeatCritical = "critical"
)

// RegisterEndpointRequest is the body of POST
// /api/containers/services/{service_name}/endpoints.
type RegisterEndpointRequest struct {
	Environment        string            `json:"environment" doc:"Environment that the endpoint belongs to." example:"staging" maxLength:"63"`
	EndpointURL        string            `json:"endpoint_url" doc:"Scheme, host and port, which are its identity beside service and environment: registering the same ones again renews the endpoint." example:"http://10.20.0.7:8080" maxLength:"512"`
	HealthCheckURL     string            `json:"health_check_url,omitempty" doc:"What is requested to see whether it is there, before many endpoints of a service expire at once; a connection is made when left out." example:"http://10.20.0.7:8080/health" maxLength:"2048"`
	TTLSeconds         int               `json:"ttl_seconds,omitempty" doc:"Seconds that it stays without a heartbeat." example:"30" default:"30" minimum:"5" maximum:"86400"`
	LoadBalancerWeight *int              `json:"load_balancer_weight,omitempty" doc:"Share beside its siblings; at 0 it gets no new request." example:"100" default:"100" minimum:"0" maximum:"100"`
	Metadata           map[string]string `json:"metadata,omitempty" doc:"What else is to be known of it, at most 64 entries; they take the place of earlier ones." example:"{\"zone\":\"eu-1\"}" nullable:"false"`
}

// HeartbeatRequest is the body of PUT
// /api/containers/services/{service_name}/endpoints/{endpoint_id}/heartbeat. It may be left out.
type HeartbeatRequest struct {
	Status string `json:"status,omitempty" doc:"Whether the endpoint can take requests." example:"passing" default:"passing" enum:"passing,critical"`
}

// ServiceRemoved says, on the stream of services, that a service has no endpoint any more.
type ServiceRemoved struct {
	ServiceName string `json:"service_name" doc:"Name of the service." example:"api"`
	Environment string `json:"environment" doc:"Environment that it had endpoints in." example:"staging"`
}

// Events of the stream of services: each has one of these names, and as its data
// the JSON of the type that is named here.
const (
	// EventSnapshot comes first: a [ServiceList] of all services that match.
	EventSnapshot = "snapshot"
	// EventService is a [Service] that is new or has changed, whole.
	EventService = "service"
	// EventRemoved is a [ServiceRemoved].
	EventRemoved = "removed"
)

// WeightRequest is the body of PUT
// /api/containers/services/{service_name}/instances/{instance_id}/weight.
type WeightRequest struct {
	Weight int    `json:"weight" doc:"Share beside its siblings; at 0 it gets no new request." example:"50" minimum:"0" maximum:"100"`
	Reason string `json:"reason,omitempty" doc:"Why, for the audit trail." example:"warming its cache" maxLength:"500"`
}
