package api

import "time"

// Statuses of an instance, as observed (current_status) or wanted (desired_status).
const (
	InstancePending    = "pending"
	InstanceRunning    = "running"
	InstanceStopped    = "stopped"
	InstanceFailed     = "failed"
	InstanceTerminated = "terminated"
)

// Health statuses of an instance.
const (
	HealthHealthy   = "healthy"
	HealthUnhealthy = "unhealthy"
	HealthUnknown   = "unknown"
)

// Actions on an instance.
const (
	ActionStart     = "start"
	ActionStop      = "stop"
	ActionRestart   = "restart"
	ActionTerminate = "terminate"
)

// ResourceUsage is what an instance used when it was last measured.
type ResourceUsage struct {
	CPUPercent float64 `json:"cpu_percent" doc:"CPU use in percent of the limit." example:"45.2"`
	MemoryMB   float64 `json:"memory_mb" doc:"Memory use in MiB." example:"512"`
	DiskMB     float64 `json:"disk_mb" doc:"Size of the writable layer in MiB." example:"1024"`
}

// Instance is one container of a definition in an environment.
type Instance struct {
	ID              string          `json:"id" doc:"Identifier of the instance." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a13" format:"uuid"`
	DefinitionID    string          `json:"definition_id" doc:"Definition that it runs." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
	DefinitionName  string          `json:"definition_name" doc:"Name of that definition." example:"wedding-api"`
	DeploymentID    string          `json:"deployment_id" doc:"Deployment that it belongs to." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14" format:"uuid"`
	ServiceName     string          `json:"service_name" doc:"Service that it belongs to." example:"api"`
	Environment     string          `json:"environment" doc:"Environment that it runs in." example:"staging"`
	ContainerID     string          `json:"container_id" doc:"The engine's container id; empty until it is created." example:"4f1c0a6b2d3e"`
	InstanceName    string          `json:"instance_name" doc:"Name of the container." example:"wedding-api-staging-1-0c1d6f1f"`
	ImageTag        string          `json:"image_tag" doc:"Image tag that it was deployed with." example:"v1.4.2"`
	ImageDigest     string          `json:"image_digest" doc:"The image's content digest." example:"sha256:9b7c1f0e2d3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4"`
	CurrentStatus   string          `json:"current_status" doc:"Observed status." example:"running" enum:"pending,running,stopped,failed,terminated"`
	DesiredStatus   string          `json:"desired_status" doc:"Wanted status." example:"running" enum:"pending,running,stopped,failed,terminated"`
	ReplicaNumber   int             `json:"replica_number" doc:"Number of the replica, from 1." example:"1"`
	NodeName        string          `json:"node_name" doc:"Machine that it runs on." example:"node-1"`
	IPAddress       string          `json:"ip_address" doc:"Address on its first network; empty while it does not run." example:"172.18.0.2"`
	PortMappings    map[string]int  `json:"port_mappings" doc:"Published host port of each container port." example:"{\"8080\":20001}" nullable:"false"`
	ResourceLimits  *ResourceLimits `json:"resource_limits,omitempty" doc:"What it may use, where a vertical scaling policy has changed that; absent while it is what its deployment says."`
	ResourceUsage   ResourceUsage   `json:"resource_usage" doc:"Last measured use."`
	HealthStatus    string          `json:"health_status" doc:"Verdict of the health check." example:"healthy" enum:"healthy,unhealthy,unknown"`
	LastHealthCheck *time.Time      `json:"last_health_check,omitempty" doc:"When its health was last checked." example:"2026-06-06T08:30:30Z"`
	HealthySince    *time.Time      `json:"healthy_since,omitempty" doc:"Since when every health check of this run has passed." example:"2026-06-06T08:30:01Z"`
	UnhealthySince  *time.Time      `json:"unhealthy_since,omitempty" doc:"Since when this run is unhealthy." example:"2026-06-06T09:12:44Z"`
	DrainingSince   *time.Time      `json:"draining_since,omitempty" doc:"Since when it is out of service, on its way to removal." example:"2026-06-06T08:45:00Z"`
	RestartCount    int             `json:"restart_count" doc:"Restarts since it was created." example:"0"`
	ExitCode        *int            `json:"exit_code,omitempty" doc:"Exit code of the last run that ended." example:"137"`
	ErrorMessage    string          `json:"error_message,omitempty" doc:"Why it is not as wanted." example:"exit code 137: out of memory"`
	StartedAt       *time.Time      `json:"started_at,omitempty" doc:"When it was last started." example:"2026-06-06T08:30:00Z"`
	StoppedAt       *time.Time      `json:"stopped_at,omitempty" doc:"When it last stopped." example:"2026-06-06T08:29:58Z"`
	CreatedAt       time.Time       `json:"created_at" doc:"When it was created." example:"2026-06-06T08:30:00Z"`
	UpdatedAt       time.Time       `json:"updated_at" doc:"When it was last changed." example:"2026-06-06T08:30:00Z"`
}

// InstanceList is one page of instances, newest first.
type InstanceList struct {
	Instances  []Instance `json:"instances" doc:"One page of instances, newest first." nullable:"false"`
	TotalCount int        `json:"total_count" doc:"Instances that match, over all pages." example:"2"`
	NextCursor string     `json:"next_cursor,omitempty" doc:"Continues the list; absent on its last page." example:"eyJrIjoiMDE5OGM1ZjAifQ"`
}

// ListInstancesOptions select and page instances. Without Status, terminated
// instances are left out.
type ListInstancesOptions struct {
	Page
	DefinitionID string
	DeploymentID string
	Environment  string
	ServiceName  string
	Status       string
}

// ActionRequest is the body of POST /api/containers/instances/{instance_id}/action.
type ActionRequest struct {
	Action string `json:"action" doc:"What to do. A terminated replica is replaced by a new one; deploy fewer replicas to have fewer." example:"restart" enum:"start,stop,restart,terminate"`
	Force  bool   `json:"force,omitempty" doc:"Kill at once rather than stop gracefully." example:"false"`
	Reason string `json:"reason,omitempty" doc:"Why, for the audit trail." example:"memory leak" maxLength:"1024"`
}

// LogEntry is one line that a container wrote.
type LogEntry struct {
	Timestamp time.Time `json:"timestamp" doc:"When the line was written." example:"2026-06-06T08:30:00.123456789Z"`
	Level     string    `json:"level" doc:"Level read from the line where it has one; otherwise info for stdout and error for stderr." example:"info"`
	Message   string    `json:"message" doc:"The line." example:"listening on :8080"`
	Source    string    `json:"source" doc:"Stream that it was written to." example:"stdout" enum:"stdout,stderr"`
}

// LogList is one page of log lines, oldest first.
type LogList struct {
	Logs       []LogEntry `json:"logs" doc:"One page of lines, oldest first." nullable:"false"`
	HasMore    bool       `json:"has_more" doc:"Whether more lines follow." example:"false"`
	NextCursor string     `json:"next_cursor,omitempty" doc:"Continues after the last line; given even on the last page, so that new lines can be followed." example:"MjAyNi0wNi0wNlQwODozMDowMFo"`
}

// LogsOptions select log lines. Without Cursor and Since the last Limit lines are returned.
type LogsOptions struct {
	Page
	// Since leaves out lines before this time.
	Since time.Time
	// Source selects "stdout" or "stderr"; empty means both.
	Source string
}
