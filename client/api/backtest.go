package api

import "time"

// BacktestRequest is the body of POST /api/containers/scaling/backtest: a policy as
// it would be created, and the time to replay through it.
type BacktestRequest struct {
	CreateScalingPolicyRequest
	From         time.Time `json:"from" doc:"Beginning of the time to replay." example:"2026-06-06T06:00:00Z"`
	To           time.Time `json:"to" doc:"Its end." example:"2026-06-06T18:00:00Z"`
	Step         int       `json:"step,omitempty" doc:"Seconds between two evaluations; 20,000 of them at most. 60 when left out, or more where the time is long." example:"60" minimum:"1" maximum:"86400"`
	SettlingTime *int      `json:"settling_time,omitempty" doc:"Seconds until a new replica takes its share." example:"10" default:"10" minimum:"0" maximum:"3600"`
	// WithEnabledPolicies has the policies take part that are enabled for the definition.
	WithEnabledPolicies bool `json:"with_enabled_policies,omitempty" doc:"Have the policies take part that are enabled for the definition at present, but for one of the same name." example:"true"`
}

// BacktestResult is what a policy would have done.
type BacktestResult struct {
	Actions              []BacktestAction `json:"actions" doc:"Changes of the number of replicas, oldest first." nullable:"false"`
	ReplicaHours         float64          `json:"replica_hours" doc:"Replicas times hours that it would have used." example:"31.5"`
	ActualReplicaHours   float64          `json:"actual_replica_hours" doc:"Those that were used." example:"48"`
	TimeOverTarget       float64          `json:"time_over_target" doc:"Seconds in which a metric would have been above its target, by more than the tolerance, or its upper threshold." example:"120"`
	ActualTimeOverTarget float64          `json:"actual_time_over_target" doc:"Seconds in which it was." example:"300"`
	HighestReplicas      int              `json:"highest_replicas" doc:"Most replicas at a time." example:"7"`
	LowestReplicas       int              `json:"lowest_replicas" doc:"Fewest replicas at a time." example:"2"`
	Evaluations          int              `json:"evaluations" doc:"Evaluations that were made." example:"720"`
	Step                 int              `json:"step" doc:"Seconds between two of them." example:"60"`
}

// BacktestAction is one change that a policy would have made.
type BacktestAction struct {
	At         time.Time `json:"at" doc:"When." example:"2026-06-06T08:30:00Z"`
	From       int       `json:"from" doc:"Replicas before." example:"2"`
	To         int       `json:"to" doc:"Replicas after." example:"5"`
	PolicyName string    `json:"policy_name,omitempty" doc:"Policy that decided." example:"load"`
	LimitedBy  string    `json:"limited_by,omitempty" doc:"Limit that kept it from more, or less." example:"max_replicas"`
	Reason     string    `json:"reason" doc:"Why, in a sentence." example:"cpu is 180 % on average, more than the target of 70 %"`
}
