package api

import (
	"fmt"
	"strings"
	"time"
)

// Statuses of a deployment.
const (
	DeploymentInProgress = "in_progress"
	DeploymentCompleted  = "completed"
	DeploymentFailed     = "failed"
	DeploymentRolledBack = "rolled_back"
)

// Types of a deployment.
const (
	TypeDeploy   = "deploy"
	TypeRollback = "rollback"
	TypeScale    = "scale"
	TypeRestart  = "restart"
)

// Strategies of a deployment.
const (
	// StrategyRollingUpdate replaces the old replicas a few at a time.
	StrategyRollingUpdate = "rolling_update"
	// StrategyBlueGreen makes a complete new set beside the old one and cuts over at once.
	StrategyBlueGreen = "blue_green"
	// StrategyCanary lets a growing share of new replicas prove itself beside the old set.
	StrategyCanary = "canary"
)

// RolloutConfig says how a deployment replaces what runs. In a request every
// field may be left out; an answer has all of them.
type RolloutConfig struct {
	MaxSurge         *string       `json:"max_surge,omitempty" doc:"Most replicas beyond the wanted number while a rolling update goes on: a number, or a percentage of the wanted number, rounded up. When left out: 25% with start_first, else 0." example:"25%" maxLength:"5" pattern:"^(0|[1-9][0-9]{0,3})%?$" patternDescription:"a number of replicas or a percentage of them; write 2 or 25%"`
	MaxUnavailable   *string       `json:"max_unavailable,omitempty" doc:"Most replicas missing from the wanted number meanwhile: a number, or a percentage of the wanted number, rounded down. When left out: 0 with start_first, else 1." example:"0" maxLength:"5" pattern:"^(0|[1-9][0-9]{0,3})%?$" patternDescription:"a number of replicas or a percentage of them; write 2 or 25%"`
	StartFirst       *bool         `json:"start_first,omitempty" doc:"Start a new replica before the old one is stopped; false stops the old one first, for what cannot run twice at the same time." example:"true" default:"true"`
	MinHealthyTime   *int          `json:"min_healthy_time,omitempty" doc:"Seconds that every check of a new replica must pass without a break." example:"10" default:"10" minimum:"0" maximum:"86400"`
	HealthyDeadline  *int          `json:"healthy_deadline,omitempty" doc:"Seconds from a new replica's start within which it must have been healthy for min_healthy_time. Longer than the health check's start_period + interval × retries." example:"300" default:"300" minimum:"1" maximum:"86400"`
	ProgressDeadline *int          `json:"progress_deadline,omitempty" doc:"Seconds that the rollout may go on without another replica becoming healthy; not shorter than healthy_deadline." example:"600" default:"600" minimum:"1" maximum:"86400"`
	CanarySteps      *[]CanaryStep `json:"canary_steps,omitempty" doc:"Shares that a canary takes, one after the other, before it takes everything; their weights rise. When left out: 10% for 60 seconds, then 50% for 60 seconds." maxItems:"20"`
	AutoPromote      *bool         `json:"auto_promote,omitempty" doc:"Cut a blue-green or canary rollout over without being asked, once the new replicas are healthy and the last canary step is over; false waits for a promotion." example:"true" default:"true"`
	KeepWarmTime     *int          `json:"keep_warm_time,omitempty" doc:"Seconds that the old replicas go on running after a blue-green or canary rollout has cut over." example:"30" default:"30" minimum:"0" maximum:"86400"`
	DrainTime        *int          `json:"drain_time,omitempty" doc:"Seconds that an old replica goes on running after it was taken out of service, so that its requests can end." example:"30" default:"30" minimum:"0" maximum:"86400"`
}

// CanaryStep is one share of a canary and how long it is watched.
type CanaryStep struct {
	Weight int `json:"weight" doc:"Share of the requests in percent, above that of the step before." example:"10" minimum:"1" maximum:"99"`
	Pause  int `json:"pause" doc:"Seconds that the step lasts once its replicas are healthy." example:"60" minimum:"0" maximum:"86400"`
}

// DeployRequest is the body of POST /api/containers/instances/{definition_id}/deploy.
type DeployRequest struct {
	Environment        string         `json:"environment" doc:"Environment to deploy into." example:"staging" maxLength:"63"`
	ReplicaCount       *int           `json:"replica_count,omitempty" doc:"Replicas to run; the definition's min_replicas when left out." example:"2" minimum:"0" maximum:"1000"`
	DeploymentStrategy string         `json:"deployment_strategy,omitempty" doc:"How the old replicas are replaced." example:"rolling_update" default:"rolling_update" enum:"rolling_update,blue_green,canary"`
	RolloutConfig      *RolloutConfig `json:"rollout_config,omitempty" doc:"How the rollout goes; what is left out has its default."`
	DeploymentNotes    string         `json:"deployment_notes,omitempty" doc:"Notes for the history." example:"ticket WS-266" maxLength:"4096"`
	DefinitionRevision *int           `json:"definition_revision,omitempty" doc:"Refuse (409) unless this is the definition's current revision." example:"3" minimum:"1"`
}

// RollbackRequest is the body of POST /api/containers/deployments/{deployment_id}/rollback.
type RollbackRequest struct {
	TargetDeploymentID string `json:"target_deployment_id,omitempty" doc:"Deployment to bring back; the last stable one before it when left out." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a15" format:"uuid"`
	Reason             string `json:"reason" doc:"Why, for the history." example:"checkout is slow" minLength:"1" maxLength:"1024"`
	Force              bool   `json:"force,omitempty" doc:"Also roll back a deployment that the environment does not run any more, bring back one that never was stable, and supersede another that is in progress." example:"false"`
}

