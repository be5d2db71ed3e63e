package fleet

import "time"

// Sources of events.
const (
	SourceSystem        = "system"
	SourceUser          = "user"
	SourceScheduler     = "scheduler"
	SourceHealthMonitor = "health_monitor"
)

// Types of events: those of the specification, and one for each change of a definition, network, deployment, route, weight, external endpoint, scaling policy or token.
const (
	EventCreated     = "created"
	EventStarted     = "started"
	EventStopped     = "stopped"
	EventHealthCheck = "health_check"
	EventScaled      = "scaled"
	EventResized     = "resized"
	EventFailed      = "failed"
	EventTerminated  = "terminated"

	EventDefinitionCreated = "definition_created"
	EventDefinitionUpdated = "definition_updated"
	EventDefinitionDeleted = "definition_deleted"
	EventNetworkCreated    = "network_created"
	EventNetworkUpdated    = "network_updated"
	EventNetworkDeleted    = "network_deleted"

	EventDeploymentStarted    = "deployment_started"
	EventDeploymentCompleted  = "deployment_completed"
	EventDeploymentFailed     = "deployment_failed"
	EventDeploymentSuperseded = "deployment_superseded"
	EventDeploymentPaused     = "deployment_paused"
	EventDeploymentResumed    = "deployment_resumed"
	EventDeploymentPromoted   = "deployment_promoted"
	EventDeploymentAborted    = "deployment_aborted"
	EventDeploymentShifted    = "deployment_traffic_shifted"
	EventDeploymentRolledBack = "deployment_rolled_back"

	EventRouteCreated  = "route_created"
	EventRouteUpdated  = "route_updated"
	EventRouteDeleted  = "route_deleted"
	EventWeightChanged = "weight_changed"

	EventScalingPolicyCreated = "scaling_policy_created"
	EventScalingPolicyUpdated = "scaling_policy_updated"
	EventScalingPolicyDeleted = "scaling_policy_deleted"

	EventEndpointRegistered   = "endpoint_registered"
	EventEndpointDeregistered = "endpoint_deregistered"
	EventEndpointExpired      = "endpoint_expired"

	EventActionRequested = "action_requested"
	EventTokenCreated    = "token_created"
	EventTokenRevoked    = "token_revoked"
)

// Event is one entry of the audit trail. Its principal is the one of the call
// in whose transaction it is written.
type Event struct {
	ID           string
	InstanceID   string
	DefinitionID string
	DeploymentID string
	NetworkID    string
	Environment  string
	Type         string
	Source       string
	Data         map[string]any
	Error        string
	StackTrace   string
	UserID       string
	UserName     string
	Timestamp    time.Time
}
