package fleet

import "time"

// ContainerState is the engine's word for where a container is.
type ContainerState string

// States of a container.
const (
	// ContainerCreated: it is there and has to be started. One that still is when it
	// was started has been lost by an engine that died meanwhile.
	ContainerCreated ContainerState = "created"
	ContainerRunning ContainerState = "running"
	ContainerPaused  ContainerState = "paused"
	ContainerExited  ContainerState = "exited"
	// ContainerGone: the engine does not have it (any more).
	ContainerGone ContainerState = "gone"
)

// ContainerSpec is all that an engine needs to create an instance's container.
type ContainerSpec struct {
	Instance Instance
	Spec     Spec
	// Networks are joined in order; the first gives the instance its address.
	// None means the environment's default network.
	Networks []Network
	Epoch    int64
}

// Container is what the engine says of one of our containers.
type Container struct {
	ID           string
	Name         string
	InstanceID   string
	DefinitionID string
	DeploymentID string
	Environment  string
	Epoch        int64
	State        ContainerState
	ExitCode     int
	OOMKilled    bool
	// EngineStopped: it has exited because the engine was stopped or restarted.
	EngineStopped bool
	Error         string // the engine's own message about a failed start; of one that is gone, why
	IPAddress     string
	Node          string
	Ports         map[int]int // container port → published host port
	StartedAt     time.Time
	FinishedAt    time.Time
	CreatedAt     time.Time
}

// ContainerEvent is one change that the engine reports.
type ContainerEvent struct {
	ContainerID string
	InstanceID  string
	Workload    Workload // from the container's labels
	// State is the state that the container is in after the change.
	State    ContainerState
	ExitCode int
	At       time.Time
}

// WorkloadState is everything that decides what has to happen to a workload:
// the input of the planner, read in one transaction.
type WorkloadState struct {
	Workload
	// Target is what should run: the deployment in progress, or the last one that completed.
	Target *Deployment
	// Live is the last deployment that completed, nil before the first and after a removal.
	Live *Deployment
	// Instances are all that are not terminated, oldest first.
	Instances []Instance
	// Deployments are those that Instances belong to, with Target and Live, and what a
	// rollback in progress undoes, by id.
	Deployments map[string]Deployment
	// Limits are what a vertical policy has set for each replica, in the place of
	// what the deployment says; what is empty was not set.
	Limits Resources
	// Networks are the active networks of the environment, by name.
	Networks map[string]Network
}

// HealthTarget is an instance whose health is to be checked.
type HealthTarget struct {
	InstanceID  string
	Workload    Workload
	ContainerID string
	Address     string // IP address; empty without a network
	Port        int    // zero for a check that needs none
	Check       HealthCheck
	// Fault is why it cannot be checked, of one whose rules cannot be read.
	Fault     error
	StartedAt time.Time
	Health    Health
	// HealthySince is since when every check has passed; nil when the last one failed.
	HealthySince *time.Time
	// CheckedAt is when the last check was; zero before the first.
	CheckedAt time.Time
	// Settling is how long checks have to pass without a break until they come at
	// their interval; before that they come in quick succession, so that a rollout
	// can tell that none failed meanwhile.
	Settling time.Duration
}

// HealthUpdate is the newest verdict on an instance.
type HealthUpdate struct {
	InstanceID string
	// StartedAt is when the run began that was checked. Once the instance has been
	// restarted, the update says nothing about it any more.
	StartedAt time.Time
	Health    Health
	// Changed asks for an event in the audit trail.
	Changed bool
	// HealthySince is since when every check has passed; nil when the last one failed.
	HealthySince *time.Time
	// SettledAt is when the instance was first seen to have passed for the settling
	// time; nil when it has not been. What was written of the run before holds.
	SettledAt *time.Time
	// CheckedAt is when the last check was that had an outcome; nil before the first.
	// A check that could not be made has none.
	CheckedAt *time.Time
	Result    HealthResult
	// Recent are the last results, oldest first.
	Recent []HealthResult
}

// CommandResult is what has become of a command that ran inside a container.
type CommandResult struct {
	ExitCode int
	// Missing: the container has no such program, or may not run it. Output says why.
	Missing bool
	// TimedOut: it had not ended in time.
	TimedOut bool
	// Busy: it was not begun, because that of an earlier call has still not ended.
	Busy bool
	// Output is the beginning of what it wrote.
	Output string
}

// ImageHealth is what the engine says of the HEALTHCHECK of a container's image.
type ImageHealth struct {
	// Health is unknown while the engine has no verdict.
	Health Health
	// Missing: the image has none.
	Missing bool
	// Output is the beginning of what its last run wrote.
	Output string
}
