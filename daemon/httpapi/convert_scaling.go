package httpapi

import (
	"slices"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Conversions of what decides how much runs.

func scalingPolicyToAPI(p fleet.ScalingPolicy) api.ScalingPolicy {
	r := p.Rules
	return api.ScalingPolicy{
		ID:                  p.ID,
		DefinitionID:        p.DefinitionID,
		DefinitionName:      p.DefinitionName,
		Environment:         p.Environment,
		PolicyName:          p.Name,
		ScalingType:         r.Type,
		TriggerMetric:       r.Metric,
		MetricName:          r.MetricName,
		TargetValue:         copied(r.Target),
		ScaleUpThreshold:    copied(r.ScaleUpThreshold),
		ScaleDownThreshold:  copied(r.ScaleDownThreshold),
		ScaleUpAdjustment:   copied(r.ScaleUpAdjustment),
		ScaleDownAdjustment: copied(r.ScaleDownAdjustment),
		MinReplicas:         copied(r.MinReplicas),
		MaxReplicas:         copied(r.MaxReplicas),
		ScaleUpCooldown:     r.ScaleUpCooldown,
		ScaleDownCooldown:   r.ScaleDownCooldown,
		StabilizationWindow: r.StabilizationWindow,
		MaxScaleUp:          r.MaxScaleUp,
		MaxScaleDown:        r.MaxScaleDown,
		ScalePeriod:         r.ScalePeriod,
		MinLimit:            r.MinLimit,
		MaxLimit:            r.MaxLimit,
		ScheduleStart:       r.ScheduleStart,
		ScheduleEnd:         r.ScheduleEnd,
		TimeZone:            r.TimeZone,
		IsEnabled:           p.Enabled,
		CreatedBy:           p.CreatedBy,
		CreatedAt:           p.CreatedAt,
		UpdatedAt:           p.UpdatedAt,
	}
}

// copied is a value of its own, or nil.
func copied[T any](v *T) *T { return optional(v, func(v T) T { return v }) }

// scalingPolicyFromAPI is the policy that a request asks for, without identifier and
// times, which the store sets.
func scalingPolicyFromAPI(r api.CreateScalingPolicyRequest) fleet.ScalingPolicy {
	s := grammar.DefaultScaling(r.ScalingType, r.ScaleUpThreshold != nil)
	s.Metric = r.TriggerMetric
	s.MetricName = r.MetricName
	s.Target = copied(r.TargetValue)
	s.ScaleUpThreshold = copied(r.ScaleUpThreshold)
	s.ScaleDownThreshold = copied(r.ScaleDownThreshold)
	s.ScaleUpAdjustment = copied(r.ScaleUpAdjustment)
	s.ScaleDownAdjustment = copied(r.ScaleDownAdjustment)
	s.MinReplicas = copied(r.MinReplicas)
	s.MaxReplicas = copied(r.MaxReplicas)
	assign(&s.ScaleUpCooldown, r.CooldownPeriod)
	assign(&s.ScaleDownCooldown, r.CooldownPeriod)
	assign(&s.ScaleUpCooldown, r.ScaleUpCooldown)
	assign(&s.ScaleDownCooldown, r.ScaleDownCooldown)
	assign(&s.StabilizationWindow, r.StabilizationWindow)
	assign(&s.MaxScaleUp, r.MaxScaleUp)
	assign(&s.MaxScaleDown, r.MaxScaleDown)
	assign(&s.ScalePeriod, r.ScalePeriod)
	s.MinLimit = r.MinLimit
	s.MaxLimit = r.MaxLimit
	s.ScheduleStart = r.ScheduleStart
	s.ScheduleEnd = r.ScheduleEnd
	s.TimeZone = r.TimeZone
	enabled := true
	assign(&enabled, r.IsEnabled)
	return fleet.ScalingPolicy{
		DefinitionID: r.DefinitionID, Environment: r.Environment, Name: r.PolicyName, Rules: s, Enabled: enabled,
	}
}

// applyScalingPolicy changes what the request gives and leaves the rest; a policy
// of another type begins anew, and so does the cooldown upwards of one that is given
// thresholds in the place of a target, or a target in theirs.
func applyScalingPolicy(p *fleet.ScalingPolicy, r api.UpdateScalingPolicyRequest) {
	s := &p.Rules
	switch thresholds := r.ScaleUpThreshold.Value != nil; {
	case r.ScalingType != nil && *r.ScalingType != s.Type:
		*s = grammar.DefaultScaling(*r.ScalingType, thresholds)
	case r.ScaleUpThreshold.Set && thresholds != (s.ScaleUpThreshold != nil):
		s.ScaleUpCooldown = grammar.DefaultScaling(s.Type, thresholds).ScaleUpCooldown
	}
	replaceText(&s.Metric, r.TriggerMetric)
	replaceText(&s.MetricName, r.MetricName)
	replace(&s.Target, r.TargetValue)
	replace(&s.ScaleUpThreshold, r.ScaleUpThreshold)
	replace(&s.ScaleDownThreshold, r.ScaleDownThreshold)
	replace(&s.ScaleUpAdjustment, r.ScaleUpAdjustment)
	replace(&s.ScaleDownAdjustment, r.ScaleDownAdjustment)
	replace(&s.MinReplicas, r.MinReplicas)
	replace(&s.MaxReplicas, r.MaxReplicas)
	assign(&s.ScaleUpCooldown, r.CooldownPeriod)
	assign(&s.ScaleDownCooldown, r.CooldownPeriod)
	assign(&s.ScaleUpCooldown, r.ScaleUpCooldown)
	assign(&s.ScaleDownCooldown, r.ScaleDownCooldown)
	assign(&s.StabilizationWindow, r.StabilizationWindow)
	assign(&s.MaxScaleUp, r.MaxScaleUp)
	assign(&s.MaxScaleDown, r.MaxScaleDown)
	assign(&s.ScalePeriod, r.ScalePeriod)
	replaceText(&s.MinLimit, r.MinLimit)
	replaceText(&s.MaxLimit, r.MaxLimit)
	replaceText(&s.ScheduleStart, r.ScheduleStart)
	replaceText(&s.ScheduleEnd, r.ScheduleEnd)
	replaceText(&s.TimeZone, r.TimeZone)
	assign(&p.Enabled, r.IsEnabled)
}

// replace sets what is given, null too.
func replace[T any](to **T, from api.Optional[T]) {
	if from.Set {
		*to = copied(from.Value)
	}
}

// replaceText sets what is given; null is the empty text.
func replaceText(to *string, from api.Optional[string]) {
	if from.Set {
		*to = valueOf(from.Value)
	}
}

func scalingDecisionToAPI(d fleet.ScalingDecision) api.ScalingDecision {
	return api.ScalingDecision{
		ID:              d.ID,
		DefinitionID:    d.DefinitionID,
		DefinitionName:  d.DefinitionName,
		Environment:     d.Environment,
		PolicyID:        d.PolicyID,
		PolicyName:      d.PolicyName,
		Outcome:         string(d.Outcome),
		CurrentValue:    d.Current,
		WantedValue:     d.Wanted,
		LimitedValue:    d.Limited,
		Unit:            d.Unit,
		LimitedBy:       d.Limit,
		Reason:          d.Reason,
		Inputs:          list(d.Inputs, scalingReadingToAPI),
		DeploymentID:    d.DeploymentID,
		Evaluations:     d.Evaluations,
		DecidedAt:       d.DecidedAt,
		LastEvaluatedAt: d.LastEvaluatedAt,
	}
}

func scalingReadingToAPI(r fleet.ScalingReading) api.ScalingReading {
	return api.ScalingReading{
		PolicyID:           r.PolicyID,
		PolicyName:         r.PolicyName,
		Metric:             r.Metric,
		MetricName:         r.MetricName,
		Value:              copied(r.Value),
		Target:             copied(r.Target),
		ScaleUpThreshold:   copied(r.ScaleUpThreshold),
		ScaleDownThreshold: copied(r.ScaleDownThreshold),
		Counted:            r.Counted,
		Missing:            r.Missing,
		Unsettled:          r.Unsettled,
		Wanted:             r.Wanted,
		Note:               r.Note,
	}
}

// checkScalingPolicy checks a whole policy: what a create asks for, or what an
// update would leave behind. shorthand says that cooldowns came as cooldown_period,
// but for those that are given.
func checkScalingPolicy(f *faults, p fleet.ScalingPolicy, shorthand bool, given ...string) {
	f.refuse("body.policy_name", grammar.PolicyName(p.Name))
	for _, fault := range p.Rules.Faults() {
		field := fault.Field
		if shorthand && (field == fieldScaleUpCooldown || field == fieldScaleDownCooldown) && !slices.Contains(given, field) {
			field = "cooldown_period"
		}
		f.refuse("body."+field, fault.Err)
	}
}

const (
	fieldScaleUpCooldown   = "scale_up_cooldown"
	fieldScaleDownCooldown = "scale_down_cooldown"
)

// cooldowns names those of the two that are given.
func cooldowns(up, down *int) (given []string) {
	if up != nil {
		given = append(given, fieldScaleUpCooldown)
	}
	if down != nil {
		given = append(given, fieldScaleDownCooldown)
	}
	return given
}
