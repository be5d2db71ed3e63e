package api

import "time"

// Types of scaling policies.
const (
	// ScalingHorizontal changes the number of replicas after a metric.
	ScalingHorizontal = "horizontal"
	// ScalingVertical changes what each replica may use after what it has used.
	ScalingVertical = "vertical"
	// ScalingScheduled bounds the number of replicas at times that are known beforehand.
	ScalingScheduled = "scheduled"
)

// Metrics that scaling policies go by.
const (
	MetricCPU          = "cpu"
	MetricMemory       = "memory"
	MetricRequestRate  = "request_rate"
	MetricResponseTime = "response_time"
	MetricCustom       = "custom"
)

// Outcomes of scaling decisions.
const (
	OutcomeScaledUp   = "scaled_up"
	OutcomeScaledDown = "scaled_down"
	OutcomeResized    = "resized"
	OutcomeLimited    = "limited"
	OutcomeNoChange   = "no_change"
)

// ScalingPolicy scales a definition in an environment. What a type has no use for is left out.
type ScalingPolicy struct {
	ID                  string    `json:"id" doc:"Identifier of the policy." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a21" format:"uuid"`
	DefinitionID        string    `json:"definition_id" doc:"Definition that it scales." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
	DefinitionName      string    `json:"definition_name" doc:"Name of that definition." example:"wedding-api"`
	Environment         string    `json:"environment" doc:"Environment that it scales it in." example:"staging"`
	PolicyName          string    `json:"policy_name" doc:"Name, unique for the definition in the environment." example:"load"`
	ScalingType         string    `json:"scaling_type" doc:"What it changes: the number of replicas after a metric, what each may use, or the bounds of their number by the clock." example:"horizontal" enum:"horizontal,vertical,scheduled"`
	TriggerMetric       string    `json:"trigger_metric,omitempty" doc:"Metric that it goes by or, of a vertical one, resizes." example:"cpu" enum:"cpu,memory,request_rate,response_time,custom"`
	MetricName          string    `json:"metric_name,omitempty" doc:"Name of the custom metric." example:"photos_waiting"`
	TargetValue         *float64  `json:"target_value,omitempty" doc:"Value that the mean over the replicas is kept at; without it and without thresholds the definition's target_cpu or target_memory." example:"70"`
	ScaleUpThreshold    *float64  `json:"scale_up_threshold,omitempty" doc:"Mean above which replicas are added." example:"80"`
	ScaleDownThreshold  *float64  `json:"scale_down_threshold,omitempty" doc:"Mean below which replicas are removed." example:"30"`
	ScaleUpAdjustment   *int      `json:"scale_up_adjustment,omitempty" doc:"Replicas to add." example:"2"`
	ScaleDownAdjustment *int      `json:"scale_down_adjustment,omitempty" doc:"Replicas to remove." example:"1"`
	MinReplicas         *int      `json:"min_replicas,omitempty" doc:"Fewest replicas; the definition's when left out." example:"2"`
	MaxReplicas         *int      `json:"max_replicas,omitempty" doc:"Most replicas; the definition's when left out." example:"8"`
	ScaleUpCooldown     int       `json:"scale_up_cooldown" doc:"Seconds after a change in which nothing is added." example:"0"`
	ScaleDownCooldown   int       `json:"scale_down_cooldown" doc:"Seconds after a change in which nothing is taken away." example:"300"`
	StabilizationWindow int       `json:"stabilization_window" doc:"Seconds of which the highest recommendation counts before replicas are removed." example:"300"`
	MaxScaleUp          int       `json:"max_scale_up" doc:"Most replicas to add within scale_period; 0 for no bound." example:"4"`
	MaxScaleDown        int       `json:"max_scale_down" doc:"Most replicas to remove within scale_period; 0 for no bound." example:"1"`
	ScalePeriod         int       `json:"scale_period" doc:"Seconds that max_scale_up and max_scale_down hold for." example:"60"`
	MinLimit            string    `json:"min_limit,omitempty" doc:"Lowest limit that a vertical policy sets." example:"250m"`
	MaxLimit            string    `json:"max_limit,omitempty" doc:"Highest limit that a vertical policy sets." example:"2000m"`
	ScheduleStart       string    `json:"schedule_start,omitempty" doc:"When the window of a scheduled policy opens, a cron expression." example:"0 8 * * 6"`
	ScheduleEnd         string    `json:"schedule_end,omitempty" doc:"When it closes, a cron expression." example:"0 23 * * 6"`
	TimeZone            string    `json:"time_zone,omitempty" doc:"Time zone of the two." example:"Europe/London"`
	IsEnabled           bool      `json:"is_enabled" doc:"Whether it scales at present." example:"true"`
	CreatedBy           string    `json:"created_by,omitempty" doc:"Principal that created it." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a10" format:"uuid"`
	CreatedAt           time.Time `json:"created_at" doc:"When it was created." example:"2026-06-06T08:30:00Z"`
	UpdatedAt           time.Time `json:"updated_at" doc:"When it was last changed." example:"2026-06-06T08:30:00Z"`
}

