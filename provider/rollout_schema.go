package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

func rolloutConfigAttribute() schema.SingleNestedAttribute {
	attributes := rolloutConfigAttributes()
	return schema.SingleNestedAttribute{
		Optional: true, Computed: true, Attributes: attributes, Default: defaultObject(attributes),
		MarkdownDescription: "How a rollout replaces what runs. Times are whole seconds. A change here rolls nothing out by itself; it applies from the next rollout on.",
		Validators:          []validator.Object{rolloutValidator{}},
	}
}

func rolloutConfigAttributes() map[string]schema.Attribute {
	d := grammar.DefaultRollout(true)
	step := schema.NestedAttributeObject{Attributes: canaryStepAttributes()}
	return map[string]schema.Attribute{
		"max_surge": replicaShare("Replicas that a `rolling_update` may run beyond the wanted number: a number, such as `2`, or a percentage of the wanted number, "+
			"such as `25%`, rounded up. More make it faster and need more of the machine.",
			func(r grammar.Rollout) string { return r.MaxSurge }),
		"max_unavailable": replicaShare("Replicas that may be missing while a `rolling_update` goes on, written like `max_surge`, rounded down.",
			func(r grammar.Rollout) string { return r.MaxUnavailable }),
		"start_first": settingBool("Start a new replica before an old one is stopped. "+
			"`false` stops the old one first, for what cannot run twice at the same time; a replica is missing meanwhile.", d.StartFirst),
		"min_healthy_time": settingInt64("Seconds for which a new replica must pass its health check without a break, and not restart, before it counts as healthy. "+
			"Keeps out what fails a moment after its start.", d.MinHealthyTime),
		"healthy_deadline": settingInt64("Seconds from a new replica's start within which it must have been healthy for `min_healthy_time`; otherwise the rollout fails. "+
			"Must be longer than the health check takes to its verdict, `start_period + interval × retries`.", d.HealthyDeadline),
		"progress_deadline": settingInt64("Seconds for which a rollout may go on without another replica becoming healthy; each one that does renews them. "+
			"Ends a rollout that is stuck. At least `healthy_deadline`.", d.ProgressDeadline),
		"canary_steps": schema.ListNestedAttribute{
			Optional: true, Computed: true, NestedObject: step,
			Default:             listdefault.StaticValue(canaryStepsValue(step, d.CanarySteps)),
			MarkdownDescription: "Shares that a `canary` takes, one after the other, before it takes everything; `[]` for none." + defaultText + stepsText(d.CanarySteps) + ".",
			Validators:          []validator.List{listvalidator.NoNullValues()},
		},
		"auto_promote": settingBool("Let `blue_green` cut over as soon as the new set is healthy, and `canary` take everything after its last step. "+
			"`false` waits for a `promote` through the daemon's API, and the apply waits with it.", d.AutoPromote),
		"keep_warm_time": settingInt64("Seconds for which the old set of `blue_green` and `canary` goes on running after the cut-over, so that a rollback takes effect at once.", d.KeepWarmTime),
		"drain_time":     settingInt64("Seconds for which an old replica goes on running after it was taken out of service, so that its requests can end.", d.DrainTime),
	}
}

func canaryStepAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"weight": schema.Int64Attribute{
			Required: true,
			MarkdownDescription: "Share of the requests that is meant for the new version, in percent: from 1 to 99, and above the step before. " +
				"As large a share of the replicas, rounded up, runs beside the whole old set.",
		},
		"pause": schema.Int64Attribute{
			Required: true, MarkdownDescription: "Seconds that the step lasts, from when its replicas are healthy.",
		},
	}
}

func settingInt64(description string, value int) schema.Int64Attribute {
	return schema.Int64Attribute{
		Optional: true, Computed: true, Default: int64default.StaticInt64(int64(value)),
		MarkdownDescription: fmt.Sprintf("%s%s`%d`.", description, defaultText, value),
	}
}

func settingBool(description string, value bool) schema.BoolAttribute {
	return schema.BoolAttribute{
		Optional: true, Computed: true, Default: booldefault.StaticBool(value),
		MarkdownDescription: fmt.Sprintf("%s%s`%t`.", description, defaultText, value),
	}
}

// replicaShare is max_surge or max_unavailable, whose default is one or the other
// with start_first.
func replicaShare(description string, field func(grammar.Rollout) string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, Computed: true, Default: stringdefault.StaticString(field(grammar.DefaultRollout(true))),
		PlanModifiers: []planmodifier.String{stopFirstDefault{field}},
		MarkdownDescription: fmt.Sprintf("%s%s`%s`, or `%s` where `start_first` is `false`.",
			description, defaultText, field(grammar.DefaultRollout(true)), field(grammar.DefaultRollout(false))),
	}
}

func stepsText(steps []grammar.CanaryStep) string {
	texts := make([]string, len(steps))
	for i, s := range steps {
		texts[i] = fmt.Sprintf("%d %% for %d seconds", s.Weight, s.Pause)
	}
	return strings.Join(texts, ", then ")
}

func canaryStepsValue(object schema.NestedAttributeObject, steps []grammar.CanaryStep) types.List {
	kind, ok := object.Type().(types.ObjectType)
	if !ok {
		panic("a nested attribute is no object")
	}
	values := make([]attr.Value, len(steps))
	for i, s := range steps {
		values[i] = types.ObjectValueMust(kind.AttrTypes, map[string]attr.Value{"weight": int64Value(s.Weight), "pause": int64Value(s.Pause)})
	}
	return types.ListValueMust(kind, values)
}

// stopFirstDefault plans the default of max_surge or max_unavailable where
// start_first is false.
type stopFirstDefault struct {
	field func(grammar.Rollout) string
}

var _ planmodifier.String = stopFirstDefault{}

func (d stopFirstDefault) Description(context.Context) string {
	return "the default is another one where start_first is false"
}

func (d stopFirstDefault) MarkdownDescription(ctx context.Context) string { return d.Description(ctx) }

func (d stopFirstDefault) PlanModifyString(ctx context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	if !req.ConfigValue.IsNull() {
		return
	}
	var startFirst types.Bool
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, req.Path.ParentPath().AtName("start_first"), &startFirst)...)
	switch {
	case startFirst.IsUnknown():
		resp.PlanValue = types.StringUnknown()
	case !startFirst.ValueBool():
		resp.PlanValue = types.StringValue(d.field(grammar.DefaultRollout(false)))
	}
}

// rolloutValidator holds a rollout against the rules of package grammar, the same
// that the daemon checks, once all of it is known.
type rolloutValidator struct{}

var _ validator.Object = rolloutValidator{}

func (v rolloutValidator) Description(context.Context) string {
	return "value must be a rollout that can be carried out"
}

func (v rolloutValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v rolloutValidator) ValidateObject(ctx context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	config, known, diags := rolloutConfigOf(ctx, req.ConfigValue)
	resp.Diagnostics.Append(diags...)
	if !known || diags.HasError() || slices.ContainsFunc(config.CanarySteps, canaryStepModel.incomplete) {
		return // the step is reported by its own attributes
	}
	for _, fault := range config.rollout().Faults() {
		at, _ := fieldPath(req.Path, fault.Field)
		resp.Diagnostics.AddAttributeError(at, "Invalid rollout setting", fmt.Sprintf("%s %s.", at, fault.Err))
	}
}