// CommandRequest is the body of POST
// /api/containers/deployments/{deployment_id}/pause, resume, promote and abort.
type CommandRequest struct {
	Reason string `json:"reason,omitempty" doc:"Why, for the audit trail." example:"looking at the error rate" maxLength:"1024"`
}

// ManualScaleRequest is the body of POST /api/containers/scaling/manual.
type ManualScaleRequest struct {
	DefinitionID   string `json:"definition_id" doc:"Definition to scale." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
	Environment    string `json:"environment" doc:"Environment to scale it in." example:"staging" maxLength:"63"`
	TargetReplicas int    `json:"target_replicas" doc:"Replicas to run, within the definition's min_replicas and max_replicas." example:"3" minimum:"0" maximum:"1000"`
	Reason         string `json:"reason,omitempty" doc:"Why, for the history." example:"wedding season" maxLength:"1024"`
}

// DeploymentAccepted answers what begins a deployment: the rollout goes on in the background.
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
	DeploymentStrategy string            `json:"deployment_strategy" doc:"How old replicas are replaced." example:"rolling_update" enum:"rolling_update,blue_green,canary"`
	RolloutConfig      RolloutConfig     `json:"rollout_config" doc:"How the rollout goes, with every setting."`
	TrafficWeight      *int              `json:"traffic_weight,omitempty" doc:"Share of the requests, in percent, that is meant for its own instances; absent where requests are shared by number of instances." example:"10"`
	IsPaused           bool              `json:"is_paused" doc:"Whether a user has paused it." example:"false"`
	IsLive             bool              `json:"is_live" doc:"Whether this is what the environment runs now." example:"true"`
	IsRemoval          bool              `json:"is_removal" doc:"Whether it removes the definition from the environment." example:"false"`
	RollbackTargetID   string            `json:"rollback_target_id,omitempty" doc:"Deployment that a rollback brings back." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a15" format:"uuid"`
	RollbackOfID       string            `json:"rollback_of_id,omitempty" doc:"Deployment that a rollback undoes." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a19" format:"uuid"`
	RollbackID         string            `json:"rollback_id,omitempty" doc:"Rollback that undoes it, whether that has ended or goes on." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a1a" format:"uuid"`
	SupersedesID       string            `json:"supersedes_id,omitempty" doc:"Deployment that was in progress when it began, and that it took the place of." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a1b" format:"uuid"`
	SupersededByID     string            `json:"superseded_by_id,omitempty" doc:"Deployment that took its place while it was in progress." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a1c" format:"uuid"`
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
	HealthOutput string   `json:"health_output,omitempty" doc:"What the last health check said." example:"GET /health on port 8080: status 503"`
	LogTail      []string `json:"log_tail,omitempty" doc:"Last lines that the container wrote, at most 20." example:"[\"panic: no database\"]" nullable:"false"`
}

// String says what went wrong: step, instance, exit code and message in one
// line, then what the health check said and the last lines that the container
// wrote, a line each.
func (e DeploymentError) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "step %s", e.Step)
	if e.InstanceName != "" {
		fmt.Fprintf(&b, ", instance %s", e.InstanceName)
	}
	if e.ExitCode != nil {
		fmt.Fprintf(&b, ", exit code %d", *e.ExitCode)
	}
	fmt.Fprintf(&b, ": %s", e.Message)
	if e.HealthOutput != "" {
		b.WriteString("\n  health check: " + e.HealthOutput)
	}
	for _, line := range e.LogTail {
		b.WriteString("\n  | " + line)
	}
	return b.String()
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
	ID         string             `json:"id" doc:"Identifier of the deployment." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14" format:"uuid"`
	Status     string             `json:"status" doc:"Where it stands." example:"in_progress" enum:"in_progress,completed,failed,rolled_back"`
	RollbackID string             `json:"rollback_id,omitempty" doc:"Rollback that undoes it; once it has failed, follow that one to its end." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a1a" format:"uuid"`
	Progress   DeploymentProgress `json:"progress" doc:"Steps done and to do."`
	Instances  []InstanceProgress `json:"instances" doc:"Instances of the deployment." nullable:"false"`
}

// DeploymentProgress counts the steps of a deployment.
type DeploymentProgress struct {
	TotalSteps     int      `json:"total_steps" doc:"Steps done and planned." example:"7"`
	CompletedSteps int      `json:"completed_steps" doc:"Steps done." example:"4"`
	CurrentStep    string   `json:"current_step" doc:"What is being done; empty once it has ended." example:"await_healthy wedding-api-staging-1-0c1d6f1f"`
	Errors         []string `json:"errors" doc:"What went wrong, one text each: step, instance, exit code and message, then on further lines what the health check said and the last lines that the container wrote." example:"[]" nullable:"false"`
}

// InstanceProgress is the state of one instance of a deployment.
type InstanceProgress struct {
	InstanceID   string     `json:"instance_id" doc:"Identifier of the instance." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a13" format:"uuid"`
	Status       string     `json:"status" doc:"Observed status." example:"running"`
	HealthStatus string     `json:"health_status" doc:"Verdict of the health check." example:"healthy"`
	StartedAt    *time.Time `json:"started_at,omitempty" doc:"When it was last started." example:"2026-06-06T08:30:01Z"`
}