// CreateScalingPolicyRequest is the body of POST /api/containers/scaling/policies.
// Each type has fields that only it takes.
type CreateScalingPolicyRequest struct {
	DefinitionID        string   `json:"definition_id" doc:"Definition to scale." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
	Environment         string   `json:"environment" doc:"Environment to scale it in." example:"staging" maxLength:"63"`
	PolicyName          string   `json:"policy_name" doc:"Name, unique for the definition in the environment." example:"load" maxLength:"128"`
	ScalingType         string   `json:"scaling_type" doc:"What to change: the number of replicas after a metric, what each may use, or the bounds of their number by the clock." example:"horizontal" enum:"horizontal,vertical,scheduled"`
	TriggerMetric       string   `json:"trigger_metric,omitempty" doc:"Metric to go by: cpu and memory in percent of the limit, request_rate per second and replica, response_time in milliseconds, or a custom one. A vertical policy resizes cpu or memory; a scheduled one takes none." example:"cpu" enum:"cpu,memory,request_rate,response_time,custom"`
	MetricName          string   `json:"metric_name,omitempty" doc:"Name of the custom metric." example:"photos_waiting" maxLength:"128"`
	TargetValue         *float64 `json:"target_value,omitempty" doc:"Value to keep the mean over the replicas at. Left out, without thresholds: the definition's target_cpu or target_memory." example:"70"`
	ScaleUpThreshold    *float64 `json:"scale_up_threshold,omitempty" doc:"Mean above which replicas are added, in the place of a target. The four of thresholds and adjustments are given together." example:"80"`
	ScaleDownThreshold  *float64 `json:"scale_down_threshold,omitempty" doc:"Mean below which replicas are removed; below scale_up_threshold." example:"30"`
	ScaleUpAdjustment   *int     `json:"scale_up_adjustment,omitempty" doc:"Replicas to add." example:"2" minimum:"1" maximum:"1000"`
	ScaleDownAdjustment *int     `json:"scale_down_adjustment,omitempty" doc:"Replicas to remove." example:"1" minimum:"1" maximum:"1000"`
	MinReplicas         *int     `json:"min_replicas,omitempty" doc:"Fewest replicas, within the definition's range; the definition's when left out. Of a scheduled policy it holds while its window is open." example:"2" minimum:"0" maximum:"1000"`
	MaxReplicas         *int     `json:"max_replicas,omitempty" doc:"Most replicas, within the definition's range; the definition's when left out. Of a scheduled policy it holds while its window is open." example:"8" minimum:"0" maximum:"1000"`
	CooldownPeriod      *int     `json:"cooldown_period,omitempty" doc:"Seconds between two changes: scale_up_cooldown and scale_down_cooldown in one. 300 when left out, and 0 upwards where there is a target." example:"300" minimum:"0" maximum:"86400"`
	ScaleUpCooldown     *int     `json:"scale_up_cooldown,omitempty" doc:"Seconds after a change in which nothing is added; cooldown_period when left out." example:"0" minimum:"0" maximum:"86400"`
	ScaleDownCooldown   *int     `json:"scale_down_cooldown,omitempty" doc:"Seconds after a change in which nothing is taken away; cooldown_period when left out." example:"300" minimum:"0" maximum:"86400"`
	StabilizationWindow *int     `json:"stabilization_window,omitempty" doc:"Seconds of which the highest recommendation counts before replicas are removed. 300 of a horizontal policy when left out." example:"300" minimum:"0" maximum:"86400"`
	MaxScaleUp          *int     `json:"max_scale_up,omitempty" doc:"Most replicas to add within scale_period; 0 for no bound." example:"4" minimum:"0" maximum:"1000"`
	MaxScaleDown        *int     `json:"max_scale_down,omitempty" doc:"Most replicas to remove within scale_period; 0 for no bound." example:"1" minimum:"0" maximum:"1000"`
	ScalePeriod         *int     `json:"scale_period,omitempty" doc:"Seconds that max_scale_up and max_scale_down hold for." example:"60" default:"60" minimum:"1" maximum:"86400"`
	MinLimit            string   `json:"min_limit,omitempty" doc:"Lowest limit that a vertical policy sets, written as in resource_limits." example:"250m" maxLength:"32"`
	MaxLimit            string   `json:"max_limit,omitempty" doc:"Highest limit that a vertical policy sets." example:"2000m" maxLength:"32"`
	ScheduleStart       string   `json:"schedule_start,omitempty" doc:"When the window of a scheduled policy opens, a cron expression of five fields." example:"0 8 * * 6" maxLength:"256"`
	ScheduleEnd         string   `json:"schedule_end,omitempty" doc:"When it closes, a cron expression of five fields." example:"0 23 * * 6" maxLength:"256"`
	TimeZone            string   `json:"time_zone,omitempty" doc:"Time zone of the two, by its name." example:"Europe/London" maxLength:"64"`
	IsEnabled           *bool    `json:"is_enabled,omitempty" doc:"Whether it scales from the start." example:"true" default:"true"`
}

// UpdateScalingPolicyRequest is the body of PUT /api/containers/scaling/policies/{policy_id}.
// A field that is left out stays as it is, and null takes one away. With another
// type, what is left out is as of a new policy, and so is scale_up_cooldown with
// thresholds in the place of a target, or a target in theirs. Definition, environment
// and name are a policy's identity.
type UpdateScalingPolicyRequest struct {
	ScalingType         *string           `json:"scaling_type,omitempty" doc:"What to change. With another type than before, all that is left out is as of a new policy." example:"horizontal" enum:"horizontal,vertical,scheduled"`
	TriggerMetric       Optional[string]  `json:"trigger_metric,omitzero" doc:"Metric to go by: cpu, memory, request_rate, response_time or custom; null for none." example:"cpu" maxLength:"32"`
	MetricName          Optional[string]  `json:"metric_name,omitzero" doc:"Name of the custom metric; null for none." example:"photos_waiting" maxLength:"128"`
	TargetValue         Optional[float64] `json:"target_value,omitzero" doc:"Value to keep the mean over the replicas at; null for none." example:"60"`
	ScaleUpThreshold    Optional[float64] `json:"scale_up_threshold,omitzero" doc:"Mean above which replicas are added; null for none. With thresholds in the place of a target, or a target in theirs, a scale_up_cooldown that is left out is as of a new policy: 300, or 0 with a target." example:"80"`
	ScaleDownThreshold  Optional[float64] `json:"scale_down_threshold,omitzero" doc:"Mean below which replicas are removed; null for none." example:"30"`
	ScaleUpAdjustment   Optional[int]     `json:"scale_up_adjustment,omitzero" doc:"Replicas to add; null for none." example:"2" minimum:"1" maximum:"1000"`
	ScaleDownAdjustment Optional[int]     `json:"scale_down_adjustment,omitzero" doc:"Replicas to remove; null for none." example:"1" minimum:"1" maximum:"1000"`
	MinReplicas         Optional[int]     `json:"min_replicas,omitzero" doc:"Fewest replicas; null for the definition's." example:"2" minimum:"0" maximum:"1000"`
	MaxReplicas         Optional[int]     `json:"max_replicas,omitzero" doc:"Most replicas; null for the definition's." example:"8" minimum:"0" maximum:"1000"`
	CooldownPeriod      *int              `json:"cooldown_period,omitempty" doc:"Seconds between two changes: scale_up_cooldown and scale_down_cooldown in one." example:"300" minimum:"0" maximum:"86400"`
	ScaleUpCooldown     *int              `json:"scale_up_cooldown,omitempty" doc:"Seconds after a change in which nothing is added. Left out, it stays as it is, unless thresholds take the place of a target, or a target theirs." example:"0" minimum:"0" maximum:"86400"`
	ScaleDownCooldown   *int              `json:"scale_down_cooldown,omitempty" doc:"Seconds after a change in which nothing is taken away." example:"300" minimum:"0" maximum:"86400"`
	StabilizationWindow *int              `json:"stabilization_window,omitempty" doc:"Seconds of which the highest recommendation counts before replicas are removed." example:"300" minimum:"0" maximum:"86400"`
	MaxScaleUp          *int              `json:"max_scale_up,omitempty" doc:"Most replicas to add within scale_period; 0 for no bound." example:"4" minimum:"0" maximum:"1000"`
	MaxScaleDown        *int              `json:"max_scale_down,omitempty" doc:"Most replicas to remove within scale_period; 0 for no bound." example:"1" minimum:"0" maximum:"1000"`
	ScalePeriod         *int              `json:"scale_period,omitempty" doc:"Seconds that max_scale_up and max_scale_down hold for." example:"60" minimum:"1" maximum:"86400"`
	MinLimit            Optional[string]  `json:"min_limit,omitzero" doc:"Lowest limit that a vertical policy sets; null for none." example:"250m" maxLength:"32"`
	MaxLimit            Optional[string]  `json:"max_limit,omitzero" doc:"Highest limit that a vertical policy sets; null for none." example:"2000m" maxLength:"32"`
	ScheduleStart       Optional[string]  `json:"schedule_start,omitzero" doc:"When the window of a scheduled policy opens, a cron expression; null for none." example:"0 8 * * 6" maxLength:"256"`
	ScheduleEnd         Optional[string]  `json:"schedule_end,omitzero" doc:"When it closes, a cron expression; null for none." example:"0 23 * * 6" maxLength:"256"`
	TimeZone            Optional[string]  `json:"time_zone,omitzero" doc:"Time zone of the two; null for none." example:"Europe/London" maxLength:"64"`
	IsEnabled           *bool             `json:"is_enabled,omitempty" doc:"Whether it scales." example:"true"`
}

// ScalingPolicyList is one page of scaling policies, by name.
type ScalingPolicyList struct {
	Policies   []ScalingPolicy `json:"policies" doc:"One page of policies, by name." nullable:"false"`
	TotalCount int             `json:"total_count" doc:"Policies that match, over all pages." example:"2"`
	NextCursor string          `json:"next_cursor,omitempty" doc:"Continues the list; absent on its last page." example:"eyJrIjoibG9hZCJ9"`
}

// ListScalingPoliciesOptions select and page scaling policies.
type ListScalingPoliciesOptions struct {
	Page
	// DefinitionID selects the policies of one definition.
	DefinitionID string
	// Environment selects the policies of one environment.
	Environment string
	// PolicyName selects policies of this name.
	PolicyName string
	// ScalingType selects policies of this type.
	ScalingType string
}

// ScalingDecision is what one evaluation of a workload's policies came to, with all
// that it went by. Ones that follow each other and change nothing for the same reason
// are one, with a count and what the last of them saw.
type ScalingDecision struct {
	ID              string           `json:"id" doc:"Identifier of the decision." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a22" format:"uuid"`
	DefinitionID    string           `json:"definition_id" doc:"Definition that it is about." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
	DefinitionName  string           `json:"definition_name" doc:"Name of that definition." example:"wedding-api"`
	Environment     string           `json:"environment" doc:"Environment that it is about." example:"staging"`
	PolicyID        string           `json:"policy_id,omitempty" doc:"Policy that decided; absent when none did. It may be deleted since." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a21" format:"uuid"`
	PolicyName      string           `json:"policy_name,omitempty" doc:"Name of that policy." example:"load"`
	Outcome         string           `json:"outcome" doc:"What it came to: another number of replicas, another limit of each, nothing because of a limit, or nothing." example:"scaled_up" enum:"scaled_up,scaled_down,resized,limited,no_change"`
	CurrentValue    int64            `json:"current_value" doc:"What there was, in the unit." example:"2"`
	WantedValue     int64            `json:"wanted_value" doc:"What the policy wanted." example:"5"`
	LimitedValue    int64            `json:"limited_value" doc:"What the limits left of it." example:"4"`
	Unit            string           `json:"unit" doc:"Unit of the three." example:"replicas" enum:"replicas,millicores,bytes"`
	LimitedBy       string           `json:"limited_by,omitempty" doc:"Which limit made limited_value of wanted_value; absent when none did." example:"max_replicas"`
	Reason          string           `json:"reason" doc:"Why, in a sentence." example:"cpu is 180 % on average, more than the target of 70 %"`
	Inputs          []ScalingReading `json:"inputs" doc:"What each policy saw and wanted." nullable:"false"`
	DeploymentID    string           `json:"deployment_id,omitempty" doc:"Deployment that was begun." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a14" format:"uuid"`
	Evaluations     int              `json:"evaluations" doc:"Evaluations that this stands for; it says what the last of them saw." example:"1"`
	DecidedAt       time.Time        `json:"decided_at" doc:"When it was first decided so." example:"2026-06-06T08:30:00Z"`
	LastEvaluatedAt time.Time        `json:"last_evaluated_at" doc:"Until when it held: when it was last decided so, or another decision took its place." example:"2026-06-06T08:30:00Z"`
}

