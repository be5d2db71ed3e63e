package provider

import (
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// scalingPolicyModel is a scaling policy as the resource and the data sources show it.
type scalingPolicyModel struct {
	ID                  types.String  `tfsdk:"id"`
	DefinitionID        types.String  `tfsdk:"definition_id"`
	DefinitionName      types.String  `tfsdk:"definition_name"`
	Environment         types.String  `tfsdk:"environment"`
	PolicyName          types.String  `tfsdk:"policy_name"`
	ScalingType         types.String  `tfsdk:"scaling_type"`
	TriggerMetric       types.String  `tfsdk:"trigger_metric"`
	MetricName          types.String  `tfsdk:"metric_name"`
	TargetValue         types.Float64 `tfsdk:"target_value"`
	ScaleUpThreshold    types.Float64 `tfsdk:"scale_up_threshold"`
	ScaleDownThreshold  types.Float64 `tfsdk:"scale_down_threshold"`
	ScaleUpAdjustment   types.Int64   `tfsdk:"scale_up_adjustment"`
	ScaleDownAdjustment types.Int64   `tfsdk:"scale_down_adjustment"`
	MinReplicas         types.Int64   `tfsdk:"min_replicas"`
	MaxReplicas         types.Int64   `tfsdk:"max_replicas"`
	ScaleUpCooldown     types.Int64   `tfsdk:"scale_up_cooldown"`
	ScaleDownCooldown   types.Int64   `tfsdk:"scale_down_cooldown"`
	StabilizationWindow types.Int64   `tfsdk:"stabilization_window"`
	MaxScaleUp          types.Int64   `tfsdk:"max_scale_up"`
	MaxScaleDown        types.Int64   `tfsdk:"max_scale_down"`
	ScalePeriod         types.Int64   `tfsdk:"scale_period"`
	MinLimit            types.String  `tfsdk:"min_limit"`
	MaxLimit            types.String  `tfsdk:"max_limit"`
	ScheduleStart       types.String  `tfsdk:"schedule_start"`
	ScheduleEnd         types.String  `tfsdk:"schedule_end"`
	TimeZone            types.String  `tfsdk:"time_zone"`
	IsEnabled           types.Bool    `tfsdk:"is_enabled"`
	CreatedBy           types.String  `tfsdk:"created_by"`
	CreatedAt           types.String  `tfsdk:"created_at"`
	UpdatedAt           types.String  `tfsdk:"updated_at"`
}

// scalingPolicyResourceModel has, beside the policy, what only a configuration says.
type scalingPolicyResourceModel struct {
	scalingPolicyModel
	CooldownPeriod types.Int64 `tfsdk:"cooldown_period"`
}

func scalingPolicyFromAPI(p api.ScalingPolicy) scalingPolicyModel {
	return scalingPolicyModel{
		ID:                  types.StringValue(p.ID),
		DefinitionID:        types.StringValue(p.DefinitionID),
		DefinitionName:      types.StringValue(p.DefinitionName),
		Environment:         types.StringValue(p.Environment),
		PolicyName:          types.StringValue(p.PolicyName),
		ScalingType:         types.StringValue(p.ScalingType),
		TriggerMetric:       nullIfEmpty(p.TriggerMetric),
		MetricName:          nullIfEmpty(p.MetricName),
		TargetValue:         types.Float64PointerValue(p.TargetValue),
		ScaleUpThreshold:    types.Float64PointerValue(p.ScaleUpThreshold),
		ScaleDownThreshold:  types.Float64PointerValue(p.ScaleDownThreshold),
		ScaleUpAdjustment:   intPointerValue(p.ScaleUpAdjustment),
		ScaleDownAdjustment: intPointerValue(p.ScaleDownAdjustment),
		MinReplicas:         intPointerValue(p.MinReplicas),
		MaxReplicas:         intPointerValue(p.MaxReplicas),
		ScaleUpCooldown:     int64Value(p.ScaleUpCooldown),
		ScaleDownCooldown:   int64Value(p.ScaleDownCooldown),
		StabilizationWindow: int64Value(p.StabilizationWindow),
		MaxScaleUp:          int64Value(p.MaxScaleUp),
		MaxScaleDown:        int64Value(p.MaxScaleDown),
		ScalePeriod:         int64Value(p.ScalePeriod),
		MinLimit:            nullIfEmpty(p.MinLimit),
		MaxLimit:            nullIfEmpty(p.MaxLimit),
		ScheduleStart:       nullIfEmpty(p.ScheduleStart),
		ScheduleEnd:         nullIfEmpty(p.ScheduleEnd),
		TimeZone:            nullIfEmpty(p.TimeZone),
		IsEnabled:           types.BoolValue(p.IsEnabled),
		CreatedBy:           nullIfEmpty(p.CreatedBy),
		CreatedAt:           timeValue(p.CreatedAt),
		UpdatedAt:           timeValue(p.UpdatedAt),
	}
}

func createScalingPolicyRequest(m scalingPolicyModel) api.CreateScalingPolicyRequest {
	return api.CreateScalingPolicyRequest{
		DefinitionID:        m.DefinitionID.ValueString(),
		Environment:         m.Environment.ValueString(),
		PolicyName:          m.PolicyName.ValueString(),
		ScalingType:         m.ScalingType.ValueString(),
		TriggerMetric:       m.TriggerMetric.ValueString(),
		MetricName:          m.MetricName.ValueString(),
		TargetValue:         m.TargetValue.ValueFloat64Pointer(),
		ScaleUpThreshold:    m.ScaleUpThreshold.ValueFloat64Pointer(),
		ScaleDownThreshold:  m.ScaleDownThreshold.ValueFloat64Pointer(),
		ScaleUpAdjustment:   knownInt(m.ScaleUpAdjustment),
		ScaleDownAdjustment: knownInt(m.ScaleDownAdjustment),
		MinReplicas:         knownInt(m.MinReplicas),
		MaxReplicas:         knownInt(m.MaxReplicas),
		ScaleUpCooldown:     knownInt(m.ScaleUpCooldown),
		ScaleDownCooldown:   knownInt(m.ScaleDownCooldown),
		StabilizationWindow: knownInt(m.StabilizationWindow),
		MaxScaleUp:          knownInt(m.MaxScaleUp),
		MaxScaleDown:        knownInt(m.MaxScaleDown),
		ScalePeriod:         knownInt(m.ScalePeriod),
		MinLimit:            m.MinLimit.ValueString(),
		MaxLimit:            m.MaxLimit.ValueString(),
		ScheduleStart:       m.ScheduleStart.ValueString(),
		ScheduleEnd:         m.ScheduleEnd.ValueString(),
		TimeZone:            m.TimeZone.ValueString(),
		IsEnabled:           m.IsEnabled.ValueBoolPointer(),
	}
}

// updateScalingPolicyRequest replaces everything: what is null in the plan is taken away.
func updateScalingPolicyRequest(m scalingPolicyModel) api.UpdateScalingPolicyRequest {
	return api.UpdateScalingPolicyRequest{
		ScalingType:         m.ScalingType.ValueStringPointer(),
		TriggerMetric:       orNull(m.TriggerMetric.ValueStringPointer()),
		MetricName:          orNull(m.MetricName.ValueStringPointer()),
		TargetValue:         orNull(m.TargetValue.ValueFloat64Pointer()),
		ScaleUpThreshold:    orNull(m.ScaleUpThreshold.ValueFloat64Pointer()),
		ScaleDownThreshold:  orNull(m.ScaleDownThreshold.ValueFloat64Pointer()),
		ScaleUpAdjustment:   orNull(knownInt(m.ScaleUpAdjustment)),
		ScaleDownAdjustment: orNull(knownInt(m.ScaleDownAdjustment)),
		MinReplicas:         orNull(knownInt(m.MinReplicas)),
		MaxReplicas:         orNull(knownInt(m.MaxReplicas)),
		ScaleUpCooldown:     knownInt(m.ScaleUpCooldown),
		ScaleDownCooldown:   knownInt(m.ScaleDownCooldown),
		StabilizationWindow: knownInt(m.StabilizationWindow),
		MaxScaleUp:          knownInt(m.MaxScaleUp),
		MaxScaleDown:        knownInt(m.MaxScaleDown),
		ScalePeriod:         knownInt(m.ScalePeriod),
		MinLimit:            orNull(m.MinLimit.ValueStringPointer()),
		MaxLimit:            orNull(m.MaxLimit.ValueStringPointer()),
		ScheduleStart:       orNull(m.ScheduleStart.ValueStringPointer()),
		ScheduleEnd:         orNull(m.ScheduleEnd.ValueStringPointer()),
		TimeZone:            orNull(m.TimeZone.ValueStringPointer()),
		IsEnabled:           m.IsEnabled.ValueBoolPointer(),
	}
}

// knownInt is a number that is there and known, or nil.
func knownInt(n types.Int64) *int {
	if !known(n) {
		return nil
	}
	return pointer(intOf(n))
}

// orNull is a field that is given: with the value, or as null.
func orNull[T any](v *T) api.Optional[T] { return api.Optional[T]{Set: true, Value: v} }

// owns reports whether the policy decides on the number of replicas.
func (m scalingPolicyModel) owns() bool {
	return grammar.Scaling{Type: m.ScalingType.ValueString()}.OwnsReplicas()
}

// defaults are the times of a policy like the model's where the configuration says
// nothing; false when that is not known yet.
func (m scalingPolicyResourceModel) defaults() (grammar.Scaling, bool) {
	if m.ScalingType.IsUnknown() || m.ScaleUpThreshold.IsUnknown() || m.CooldownPeriod.IsUnknown() {
		return grammar.Scaling{}, false
	}
	s := grammar.DefaultScaling(m.ScalingType.ValueString(), !m.ScaleUpThreshold.IsNull())
	settle(&s.ScaleUpCooldown, m.CooldownPeriod, intOf)
	settle(&s.ScaleDownCooldown, m.CooldownPeriod, intOf)
	return s, true
}

// faults are what the grammar refuses of a configuration, whatever becomes of what
// is not known yet: what it refuses without that, and with something sound in its place.
func (m scalingPolicyResourceModel) faults() []grammar.Fault {
	if m.ScalingType.IsUnknown() {
		return nil
	}
	without, with := rulesReader{}, rulesReader{guess: true}
	refused := without.rules(m).Faults()
	if len(without.unknown) == 0 {
		return refused
	}
	also := with.rules(m).Faults()
	return slices.DeleteFunc(refused, func(f grammar.Fault) bool {
		return slices.Contains(without.unknown, f.Field) || !slices.ContainsFunc(also, func(g grammar.Fault) bool { return g.Field == f.Field })
	})
}

// rulesReader makes the rules of a configuration, and notes which are not known yet:
// they are left out or, where it guesses, a sample that is sound beside the others.
type rulesReader struct {
	guess   bool
	unknown []string
}

func (r *rulesReader) rules(m scalingPolicyResourceModel) grammar.Scaling {
	s := grammar.DefaultScaling(m.ScalingType.ValueString(), !m.ScaleUpThreshold.IsNull())
	least, most := "10m", "1024"
	if m.TriggerMetric.ValueString() == grammar.MetricMemory {
		least, most = "6Mi", "1024Ti"
	}
	text := func(to *string, name string, v types.String, sample string) {
		read(r, to, name, v, types.String.ValueString, sample)
	}
	fraction := func(to **float64, name string, v types.Float64, sample float64) {
		read(r, to, name, v, types.Float64.ValueFloat64Pointer, &sample)
	}
	number := func(to **int, name string, v types.Int64, sample int) { read(r, to, name, v, knownInt, &sample) }
	count := func(to *int, name string, v types.Int64) { read(r, to, name, v, intOf, *to) }
	text(&s.Metric, "trigger_metric", m.TriggerMetric, grammar.MetricCPU)
	text(&s.MetricName, "metric_name", m.MetricName, "x")
	fraction(&s.Target, "target_value", m.TargetValue, 1)
	fraction(&s.ScaleUpThreshold, "scale_up_threshold", m.ScaleUpThreshold, 1e300)
	fraction(&s.ScaleDownThreshold, "scale_down_threshold", m.ScaleDownThreshold, 1e-300)
	number(&s.ScaleUpAdjustment, "scale_up_adjustment", m.ScaleUpAdjustment, 1)
	number(&s.ScaleDownAdjustment, "scale_down_adjustment", m.ScaleDownAdjustment, 1)
	number(&s.MinReplicas, "min_replicas", m.MinReplicas, 1)
	number(&s.MaxReplicas, "max_replicas", m.MaxReplicas, grammar.MaxReplicas)
	count(&s.ScaleUpCooldown, "cooldown_period", m.CooldownPeriod)
	count(&s.ScaleDownCooldown, "cooldown_period", m.CooldownPeriod)
	count(&s.ScaleUpCooldown, "scale_up_cooldown", m.ScaleUpCooldown)
	count(&s.ScaleDownCooldown, "scale_down_cooldown", m.ScaleDownCooldown)
	count(&s.StabilizationWindow, "stabilization_window", m.StabilizationWindow)
	count(&s.MaxScaleUp, "max_scale_up", m.MaxScaleUp)
	count(&s.MaxScaleDown, "max_scale_down", m.MaxScaleDown)
	count(&s.ScalePeriod, "scale_period", m.ScalePeriod)
	text(&s.MinLimit, "min_limit", m.MinLimit, least)
	text(&s.MaxLimit, "max_limit", m.MaxLimit, most)
	text(&s.ScheduleStart, "schedule_start", m.ScheduleStart, "1 2 3 4 *")
	text(&s.ScheduleEnd, "schedule_end", m.ScheduleEnd, "2 3 4 5 *")
	text(&s.TimeZone, "time_zone", m.TimeZone, "UTC")
	return s
}

// read sets what a configuration gives.
func read[V attr.Value, T any](r *rulesReader, to *T, name string, v V, plain func(V) T, sample T) {
	switch {
	case v.IsUnknown():
		r.unknown = append(r.unknown, name)
		if r.guess {
			*to = sample
		}
	case !v.IsNull():
		*to = plain(v)
	}
}
