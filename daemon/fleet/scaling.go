package fleet

import (
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// MaxScalingPolicies bounds the policies of one workload.
const MaxScalingPolicies = 16

// ScalingPolicy scales one workload.
type ScalingPolicy struct {
	ID             string
	DefinitionID   string
	DefinitionName string
	Environment    string
	Name           string
	Rules          grammar.Scaling
	Enabled        bool
	CreatedBy      string
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Workload is the workload that the policy scales.
func (p ScalingPolicy) Workload() Workload {
	return Workload{DefinitionID: p.DefinitionID, Environment: p.Environment}
}

// MetricKey names a metric that policies go by.
type MetricKey struct {
	// Metric is one of grammar's metrics; Name is set for custom ones.
	Metric, Name string
}

// Key is the metric that the policy goes by.
func (p ScalingPolicy) Key() MetricKey {
	return MetricKey{Metric: p.Rules.Metric, Name: p.Rules.MetricName}
}

// ScalingState is all that decides on the scaling of one workload, read in one
// transaction: the input of the autoscaler.
type ScalingState struct {
	Workload
	DefinitionName string
	// Range is the range of replicas and the targets of the definition as it is now.
	Range Scaling
	// Policies are those that are enabled, by name.
	Policies []ScalingPolicy
	// Target is what is wanted at present: the deployment in progress, or the live one.
	Target Deployment
	// Replicas is the number that Target wants.
	Replicas int
	// Busy is the deployment in progress; empty for none.
	Busy string
	// Scaling says that Busy only adds replicas, on the autoscaler's own account,
	// and that nobody has paused it, so that it may be made to add more.
	Scaling bool
	// Instances are the replicas of the live deployment, with those that scalings add to it.
	Instances []ScalingInstance
	// Changes are the latest changes of the number of replicas, oldest first.
	Changes []ReplicaChange
	// Failure is the last scaling, if it has failed and no user has deployed since.
	Failure *ScalingFailure
	// Recommendations are what was recommended lately, oldest first.
	Recommendations []Recommendation
	// Limits are what a replica may use at present, and Resized when that was last changed.
	Limits  Resources
	Resized *time.Time
	// Usage is what the replicas have used, for policies that are vertical; oldest first.
	Usage []UsageBucket
}

// Freshness is how far back a sample still counts.
type Freshness struct {
	// Samples is for what wedsyncd measures itself, Posted for what others post.
	Samples, Posted time.Duration
}

// ScalingInstance is one replica as the autoscaler sees it.
type ScalingInstance struct {
	ID string
	// Settled replicas are healthy, and once were for as long as a rollout demands;
	// only they count.
	Settled bool
	// Down replicas will not come back by themselves: a user has stopped them, or they
	// are in a crash loop.
	Down bool
	// Values are the instance's metrics, as means over the last samples; what has no
	// recent sample is missing.
	Values map[MetricKey]float64
}

// ReplicaChange is a change of the number of replicas.
type ReplicaChange struct {
	At            time.Time
	Before, After int
}

// ScalingFailure is a scaling that has failed.
type ScalingFailure struct {
	DeploymentID string
	At           time.Time
	// InARow is how many have failed since one succeeded or a user deployed, with this
	// one; MostFailures of more.
	InARow int
}

// MostFailures is up to how many failures in a row are counted.
const MostFailures = 6

// Recommendation is the highest number of replicas that was recommended from a moment on
// until the next one.
type Recommendation struct {
	At       time.Time `json:"at"`
	Replicas int       `json:"replicas"`
}

// UsageBucket is what replicas used at most in a span of time; NaN for what was not
// measured.
type UsageBucket struct {
	At       time.Time
	CPUCores float64
	MemoryMB float64
}

// ScalingOutcome is what an evaluation came to.
type ScalingOutcome string

// Outcomes.
const (
	// OutcomeScaledUp and OutcomeScaledDown: another number of replicas.
	OutcomeScaledUp   ScalingOutcome = "scaled_up"
	OutcomeScaledDown ScalingOutcome = "scaled_down"
	// OutcomeResized: another limit of each replica.
	OutcomeResized ScalingOutcome = "resized"
	// OutcomeLimited: there would have been a change, but for a limit.
	OutcomeLimited ScalingOutcome = "limited"
	// OutcomeNoChange: all is as it should be.
	OutcomeNoChange ScalingOutcome = "no_change"
)

// Changes reports whether the outcome is a change.
func (o ScalingOutcome) Changes() bool {
	return o == OutcomeScaledUp || o == OutcomeScaledDown || o == OutcomeResized
}

// Limits that keep an evaluation from what it wanted.
const (
	LimitMinReplicas          = "min_replicas"
	LimitMaxReplicas          = "max_replicas"
	LimitDefinitionRange      = "definition_range"
	LimitSchedule             = "schedule"
	LimitScaleUpCooldown      = "scale_up_cooldown"
	LimitScaleDownCooldown    = "scale_down_cooldown"
	LimitStabilization        = "stabilization_window"
	LimitMaxScaleUp           = "max_scale_up"
	LimitMaxScaleDown         = "max_scale_down"
	LimitMissingMetrics       = "missing_metrics"
	LimitDeploymentInProgress = "deployment_in_progress"
	LimitFailedScaling        = "failed_scaling"
	LimitRefused              = "refused"
	LimitMinLimit             = "min_limit"
	LimitMaxLimit             = "max_limit"
	LimitHistory              = "short_history"
)

// Units of what a decision is about.
const (
	UnitReplicas   = "replicas"
	UnitMillicores = "millicores"
	UnitBytes      = "bytes"
)

// ScalingDecision is what one evaluation came to, with all that it went by.
// Ones that follow each other and change nothing for the same reason are one.
type ScalingDecision struct {
	ID             string
	DefinitionID   string
	DefinitionName string
	Environment    string
	// PolicyID and PolicyName are of the policy that decided; empty when none did.
	PolicyID, PolicyName string
	Outcome              ScalingOutcome
	// Current, Wanted and Limited are what there was, what the policy wanted and what
	// the limits left of it, in Unit.
	Current, Wanted, Limited int64
	Unit                     string
	// Limit is what made Limited of Wanted; empty when nothing did.
	Limit string
	// Reason says it in a sentence.
	Reason string
	// Inputs are what each policy saw and wanted.
	Inputs []ScalingReading
	// DeploymentID is the deployment that was begun.
	DeploymentID string
	// Evaluations is how many evaluations that changed nothing, for the same reason,
	// this stands for; it says what the last of them came to.
	Evaluations int
	DecidedAt   time.Time
	// LastEvaluatedAt is until when it held: the last of the evaluations, or the one
	// that came to something else.
	LastEvaluatedAt time.Time
}

// ScalingReading is what one policy saw and wanted.
type ScalingReading struct {
	PolicyID   string `json:"policy_id"`
	PolicyName string `json:"policy_name"`
	Metric     string `json:"metric,omitempty"`
	MetricName string `json:"metric_name,omitempty"`
	// Value is the mean over the replicas that have the metric; nil for none.
	Value *float64 `json:"value,omitempty"`
	// Target, or the thresholds, are what it was compared with.
	Target             *float64 `json:"target,omitempty"`
	ScaleUpThreshold   *float64 `json:"scale_up_threshold,omitempty"`
	ScaleDownThreshold *float64 `json:"scale_down_threshold,omitempty"`
	// Counted, Missing and Unsettled are numbers of replicas: those that have the
	// metric, those that should have it, and those that do not count yet.
	Counted   int `json:"counted"`
	Missing   int `json:"missing"`
	Unsettled int `json:"unsettled"`
	// Wanted is what the policy wanted, in the decision's unit.
	Wanted int64 `json:"wanted"`
	// Note says what is special: a window that is open, a metric that nobody has.
	Note string `json:"note,omitempty"`
}

// ScalingRecord is what an evaluation writes: all of it, or nothing.
type ScalingRecord struct {
	Workload
	// Base is the deployment that the evaluation took for what is wanted.
	Base string
	At   time.Time
	// Decisions are new rows, and Prolonged those that go on.
	Decisions []ScalingDecision
	Prolonged []ProlongedDecision
	// Recommendations take the place of those that are stored; nil leaves them.
	Recommendations []Recommendation
	// Deployment is begun, unless something else than Base is wanted meanwhile.
	Deployment *Deployment
	// Limits are what a replica may use from now on.
	Limits *Resources
}

// ProlongedDecision is a decision that goes on, or has ended since.
type ProlongedDecision struct {
	// ScalingDecision is the row that ID names, as its last evaluation has it.
	ScalingDecision
	// More evaluations came to it, and it has held until then.
	More  int
	Until time.Time
}

// ScalingPolicyFilter selects policies; empty fields select all.
type ScalingPolicyFilter struct {
	DefinitionID, Environment, Name, Type string
}

// ScalingDecisionFilter selects decisions; empty fields select all.
type ScalingDecisionFilter struct {
	DefinitionID, Environment, PolicyID string
	Outcome                             ScalingOutcome
	// Changes leaves out those that changed nothing.
	Changes bool
	// From and To select those that were in force within the time: decided at To at the
	// latest, and not replaced by another about the same at From. Both at the same
	// moment is what was in force then.
	From, To *time.Time
}
