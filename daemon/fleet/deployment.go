package fleet

import "time"

// DeploymentStatus is where a deployment stands.
type DeploymentStatus string

// Statuses. A deployment begins in progress and ends in exactly one of the others.
const (
	DeploymentInProgress DeploymentStatus = "in_progress"
	DeploymentCompleted  DeploymentStatus = "completed"
	DeploymentFailed     DeploymentStatus = "failed"
	DeploymentRolledBack DeploymentStatus = "rolled_back"
)

// DeploymentType is the kind of change that a deployment makes.
type DeploymentType string

// Types of deployment.
const (
	TypeDeploy   DeploymentType = "deploy"
	TypeRollback DeploymentType = "rollback"
	TypeScale    DeploymentType = "scale"
	TypeRestart  DeploymentType = "restart"
)

// Strategy is how old replicas are replaced.
type Strategy string

// StrategyRollingUpdate starts the new replicas, waits until they are healthy, then removes the old ones.
const StrategyRollingUpdate Strategy = "rolling_update"

// Workload identifies what runs of one definition in one environment: the unit
// that deployments replace and that one worker looks after.
type Workload struct {
	DefinitionID string
	Environment  string
}

// Deployment is one change of a workload.
type Deployment struct {
	ID                 string
	DefinitionID       string
	DefinitionName     string
	DefinitionRevision int
	Environment        string
	Type               DeploymentType
	ImageTag           string
	// ImageDigest pins the content: "repository@sha256:…" of a registry, or the
	// engine's image id "sha256:…" of an image that only the engine has.
	ImageDigest string
	Spec        Spec
	// Before and After are the numbers of replicas.
	Before, After    int
	Status           DeploymentStatus
	Strategy         Strategy
	RollbackTargetID string
	// Removal marks a deployment that takes the definition out of the environment.
	Removal     bool
	Live        bool
	StartedBy   string
	StartedAt   time.Time
	CompletedAt *time.Time
	Errors      []DeploymentError
	Notes       string
	// TotalSteps, CompletedSteps and CurrentStep are the progress.
	TotalSteps, CompletedSteps int
	CurrentStep                string
}

// DeploymentError is one thing that went wrong in a deployment.
type DeploymentError struct {
	InstanceID   string   `json:"instance_id,omitempty"`
	InstanceName string   `json:"instance_name,omitempty"`
	Step         string   `json:"step"`
	Message      string   `json:"message"`
	ExitCode     *int     `json:"exit_code,omitempty"`
	LogTail      []string `json:"log_tail,omitempty"`
}

// Workload is the workload that the deployment changes.
func (d Deployment) Workload() Workload {
	return Workload{DefinitionID: d.DefinitionID, Environment: d.Environment}
}

// DeployRequest asks for a deployment of a definition's current revision.
type DeployRequest struct {
	Workload
	Replicas *int // nil: the definition's minimum
	Strategy Strategy
	Notes    string
	// Revision, when not nil, must be the definition's current one.
	Revision *int
}
