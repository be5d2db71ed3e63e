package fleet

import (
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// MaxWeight is the weight of an endpoint that nobody has set another for.
const MaxWeight = 100

// Endpoint is one address at which a service answers: that of an instance, or of
// something that wedsyncd does not run.
type Endpoint struct {
	// ID is the identifier of its entry in the registry.
	ID          string
	ServiceName string
	Environment string
	// URL is scheme, host and port, such as "http://172.18.0.4:8080".
	URL string
	// HealthCheckURL is what is checked; empty where nothing is.
	HealthCheckURL string
	// Healthy is the newest verdict. Only healthy endpoints get requests.
	Healthy bool
	// Weight is its share beside its siblings, 0 to MaxWeight; at 0 it gets no new request.
	Weight   int
	Metadata map[string]string
	// InstanceID, DefinitionID, DeploymentID and ImageTag are those of the instance;
	// empty for an endpoint that wedsyncd does not run.
	InstanceID, DefinitionID, DeploymentID, ImageTag string
	RegisteredAt                                     time.Time
	// LastHeartbeat is when it last proved to be there.
	LastHeartbeat time.Time
	// TTL is how long it stays without a heartbeat; zero for an instance, of which
	// the engine tells.
	TTL time.Duration
}

// External reports whether the endpoint is of something that wedsyncd does not run.
func (e Endpoint) External() bool { return e.InstanceID == "" }

// Service is a name under which instances answer in an environment.
type Service struct{ Name, Environment string }

// Service is the one that the endpoint belongs to.
func (e Endpoint) Service() Service { return Service{Name: e.ServiceName, Environment: e.Environment} }

// HeartbeatStatus is what a heartbeat says of its endpoint.
type HeartbeatStatus string

// Statuses of heartbeats.
const (
	// HeartbeatPassing says that the endpoint can take requests.
	HeartbeatPassing HeartbeatStatus = "passing"
	// HeartbeatCritical says that it is there and cannot.
	HeartbeatCritical HeartbeatStatus = "critical"
	// HeartbeatSilent says that it is there, and nothing about its health.
	HeartbeatSilent HeartbeatStatus = ""
)

// Heartbeat is a sign of life of an external endpoint.
type Heartbeat struct {
	EndpointID string
	Status     HeartbeatStatus
	// At is when it came, by the clock of the daemon that it came to.
	At time.Time
}

// Expiry is an external endpoint that goes because its heartbeats stay away.
type Expiry struct {
	EndpointID string
	// Probe is how a probe failed before; empty when there was none.
	Probe string
}

// Registry is all that is registered, as of one moment.
type Registry struct {
	// Index is 0 before anything was read, and higher after every change that can be
	// seen from outside; heartbeats are none. It goes on rising after a restart.
	Index uint64
	// Services are those that have endpoints, by name and environment.
	Services []RegisteredService
	// Superseded is closed when there is a newer one.
	Superseded <-chan struct{}
	// Closed says that there will be no newer one.
	Closed bool
}

// RegisteredService is a service with its endpoints.
type RegisteredService struct {
	Service
	// Index is that of the registry in which the service last changed.
	Index uint64
	// Endpoints are by identifier.
	Endpoints []Endpoint
}

// Split shares the requests of one workload out between the replicas of the
// deployment in progress and those that were there before.
type Split struct {
	DefinitionID string
	Environment  string
	DeploymentID string
	// Weight is the share of the deployment's own replicas, in percent.
	Weight int
}

// Route leads requests to a service.
type Route struct {
	ID          string
	Name        string
	Environment string
	ServiceName string
	// Hosts are the names that it answers to; none stands for the service's own,
	// SERVICE.ENVIRONMENT and the daemon's domain.
	Hosts []string
	// PathPrefixes are the paths that it takes; the longest one that fits wins.
	PathPrefixes []string
	Settings     grammar.Routing
	CreatedBy    string
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Traffic is all that decides where requests go, as of one moment.
type Traffic struct {
	// Services are those that are meant to run, whether they have endpoints or not.
	Services []Service
	// Endpoints are by service, environment and identifier.
	Endpoints []Endpoint
	// Draining are the instances that are out of service and run on until their
	// requests have ended.
	Draining []string
	Splits   []Split
	Routes   []Route
}

// Load is what a balancer measured of one endpoint in the last second.
type Load struct {
	ServiceName string
	Environment string
	EndpointID  string
	// RequestRate and ErrorRate are answers per second; errors are those of status 500 and above.
	RequestRate, ErrorRate float64
	// InFlight is the number of requests under way.
	InFlight int
	// P50, P95 and P99 are quantiles of the response time, in milliseconds; zero without answers.
	P50, P95, P99 float64
	MeasuredAt    time.Time
}

// EndpointFilter selects endpoints; empty fields select all.
type EndpointFilter struct {
	ServiceName, Environment string
	Healthy                  *bool
	// ImageTag and DeploymentID select by what runs.
	ImageTag, DeploymentID string
	// Metadata are entries that an endpoint must have.
	Metadata map[string]string
}

// RouteFilter selects routes; empty fields select all.
type RouteFilter struct {
	Environment, ServiceName, Name string
}
