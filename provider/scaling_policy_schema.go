package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

func (r *scalingPolicyResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	attributes := scalingPolicyAttributes()
	attributes["cooldown_period"] = optionalInt64("Seconds between two changes: `scale_up_cooldown` and `scale_down_cooldown` in one, where those are left out.")
	resp.Schema = schema.Schema{
		MarkdownDescription: "Hands the scaling of a definition in an environment to the autoscaler. A `horizontal` policy changes the number of replicas, so that the mean of a metric " +
			"stays at a target or between two thresholds; a `vertical` one changes what each replica may use; a `scheduled` one bounds the number of replicas while its window is open. " +
			"Several policies of one workload work together: of the horizontal ones the largest wish counts.\n\n" +
			"Where a horizontal or scheduled policy is enabled, it owns the number of replicas: leave `replicas` out of the `wedsync_deployment` there. " +
			"Both at once is refused when it is planned. What the autoscaler changes is then no change to Terraform.",
		Attributes: attributes,
	}
}

// scalingPolicyAttributes are what the resource and the data sources have in common.
// All of them are checked together, by scalingPolicyResource.ValidateConfig.
func scalingPolicyAttributes() map[string]schema.Attribute {
	notEmpty := stringvalidator.LengthAtLeast(1)
	return map[string]schema.Attribute{
		"id":              keptString("Identifier of the policy, a UUID."),
		"definition_id":   identityString("Identifier of the definition to scale. Changing it makes a new policy.", isUUID),
		"definition_name": computedString("Name of the definition."),
		"environment":     identityString("Environment to scale it in. Changing it makes a new policy.", isName),
		"policy_name":     identityString("Name, unique for the definition in the environment. Changing it makes a new policy.", isPolicyName),
		"scaling_type": requiredString("What to change: `horizontal` for the number of replicas after a metric, `vertical` for what each replica may use, "+
			"`scheduled` for the bounds of their number by the clock.", notEmpty),
		"trigger_metric": optionalString("Metric to go by: `cpu` and `memory` in percent of the limit, `request_rate` in requests per second and replica, `response_time` in milliseconds (the 95th percentile), "+
			"or `custom`. A vertical policy resizes `cpu` or `memory`; a scheduled one takes none.", notEmpty),
		"metric_name": optionalString("Name of the metric with `trigger_metric = \"custom\"`.", notEmpty),
		"target_value": optionalFloat64("Value to keep the mean over the replicas at. Left out, without thresholds, it is the definition's `target_cpu` or `target_memory`; " +
			"other metrics need a target or thresholds."),
		"scale_up_threshold":    optionalFloat64("Mean above which replicas are added, in the place of a target. The two thresholds and the two adjustments are given together."),
		"scale_down_threshold":  optionalFloat64("Mean below which replicas are removed; below `scale_up_threshold`."),
		"scale_up_adjustment":   optionalInt64("Replicas to add when the mean is above `scale_up_threshold`."),
		"scale_down_adjustment": optionalInt64("Replicas to remove when the mean is below `scale_down_threshold`."),
		"min_replicas": optionalInt64("Fewest replicas, within the definition's range; the definition's when left out. Of a scheduled policy it holds while its window is open; " +
			"that needs this or `max_replicas`."),
		"max_replicas": optionalInt64("Most replicas, within the definition's range; the definition's when left out. Of a scheduled policy it holds while its window is open."),
		"scale_up_cooldown": plannedInt64("Seconds after a change in which nothing is added. `cooldown_period` when left out, or else 300; 0 of a horizontal policy with a target, " +
			"which knows how much is enough."),
		"scale_down_cooldown":  plannedInt64("Seconds after a change in which nothing is taken away. `cooldown_period` when left out, or else 300."),
		"stabilization_window": plannedInt64("Seconds of which the highest recommendation counts before a horizontal policy removes replicas. 300 when left out."),
		"max_scale_up":         settingInt64("Most replicas that a horizontal policy adds within `scale_period`; 0 for no bound.", 0),
		"max_scale_down":       settingInt64("Most replicas that a horizontal policy removes within `scale_period`; 0 for no bound.", 0),
		"scale_period":         settingInt64("Seconds that `max_scale_up` and `max_scale_down` hold for.", grammar.DefaultScalePeriod),
		"min_limit":            optionalString("Lowest limit that a vertical policy sets, written as in `resource_limits`: `250m` of a CPU, `256Mi` of memory.", notEmpty),
		"max_limit":            optionalString("Highest limit that a vertical policy sets.", notEmpty),
		"schedule_start": optionalString("When the window of a scheduled policy opens: a cron expression of five fields (minute, hour, day of the month, month, day of the week), "+
			"which must come within five years.", notEmpty),
		"schedule_end": optionalString("When it closes: a cron expression of five fields.", notEmpty),
		"time_zone":    optionalString("Time zone of the two, by its name, such as `Europe/London`.", notEmpty),
		"is_enabled":   settingBool("Whether it scales. One that does not stays for later.", true),
		"created_by":   keptString("Principal that created it, a UUID."),
		"created_at":   keptString("When it was created (RFC 3339)."),
		"updated_at":   computedString("When it was last changed (RFC 3339)."),
	}
}

func optionalInt64(description string) schema.Int64Attribute {
	return schema.Int64Attribute{Optional: true, MarkdownDescription: description}
}

// plannedInt64 has a value that ModifyPlan finds when it is left out.
func plannedInt64(description string) schema.Int64Attribute {
	return schema.Int64Attribute{Optional: true, Computed: true, MarkdownDescription: description}
}

func optionalFloat64(description string) schema.Float64Attribute {
	return schema.Float64Attribute{Optional: true, MarkdownDescription: description}
}

// ValidateConfig holds the whole policy against the grammar, as the daemon does.
func (r *scalingPolicyResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config scalingPolicyResourceModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	shorthand := known(config.CooldownPeriod)
	said := false
	for _, fault := range config.faults() {
		field := fault.Field
		if shorthand && (field == "scale_up_cooldown" && config.ScaleUpCooldown.IsNull() || field == "scale_down_cooldown" && config.ScaleDownCooldown.IsNull()) {
			if field = "cooldown_period"; said {
				continue
			}
			said = true
		}
		at := path.Root(field)
		resp.Diagnostics.AddAttributeError(at, "Invalid scaling policy", fmt.Sprintf("%s %s.", at, fault.Err))
	}
}
