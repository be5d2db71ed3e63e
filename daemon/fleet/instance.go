package fleet

import (
	"strconv"
	"strings"
	"time"
)

// Status is where an instance is, or should be.
type Status string

// Statuses. An instance goes pending → running ⇄ stopped, to failed when it
// ends by itself and is not brought back, and at last to terminated: removed
// from the engine, its row kept for the history. Terminated is final.
const (
	StatusPending    Status = "pending"
	StatusRunning    Status = "running"
	StatusStopped    Status = "stopped"
	StatusFailed     Status = "failed"
	StatusTerminated Status = "terminated"
)

// Health is the verdict of an instance's checks.
type Health string

// Verdicts.
const (
	HealthHealthy   Health = "healthy"
	HealthUnhealthy Health = "unhealthy"
	HealthUnknown   Health = "unknown"
)

// Labels on every container of ours.
const (
	LabelService     = "wedsync.service"
	LabelEnvironment = "wedsync.environment"
	LabelDefinition  = "wedsync.definition"
	LabelReplica     = "wedsync.replica"
	LabelInstance    = "wedsync.instance"
	LabelDeployment  = "wedsync.deployment"
	LabelEpoch       = "wedsync.epoch"
	// LabelNetwork, on a network, is its identifier in the store.
	LabelNetwork = "wedsync.network"
	// LabelInstallation tells apart two daemons with two databases on one engine:
	// each touches only containers and networks of its own installation.
	LabelInstallation = "wedsync.installation"
)

// HealthResult is the outcome of one check.
type HealthResult struct {
	Timestamp    time.Time `json:"timestamp"`
	Status       Health    `json:"status"`
	ResponseTime float64   `json:"response_time"` // milliseconds
	Details      string    `json:"details,omitempty"`
}

// Usage is what an instance used when last measured.
type Usage struct {
	CPUPercent float64 `json:"cpu_percent"`
	MemoryMB   float64 `json:"memory_mb"`
	DiskMB     float64 `json:"disk_mb"`
}

// Instance is one container of a definition in an environment.
type Instance struct {
	ID             string
	DefinitionID   string
	DefinitionName string
	ServiceName    string
	DeploymentID   string
	Environment    string
	ContainerID    string
	Name           string
	ImageTag       string
	ImageDigest    string
	Current        Status
	Desired        Status
	Replica        int
	Node           string
	IPAddress      string
	Ports          map[int]int // container port → published host port
	Usage          Usage
	Health         Health
	Checks         []HealthResult
	LastCheck      *time.Time
	Restarts       int
	// RecentExits are the times of the last runs that ended badly, oldest first: by
	// an exit that was not asked for, or because they were unhealthy. They decide
	// back-off and crash loops.
	RecentExits []time.Time
	ExitCode    *int
	Error       string
	// RestartRequested is when a restart was last asked for.
	RestartRequested *time.Time
	// HealthySince is since when every check has passed, in this run.
	HealthySince *time.Time
	// SettledAt is when checks had first passed for the settling time of its
	// deployment, in this run, whatever came of later ones; nil without checks.
	SettledAt *time.Time
	// UnhealthySince is since when the instance is unhealthy, in this run.
	UnhealthySince *time.Time
	// DrainingSince is since when the instance is out of service, on its way to removal.
	DrainingSince *time.Time
	// Drained reports, of one that drains, that nobody has a request there any more
	// who follows the registry; it is known where a workload is read whole.
	Drained bool
	// Limits are what the container may use since it was made or resized; nil when
	// that is what its deployment says.
	Limits *Resources
	// Force asks for a kill rather than a graceful stop.
	Force     bool
	StartedAt *time.Time
	StoppedAt *time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Runs that ended badly.
const (
	// CrashWindow is how far back they count, from the last one on.
	CrashWindow = 10 * time.Minute
	// CrashLimit is how many of them within CrashWindow are a crash loop.
	CrashLimit = 5
)

// RecentExits are, of the times of bad ends, the last one and those within the window
// before it; or after it, as it seems when the clock was put back between them.
func RecentExits(exits []time.Time) (recent []time.Time) {
	for _, at := range exits {
		if exits[len(exits)-1].Sub(at).Abs() < CrashWindow {
			recent = append(recent, at)
		}
	}
	return recent
}

// CrashLoop reports whether these bad ends are a crash loop: what has failed is not
// started again.
func CrashLoop(exits []time.Time) bool { return len(RecentExits(exits)) >= CrashLimit }

// InstanceName is the deterministic name of an instance's container, so that a
// create that was repeated after a crash finds the first one's container.
func InstanceName(definition, environment string, replica int, instanceID string) string {
	short := strings.ReplaceAll(instanceID, "-", "")
	return definition + "-" + environment + "-" + strconv.Itoa(replica) + "-" + short[len(short)-8:]
}

// Action is what a user asks of an instance.
type Action string

// Actions.
const (
	ActionStart     Action = "start"
	ActionStop      Action = "stop"
	ActionRestart   Action = "restart"
	ActionTerminate Action = "terminate"
)

// LogLine is one line that a container wrote.
type LogLine struct {
	Timestamp time.Time
	Source    string // "stdout" or "stderr"
	Message   string
}
