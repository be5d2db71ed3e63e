package fleet

import (
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

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

// Strategies.
const (
	// StrategyRollingUpdate replaces the old replicas a few at a time.
	StrategyRollingUpdate Strategy = grammar.RollingUpdate
	// StrategyBlueGreen makes a complete new set beside the old one and cuts over at once.
	StrategyBlueGreen Strategy = grammar.BlueGreen
	// StrategyCanary lets a growing share of new replicas prove itself beside the old set.
	StrategyCanary Strategy = grammar.Canary
)

// Weights reports whether the strategy shares requests out between an old and a new set.
func (s Strategy) Weights() bool { return s == StrategyBlueGreen || s == StrategyCanary }

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
	Before, After int
	// KeepReplicas asks, where a policy owns the number of replicas, that After be
	// what is wanted when the deployment begins, within the definition's range. It
	// is a wish only, and not kept.
	KeepReplicas bool
	Status       DeploymentStatus
	Strategy     Strategy
	Rollout      grammar.Rollout
	// State is how far the strategy has come.
	State RolloutState
	// RollbackTargetID, on a rollback, is the deployment that it brings back, and
	// RollbackOfID the one that it undoes; that one's RollbackID is the rollback.
	RollbackTargetID, RollbackOfID, RollbackID string
	// SupersedesID is the deployment that was in progress when this one began;
	// that one's SupersededByID is this one.
	SupersedesID, SupersededByID string
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

// RolloutState is what a rollout has to remember between two passes.
type RolloutState struct {
	// Weight is the share of the requests, in percent, that is meant for the
	// deployment's own replicas; nil when the requests are shared by number of replicas.
	Weight *int `json:"weight,omitempty"`
	// WeightAt is since when.
	WeightAt *time.Time `json:"weight_at,omitempty"`
	// PulledAt is when the image was found to be there.
	PulledAt *time.Time `json:"pulled_at,omitempty"`
	// PausedAt is since when a user has it paused.
	PausedAt *time.Time `json:"paused_at,omitempty"`
	// PromotedAt is when a user promoted it.
	PromotedAt *time.Time `json:"promoted_at,omitempty"`
	// ProgressAt is when the progress deadline was last renewed, and Settled the
	// number of healthy replicas that did it.
	ProgressAt *time.Time `json:"progress_at,omitempty"`
	Settled    int        `json:"settled,omitempty"`
	// Asked is the number of replicas that was asked for of the live deployment when
	// this one took the place of what was to bring it; nil when it is the live one's.
	// A rollback brings it back.
	Asked *int `json:"replicas_asked,omitempty"`
	// Trouble is why the last step has to be repeated.
	Trouble string `json:"trouble,omitempty"`
}

// DeploymentError is one thing that went wrong in a deployment.
type DeploymentError struct {
	InstanceID   string `json:"instance_id,omitempty"`
	InstanceName string `json:"instance_name,omitempty"`
	Step         string `json:"step"`
	Message      string `json:"message"`
	ExitCode     *int   `json:"exit_code,omitempty"`
	// HealthOutput is what the last health check said.
	HealthOutput string   `json:"health_output,omitempty"`
	LogTail      []string `json:"log_tail,omitempty"`
}

// Workload is the workload that the deployment changes.
func (d Deployment) Workload() Workload {
	return Workload{DefinitionID: d.DefinitionID, Environment: d.Environment}
}

// Supersede has d, which is to begin, take the place of old, which is in progress
// while the deployment liveID is live. A number of replicas that old was to bring to
// what is live, or has itself kept from being brought, is not forgotten for that.
func (d *Deployment) Supersede(old Deployment, liveID string) {
	d.SupersedesID = old.ID
	switch {
	case d.Type != TypeDeploy:
	case old.Type == TypeScale, old.Type == TypeRollback && old.RollbackTargetID == liveID:
		d.State.Asked = &old.After
	default:
		d.State.Asked = old.State.Asked
	}
}

// AskedBefore is the number of replicas that was asked for when d began, where so many
// were live: that which was being brought, if d has taken the place of that.
func (d Deployment) AskedBefore(live int) int {
	if d.State.Asked != nil {
		return *d.State.Asked
	}
	return live
}

// Scaled is what d runs, in another number of replicas: a deployment that has yet to begin.
func (d Deployment) Scaled(replicas int, notes string) Deployment {
	return Deployment{
		DefinitionID:       d.DefinitionID,
		DefinitionName:     d.DefinitionName,
		DefinitionRevision: d.DefinitionRevision,
		Environment:        d.Environment,
		Type:               TypeScale,
		ImageTag:           d.ImageTag,
		ImageDigest:        d.ImageDigest,
		Spec:               d.Spec,
		After:              replicas,
		Status:             DeploymentInProgress,
		Strategy:           StrategyRollingUpdate,
		Rollout:            d.Rollout,
		Notes:              notes,
	}
}

// DeployRequest asks for a deployment of a definition's current revision.
type DeployRequest struct {
	Workload
	// Replicas is nil for the number that a policy wants at present, where one owns
	// it, and for the definition's minimum otherwise.
	Replicas *int
	Strategy Strategy
	Rollout  grammar.Rollout
	Notes    string
	// Revision, when not nil, must be the definition's current one.
	Revision *int
}

// RollbackRequest asks to bring back what an earlier deployment ran.
type RollbackRequest struct {
	// DeploymentID is the deployment to undo.
	DeploymentID string
	// TargetID is the deployment to bring back; empty means the stable one before it.
	TargetID string
	Reason   string
	// Force also undoes a deployment that is not the current one, brings back one
	// that never was stable, and supersedes another that is in progress.
	Force bool
}

// ScaleRequest asks for another number of replicas of what is live.
type ScaleRequest struct {
	Workload
	Replicas int
	Reason   string
}

// Command is what a user may tell a deployment in progress.
type Command string

// Commands.
const (
	// CommandPause keeps a rollout from starting or removing anything; its replicas are still watched.
	CommandPause Command = "pause"
	// CommandResume lets a paused rollout go on.
	CommandResume Command = "resume"
	// CommandPromote cuts a blue-green or canary rollout over as soon as all its replicas are healthy.
	CommandPromote Command = "promote"
	// CommandAbort ends a rollout as failed and brings back what was live.
	CommandAbort Command = "abort"
)
