package api

import "time"

// Statuses of a deployment.
const (
	DeploymentInProgress = "in_progress"
	DeploymentCompleted  = "completed"
	DeploymentFailed     = "failed"
	DeploymentRolledBack = "rolled_back"
)

// StrategyRollingUpdate starts the new replicas, waits until they are healthy
// and then removes the old ones.
const StrategyRollingUpdate = "rolling_update"

// DeployRequest is the body of POST /api/containers/instances/{definition_id}/deploy.
type DeployRequest struct {
	Environment        string `json:"environment" doc:"Environment to deploy into." example:"staging" maxLength:"63"`
	ReplicaCount       *int   `json:"replica_count,omitempty" doc:"Replicas to run; the definition's min_replicas when left out." example:"2" minimum:"0" maximum:"1000"`
	DeploymentStrategy string `json:"deployment_strategy,omitempty" doc:"How the old replicas are replaced." example:"rolling_update" default:"rolling_update" enum:"rolling_update"`
	DeploymentNotes    string `json:"deployment_notes,omitempty" doc:"Notes for the history." example:"ticket WS-266" maxLength:"4096"`
	DefinitionRevision *int   `json:"definition_revision,omitempty" doc:"Refuse (409) unless this is the definition's current revision." example:"3" minimum:"1"`
}

// DeploymentAccepted answers a deploy: the rollout goes on in the background.
type DeploymentAccepted struct {
	DeploymentID string `json:"deployment_id" doc:"Deployment to follow." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14" format:"uuid"`
}

// Deployment is one change of what runs of a definition in an environment.
type Deployment struct {
	ID                 string            `json:"id" doc:"Identifier of the deployment." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14" format:"uuid"`
	DefinitionID       string            `json:"definition_id" doc:"Definition that was deployed." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
	DefinitionName     string            `json:"definition_name" doc:"Name of that definition." example:"wedding-api"`
	DefinitionRevision int               `json:"definition_revision" doc:"Revision of the definition that was deployed." example:"3"`
	Environment        string            `json:"environment" doc:"Environment that was deployed into." example:"staging"`
	DeploymentType     string            `json:"deployment_type" doc:"Kind of change." example:"deploy" enum:"deploy,rollback,scale,restart"`
	ImageTag           string            `json:"image_tag" doc:"Image tag." example:"v1.4.2"`
	ImageDigest        string            `json:"image_digest" doc:"The image's content digest, fixed when the deployment was accepted." example:"sha256:9b7c1f0e2d3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4"`
	InstancesBefore    int               `json:"instances_before" doc:"Replicas before." example:"1"`
	InstancesAfter     int               `json:"instances_after" doc:"Replicas wanted after." example:"2"`
	DeploymentStatus   string            `json:"deployment_status" doc:"Where it stands." example:"completed" enum:"in_progress,completed,failed,rolled_back"`
	DeploymentStrategy string            `json:"deployment_strategy" doc:"How old replicas are replaced." example:"rolling_update"`
	IsLive             bool              `json:"is_live" doc:"Whether this is what the environment runs now." example:"true"`
	IsRemoval          bool              `json:"is_removal" doc:"Whether it removes the definition from the environment." example:"false"`
	RollbackTargetID   string            `json:"rollback_target_id,omitempty" doc:"Deployment that a rollback brings back." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a15" format:"uuid"`
	StartedBy          string            `json:"started_by" doc:"Principal that started it." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a10" format:"uuid"`
	StartedAt          time.Time         `json:"started_at" doc:"When it was accepted." example:"2026-06-06T08:30:00Z"`
	CompletedAt        *time.Time        `json:"completed_at,omitempty" doc:"When it ended." example:"2026-06-06T08:30:07Z"`
	DeploymentNotes    string            `json:"deployment_notes,omitempty" doc:"Notes." example:"ticket WS-266"`
	Errors             []DeploymentError `json:"errors" doc:"What went wrong." nullable:"false"`
}

// DeploymentError is one thing that went wrong in a deployment.
type DeploymentError struct {
	InstanceID   string   `json:"instance_id,omitempty" doc:"Instance that failed." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a13" format:"uuid"`
	InstanceName string   `json:"instance_name,omitempty" doc:"Name of that instance's container." example:"wedding-api-staging-1-0c1d6f1f"`
	Step         string   `json:"step" doc:"Step that failed." example:"await_healthy"`
	Message      string   `json:"message" doc:"What happened." example:"exited with code 1 after 0.2 s"`
	ExitCode     *int     `json:"exit_code,omitempty" doc:"Exit code, where the container exited." example:"1"`
	LogTail      []string `json:"log_tail,omitempty" doc:"Last lines that the container wrote, at most 20." example:"[\"panic: no database\"]" nullable:"false"`
}

// DeploymentList is one page of deployments, newest first.
type DeploymentList struct {
	Deployments []Deployment `json:"deployments" doc:"One page of deployments, newest first." nullable:"false"`
	TotalCount  int          `json:"total_count" doc:"Deployments that match, over all pages." example:"2"`
	NextCursor  string       `json:"next_cursor,omitempty" doc:"Continues the list; absent on its last page." example:"eyJrIjoiMDE5OGM1ZjAifQ"`
}

// ListDeploymentsOptions select and page deployments.
type ListDeploymentsOptions struct {
	Page
	DefinitionID string
	Environment  string
	Status       string
	// Live selects the deployments that environments run now.
	Live bool
}

// DeploymentStatusResponse is the answer of GET /api/containers/deployments/{deployment_id}/status.
type DeploymentStatusResponse struct {
	Deployment DeploymentStatus `json:"deployment" doc:"Where the deployment stands."`
}

// DeploymentStatus is the progress of a deployment and the state of its instances.
type DeploymentStatus struct {
	ID        string             `json:"id" doc:"Identifier of the deployment." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14" format:"uuid"`
	Status    string             `json:"status" doc:"Where it stands." example:"in_progress" enum:"in_progress,completed,failed,rolled_back"`
	Progress  DeploymentProgress `json:"progress" doc:"Steps done and to do."`
	Instances []InstanceProgress `json:"instances" doc:"Instances of the deployment." nullable:"false"`
}

// DeploymentProgress counts the steps of a deployment.
type DeploymentProgress struct {
	TotalSteps     int      `json:"total_steps" doc:"Steps done and planned." example:"7"`
	CompletedSteps int      `json:"completed_steps" doc:"Steps done." example:"4"`
	CurrentStep    string   `json:"current_step" doc:"What is being done; empty once it has ended." example:"await_healthy wedding-api-staging-1-0c1d6f1f"`
	Errors         []string `json:"errors" doc:"What went wrong, a sentence each." example:"[]" nullable:"false"`
}

// InstanceProgress is the state of one instance of a deployment.
type InstanceProgress struct {
	InstanceID   string     `json:"instance_id" doc:"Identifier of the instance." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a13" format:"uuid"`
	Status       string     `json:"status" doc:"Observed status." example:"running"`
	HealthStatus string     `json:"health_status" doc:"Verdict of the health check." example:"healthy"`
	StartedAt    *time.Time `json:"started_at,omitempty" doc:"When it was last started." example:"2026-06-06T08:30:01Z"`
}
