package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// rolloutConfigModel says how a rollout replaces what runs.
type rolloutConfigModel struct {
	MaxSurge         types.String      `tfsdk:"max_surge"`
	MaxUnavailable   types.String      `tfsdk:"max_unavailable"`
	StartFirst       types.Bool        `tfsdk:"start_first"`
	MinHealthyTime   types.Int64       `tfsdk:"min_healthy_time"`
	HealthyDeadline  types.Int64       `tfsdk:"healthy_deadline"`
	ProgressDeadline types.Int64       `tfsdk:"progress_deadline"`
	CanarySteps      []canaryStepModel `tfsdk:"canary_steps"`
	AutoPromote      types.Bool        `tfsdk:"auto_promote"`
	KeepWarmTime     types.Int64       `tfsdk:"keep_warm_time"`
	DrainTime        types.Int64       `tfsdk:"drain_time"`
}

type canaryStepModel struct {
	Weight types.Int64 `tfsdk:"weight"`
	Pause  types.Int64 `tfsdk:"pause"`
}

func (m canaryStepModel) incomplete() bool { return m.Weight.IsNull() || m.Pause.IsNull() }

func rolloutConfigFromAPI(c api.RolloutConfig) rolloutConfigModel {
	m := rolloutConfigModel{
		MaxSurge:         types.StringPointerValue(c.MaxSurge),
		MaxUnavailable:   types.StringPointerValue(c.MaxUnavailable),
		StartFirst:       types.BoolPointerValue(c.StartFirst),
		MinHealthyTime:   intPointerValue(c.MinHealthyTime),
		HealthyDeadline:  intPointerValue(c.HealthyDeadline),
		ProgressDeadline: intPointerValue(c.ProgressDeadline),
		CanarySteps:      []canaryStepModel{},
		AutoPromote:      types.BoolPointerValue(c.AutoPromote),
		KeepWarmTime:     intPointerValue(c.KeepWarmTime),
		DrainTime:        intPointerValue(c.DrainTime),
	}
	if c.CanarySteps != nil {
		for _, s := range *c.CanarySteps {
			m.CanarySteps = append(m.CanarySteps, canaryStepModel{Weight: int64Value(s.Weight), Pause: int64Value(s.Pause)})
		}
	}
	return m
}

func (m rolloutConfigModel) toAPI() *api.RolloutConfig {
	steps := make([]api.CanaryStep, len(m.CanarySteps))
	for i, s := range m.CanarySteps {
		steps[i] = api.CanaryStep{Weight: intOf(s.Weight), Pause: intOf(s.Pause)}
	}
	return &api.RolloutConfig{
		MaxSurge:         m.MaxSurge.ValueStringPointer(),
		MaxUnavailable:   m.MaxUnavailable.ValueStringPointer(),
		StartFirst:       m.StartFirst.ValueBoolPointer(),
		MinHealthyTime:   intPointer(m.MinHealthyTime),
		HealthyDeadline:  intPointer(m.HealthyDeadline),
		ProgressDeadline: intPointer(m.ProgressDeadline),
		CanarySteps:      &steps,
		AutoPromote:      m.AutoPromote.ValueBoolPointer(),
		KeepWarmTime:     intPointer(m.KeepWarmTime),
		DrainTime:        intPointer(m.DrainTime),
	}
}

func intPointer(n types.Int64) *int {
	if n.IsNull() {
		return nil
	}
	return pointer(intOf(n))
}

// rollout is the rollout that the model describes. Nulls stand for defaults.
func (m rolloutConfigModel) rollout() grammar.Rollout {
	r := grammar.DefaultRollout(m.StartFirst.IsNull() || m.StartFirst.ValueBool())
	c := m.toAPI()
	assign(&r.MaxSurge, c.MaxSurge)
	assign(&r.MaxUnavailable, c.MaxUnavailable)
	assign(&r.MinHealthyTime, c.MinHealthyTime)
	assign(&r.HealthyDeadline, c.HealthyDeadline)
	assign(&r.ProgressDeadline, c.ProgressDeadline)
	assign(&r.AutoPromote, c.AutoPromote)
	assign(&r.KeepWarmTime, c.KeepWarmTime)
	assign(&r.DrainTime, c.DrainTime)
	if m.CanarySteps != nil {
		r.CanarySteps = make([]grammar.CanaryStep, len(m.CanarySteps))
		for i, s := range m.CanarySteps {
			r.CanarySteps[i] = grammar.CanaryStep{Weight: intOf(s.Weight), Pause: intOf(s.Pause)}
		}
	}
	return r
}

// assign overwrites a default with a value that is given.
func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// rolloutConfigOf reads the attribute. It is false when part of its value is
// known only after apply.
func rolloutConfigOf(ctx context.Context, object types.Object) (m rolloutConfigModel, known bool, diags diag.Diagnostics) {
	value, err := object.ToTerraformValue(ctx)
	switch {
	case err != nil:
		diags.AddError("Read rollout_config", err.Error())
	case value.IsFullyKnown():
		known = true
		diags = object.As(ctx, &m, basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true})
	}
	return m, known, diags
}

// rolloutConfigObject is the value of the attribute.
func rolloutConfigObject(ctx context.Context, m rolloutConfigModel) (types.Object, diag.Diagnostics) {
	kind, ok := schema.SingleNestedAttribute{Attributes: rolloutConfigAttributes()}.GetType().(types.ObjectType)
	if !ok {
		panic("a nested attribute is no object")
	}
	return types.ObjectValueFrom(ctx, kind.AttrTypes, m)
}