// ScalingReading is what one policy saw and wanted.
type ScalingReading struct {
	PolicyID           string   `json:"policy_id" doc:"The policy." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a21" format:"uuid"`
	PolicyName         string   `json:"policy_name" doc:"Its name." example:"load"`
	Metric             string   `json:"metric,omitempty" doc:"Metric that it goes by." example:"cpu"`
	MetricName         string   `json:"metric_name,omitempty" doc:"Name of a custom metric." example:"photos_waiting"`
	Value              *float64 `json:"value,omitempty" doc:"Mean over the replicas that have the metric; absent when none has." example:"180"`
	Target             *float64 `json:"target,omitempty" doc:"Target that it was compared with." example:"70"`
	ScaleUpThreshold   *float64 `json:"scale_up_threshold,omitempty" doc:"Upper threshold that it was compared with." example:"80"`
	ScaleDownThreshold *float64 `json:"scale_down_threshold,omitempty" doc:"Lower threshold that it was compared with." example:"30"`
	Counted            int      `json:"counted" doc:"Replicas that have the metric." example:"2"`
	Missing            int      `json:"missing" doc:"Replicas that should have it and do not." example:"0"`
	Unsettled          int      `json:"unsettled" doc:"Replicas that do not count yet." example:"0"`
	Wanted             int64    `json:"wanted" doc:"What the policy wanted, in the decision's unit." example:"5"`
	Note               string   `json:"note,omitempty" doc:"What is special." example:"the window is open until 2026-06-06T23:00:00Z"`
}

// ScalingDecisionList is one page of scaling decisions, newest first.
type ScalingDecisionList struct {
	Decisions  []ScalingDecision `json:"decisions" doc:"One page of decisions, newest first." nullable:"false"`
	TotalCount int               `json:"total_count" doc:"Decisions that match, over all pages." example:"2"`
	NextCursor string            `json:"next_cursor,omitempty" doc:"Continues the list; absent on its last page." example:"eyJrIjoiMjAyNi0wNi0wNlQwODozMDowMFoifQ"`
}

// ListScalingDecisionsOptions select and page scaling decisions.
type ListScalingDecisionsOptions struct {
	Page
	// DefinitionID and Environment select what is scaled.
	DefinitionID, Environment string
	// PolicyID selects what one policy decided.
	PolicyID string
	// Outcome selects decisions that came to this.
	Outcome string
	// ChangesOnly leaves out those that changed nothing.
	ChangesOnly bool
	// From and To select what was in force in a span of time; zero for no bound. Both at
	// the same moment select the decision of that moment.
	From, To time.Time
}
