package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

func (r *deploymentResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"definition_id": identityschema.StringAttribute{RequiredForImport: true, Description: "Identifier of the deployed definition, a UUID."},
		"environment":   identityschema.StringAttribute{RequiredForImport: true, Description: "Environment that it is deployed in."},
	}}
}

func (r *deploymentResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Keeps a container definition deployed in an environment. A changed `definition_revision` or `replicas` rolls out, " +
			"by one of three strategies. When that fails, what ran before is brought back, the error tells which instance failed and what it wrote last, " +
			"and the next plan shows the same change again.",
		Attributes: map[string]schema.Attribute{
			"id":            keptString("`DEFINITION_ID/ENVIRONMENT`."),
			"definition_id": identityString("Identifier of the definition to deploy. Changing it makes another deployment.", isUUID),
			"environment":   identityString("Environment to deploy into. Changing it makes another deployment.", isName),
			"definition_revision": schema.Int64Attribute{
				Required: true,
				MarkdownDescription: "Revision of the definition to deploy, which must be its current one. " +
					"Refer to `wedsync_container_definition.….revision`, so that a change of the definition is rolled out in the same apply.",
				Validators: []validator.Int64{int64validator.AtLeast(1)},
			},
			"replicas": schema.Int64Attribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Replicas to run. The definition's `min_replicas` when left out. Leave it out where a `wedsync_scaling_policy` owns the number: " +
					"both at once is refused when it is planned, and the number that the autoscaler has made of it then stays through rollouts.",
				Validators: []validator.Int64{int64validator.Between(0, grammar.MaxReplicas)},
			},
			"deployment_strategy": defaultString("How old replicas are replaced: by `rolling_update` a few at a time; by `blue_green` all at once, "+
				"when a whole new set has proved itself beside the old one; by `canary` after a growing share of new replicas has. Applies from the next rollout on.",
				api.StrategyRollingUpdate, stringvalidator.OneOf(api.StrategyRollingUpdate, api.StrategyBlueGreen, api.StrategyCanary)),
			"rollout_config":   rolloutConfigAttribute(),
			"deployment_notes": optionalString("Notes for the history of deployments, recorded with the next rollout.", stringvalidator.UTF8LengthBetween(1, 4096)),
			"wait_for_rollout": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(true),
				MarkdownDescription: "Wait until a rollout has ended, and fail when it fails. Default: `true`.",
			},
			"abort_on_interrupt": defaultBool("Abort a rollout, so that it is rolled back, when the apply that waits for it is interrupted, as by Ctrl-C. " +
				"Otherwise it goes on in the daemon, and the next apply joins it."),
			"timeouts": timeoutsAttribute(ctx),

			"definition_name":   computedString("Name of the definition."),
			"deployment_id":     computedString("Identifier of the deployment in the daemon's history, a UUID."),
			"deployment_status": computedString("Where that deployment stands: `in_progress` or `completed`."),
			"image_tag":         computedString("Image tag that it runs."),
			"image_digest":      computedString("Content digest that the tag stood for when it was deployed."),
			"live_revision": schema.Int64Attribute{
				Computed:            true,
				MarkdownDescription: "Revision that the environment runs now. Null while its first rollout goes on.",
			},
			"started_at":   computedString("When the deployment was accepted (RFC 3339)."),
			"completed_at": computedString("When it ended (RFC 3339). Null while it goes on."),
		},
	}
}

func timeoutsAttribute(ctx context.Context) schema.Attribute {
	description := func(what string) string {
		return "How long to wait for " + what + " at most, such as `30s` or `5m`. Default: `" + defaultRolloutTimeoutText + "`."
	}
	attribute, ok := timeouts.Attributes(ctx, timeouts.Opts{
		Create: true, CreateDescription: description("the first rollout"),
		Update: true, UpdateDescription: description("a rollout"),
		Delete: true, DeleteDescription: description("the removal"),
	}).(schema.SingleNestedAttribute)
	if !ok {
		panic("timeouts are not a nested attribute")
	}
	attribute.MarkdownDescription = "How long to wait, the rollback of a rollout that fails included. What takes longer goes on; the next apply waits for it again."
	return attribute
}
