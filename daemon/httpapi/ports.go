package httpapi

import (
	"context"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Store is what the API reads and writes directly. Every method acts for the
// principal of the context's call, under row level security; ErrNotFound also
// stands for what the principal may not see.
type Store interface {
	// CreateDefinition stores a definition at revision 1. ErrAlreadyExists when the name is taken.
	CreateDefinition(ctx context.Context, d fleet.Definition, credentials *fleet.RegistryCredentials) (fleet.Definition, error)
	Definition(ctx context.Context, id string) (fleet.Definition, error)
	ListDefinitions(ctx context.Context, f fleet.DefinitionFilter, p fleet.Page) (fleet.Result[fleet.Definition], error)
	// UpdateDefinition reads, changes and writes a definition under a row lock and
	// raises its revision if something changed.
	UpdateDefinition(ctx context.Context, id string, credentials fleet.CredentialsChange, change func(*fleet.Definition) error) (fleet.Definition, error)
	// DeleteDefinition marks it deleted. ErrInUse while it is deployed.
	DeleteDefinition(ctx context.Context, id string) error

	Network(ctx context.Context, id string) (fleet.Network, error)
	ListNetworks(ctx context.Context, f fleet.NetworkFilter, p fleet.Page) (fleet.Result[fleet.Network], error)

	Instance(ctx context.Context, id string) (fleet.Instance, error)
	ListInstances(ctx context.Context, f fleet.InstanceFilter, p fleet.Page) (fleet.Result[fleet.Instance], error)

	// Metrics reads what an instance used. ErrNotFound, ErrInvalid when there is too much of it.
	Metrics(ctx context.Context, r fleet.MetricRange) (fleet.InstanceMetrics, error)
	// PostMetrics stores all of the metrics or none. ErrNotFound when there is no such
	// instance, ErrConflict when it is terminated.
	PostMetrics(ctx context.Context, instanceID string, metrics []fleet.PostedMetric) error

	Deployment(ctx context.Context, id string) (fleet.Deployment, error)
	ListDeployments(ctx context.Context, f fleet.DeploymentFilter, p fleet.Page) (fleet.Result[fleet.Deployment], error)
	// DeploymentInstances lists every instance of a deployment, terminated ones too.
	DeploymentInstances(ctx context.Context, id string) ([]fleet.Instance, error)

	// Endpoints lists the registry, by service, environment and identifier.
	Endpoints(ctx context.Context, f fleet.EndpointFilter) ([]fleet.Endpoint, error)
	// SetWeight changes an endpoint's share beside its siblings. instanceID is the
	// endpoint's identifier, which for an instance is its own. ErrNotFound when the
	// service has no such endpoint.
	SetWeight(ctx context.Context, serviceName, instanceID string, weight int, reason string) (fleet.Endpoint, error)

	// Endpoint is one of them.
	Endpoint(ctx context.Context, id string) (fleet.Endpoint, error)
	// RegisterEndpoint puts an external endpoint into the registry, healthy and as if a
	// heartbeat had come; or, where its service, environment and URL are there already,
	// renews and replaces what is there, whose identifier stays.
	RegisterEndpoint(ctx context.Context, e fleet.Endpoint) (fleet.Endpoint, error)
	// DeregisterEndpoint takes an external one out. ErrNotFound when the service has no
	// such endpoint, ErrConflict when it is that of an instance.
	DeregisterEndpoint(ctx context.Context, serviceName, id string) error

	// CreateRoute stores a route. ErrAlreadyExists when the environment has one of
	// the name, ErrConflict when another environment has one of the hosts or
	// another route one of the paths.
	CreateRoute(ctx context.Context, r fleet.Route) (fleet.Route, error)
	Route(ctx context.Context, id string) (fleet.Route, error)
	ListRoutes(ctx context.Context, f fleet.RouteFilter, p fleet.Page) (fleet.Result[fleet.Route], error)
	// UpdateRoute reads, changes and writes a route under a row lock; ErrConflict as CreateRoute.
	UpdateRoute(ctx context.Context, id string, change func(*fleet.Route) error) (fleet.Route, error)
	DeleteRoute(ctx context.Context, id string) error

	// CreateScalingPolicy stores a policy. ErrNotFound when the definition does not
	// exist, ErrAlreadyExists when it has a policy of the name in the environment,
	// ErrInvalid beyond its range, ErrConflict when an enabled policy works against
	// this one or there are too many.
	CreateScalingPolicy(ctx context.Context, p fleet.ScalingPolicy) (fleet.ScalingPolicy, error)
	ScalingPolicy(ctx context.Context, id string) (fleet.ScalingPolicy, error)
	ListScalingPolicies(ctx context.Context, f fleet.ScalingPolicyFilter, p fleet.Page) (fleet.Result[fleet.ScalingPolicy], error)
	// UpdateScalingPolicy reads, changes and writes a policy under a row lock;
	// ErrInvalid and ErrConflict as CreateScalingPolicy.
	UpdateScalingPolicy(ctx context.Context, id string, change func(*fleet.ScalingPolicy) error) (fleet.ScalingPolicy, error)
	DeleteScalingPolicy(ctx context.Context, id string) error
	// ListScalingDecisions lists what the autoscaler has decided, newest first.
	ListScalingDecisions(ctx context.Context, f fleet.ScalingDecisionFilter, p fleet.Page) (fleet.Result[fleet.ScalingDecision], error)

	// WorkloadSeries tells, for each step from one time to another in which any replica
	// reported, what the replicas did; ErrInvalid when there are too many steps.
	WorkloadSeries(ctx context.Context, w fleet.Workload, keys []fleet.MetricKey, from, to time.Time, step time.Duration) ([]fleet.WorkloadPoint, error)

	ListEvents(ctx context.Context, f fleet.EventFilter, p fleet.Page) (fleet.Result[fleet.Event], error)

	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
}

// Deployer accepts deployments, commands to them, actions and changes of networks.
type Deployer interface {
	// Deploy starts a rollout. ErrNotFound, ErrConflict (another revision than
	// asked for), ErrImageNotFound, ErrInvalid with the fields at fault (a network
	// that the environment lacks, a deadline that the health check outlasts), ErrUnavailable.
	Deploy(ctx context.Context, r fleet.DeployRequest) (fleet.Deployment, error)
	// Remove starts taking the definition out of the environment; ErrNotFound when it is not deployed there.
	Remove(ctx context.Context, w fleet.Workload) (fleet.Deployment, error)
	// Rollback starts bringing back what an earlier deployment ran. ErrNotFound,
	// ErrInvalid with the field at fault, ErrConflict when the current state speaks
	// against it and the request does not force it.
	Rollback(ctx context.Context, r fleet.RollbackRequest) (fleet.Deployment, error)
	// Scale starts changing the number of replicas of what is live. ErrNotFound when
	// nothing is, ErrInvalid beyond the definition's range, ErrConflict while a
	// deployment is in progress.
	Scale(ctx context.Context, r fleet.ScaleRequest) (fleet.Deployment, error)
	// Steer carries a command into a deployment in progress. ErrNotFound,
	// ErrConflict when it has ended or the command does not fit it.
	Steer(ctx context.Context, id string, command fleet.Command, reason string) (fleet.Deployment, error)
	// Act asks for an action; ErrConflict when the instance is terminated.
	Act(ctx context.Context, instanceID string, action fleet.Action, force bool, reason string) (fleet.Instance, error)
	// CreateNetwork makes the network in the engine and stores it, or neither. ErrAlreadyExists, ErrRefused.
	CreateNetwork(ctx context.Context, n fleet.Network) (fleet.Network, error)
	// UpdateNetwork changes it; ErrInUse while containers are attached and the engine's network would change.
	UpdateNetwork(ctx context.Context, id string, change func(*fleet.Network) error) (fleet.Network, error)
	// DeleteNetwork removes it; ErrInUse while a deployed definition or a container needs it.
	DeleteNetwork(ctx context.Context, id string) error
}

// Engine is what the API asks of the container engine directly.
type Engine interface {
	// Logs returns at most limit lines of the container after the time since,
	// oldest first, and whether more follow; with a zero since, the last lines.
	Logs(ctx context.Context, containerID string, since time.Time, limit int, source string) (lines []fleet.LogLine, more bool, err error)
	// Ping reports whether the engine answers.
	Ping(ctx context.Context) error
}

// Authenticator turns a bearer token into its principal; ErrUnauthenticated.
type Authenticator interface {
	Authenticate(ctx context.Context, secret string) (fleet.Principal, error)
}

// Registry is what is registered, in memory: it answers while the database is away.
type Registry interface {
	Current() fleet.Registry
	// Endpoint is the endpoint of that identifier. One that was registered a moment
	// ago may be missing.
	Endpoint(id string) (fleet.Endpoint, bool)
	// Watch says that somebody goes by what changes, until leave is called: instances
	// that drain wait a moment for them.
	Watch() (leave func())
}

// Heartbeats takes heartbeats of endpoints that are registered, and sees to it that
// they are written; those with news of an endpoint's health at once.
type Heartbeats interface {
	Beat(b fleet.Heartbeat, news bool)
}
