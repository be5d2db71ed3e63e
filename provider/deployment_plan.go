package provider

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client"
)

// replicasKey is where private state remembers whether the configuration named a
// number of replicas. Without that, taking the number out of the configuration
// could not be told from never having named one.
const replicasKey = "replicas"

type replicasMemory struct {
	Configured bool `json:"configured"`
}

// privateWriter is the private state of a response.
type privateWriter interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// privateReader is the private state of a request.
type privateReader interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

func rememberReplicas(ctx context.Context, config tfsdk.Config, private privateWriter) diag.Diagnostics {
	var replicas types.Int64
	diags := config.GetAttribute(ctx, path.Root("replicas"), &replicas)
	data, err := json.Marshal(replicasMemory{Configured: !replicas.IsNull()})
	if err != nil {
		diags.AddError("Remember replicas", err.Error())
		return diags
	}
	return append(diags, private.SetKey(ctx, replicasKey, data)...)
}

func replicasWereConfigured(ctx context.Context, private privateReader) (bool, diag.Diagnostics) {
	data, diags := private.GetKey(ctx, replicasKey)
	var memory replicasMemory
	if len(data) > 0 {
		if err := json.Unmarshal(data, &memory); err != nil {
			diags.AddError("Recall replicas", err.Error())
		}
	}
	return memory.Configured, diags
}

// ModifyPlan decides what an update will do. A rollout makes everything that is
// observed unknown; a change of settings alone leaves all of it known.
func (r *deploymentResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var plan, state deploymentResourceModel
	var replicas types.Int64
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("replicas"), &replicas)...)
	if resp.Diagnostics.HasError() {
		return
	}
	r.refuseReplicas(ctx, plan, replicas, &resp.Diagnostics)
	if req.State.Raw.IsNull() {
		r.checkHealthyDeadline(ctx, plan, &resp.Diagnostics)
		return
	}
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	wereConfigured := r.takenOut(ctx, req, plan, replicas, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	planUpdate(&plan, state, replicas.IsNull(), wereConfigured)
	if rollsOut(plan, state) || !plan.RolloutConfig.Equal(state.RolloutConfig) {
		r.checkHealthyDeadline(ctx, plan, &resp.Diagnostics)
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// takenOut reports whether the number of replicas was taken out of the configuration
// and so goes back to the definition's. Where a policy owns it now, it stays.
func (r *deploymentResource) takenOut(ctx context.Context, req resource.ModifyPlanRequest, plan deploymentResourceModel, replicas types.Int64, diags *diag.Diagnostics) bool {
	wereConfigured, d := replicasWereConfigured(ctx, req.Private)
	diags.Append(d...)
	if !replicas.IsNull() || !wereConfigured {
		return wereConfigured
	}
	owner, err := r.replicasOwner(ctx, truceKeyOf(plan.DefinitionID, plan.Environment))
	if err != nil {
		addClientError(diags, "Read scaling policies", err)
	}
	return owner == ""
}

// checkHealthyDeadline refuses a rollout that would be judged before its health
// check has a verdict. When the definition changes in the same apply, its health
// check is not known yet; the daemon then refuses the rollout.
func (r *deploymentResource) checkHealthyDeadline(ctx context.Context, plan deploymentResourceModel, diags *diag.Diagnostics) {
	config, all, d := rolloutConfigOf(ctx, plan.RolloutConfig)
	diags.Append(d...)
	if diags.HasError() || !all || plan.DefinitionID.IsUnknown() || !known(plan.DefinitionRevision) {
		return
	}
	definition, err := r.client.GetDefinition(ctx, plan.DefinitionID.ValueString())
	switch {
	case client.IsNotFound(err):
		return // apply tells, if it is not there by then
	case err != nil:
		addClientError(diags, "Read definition", err)
		return
	case definition.HealthCheckConfig == nil || definition.Revision != intOf(plan.DefinitionRevision):
		return
	}
	if err := config.rollout().FitsHealthCheck(healthCheckFromAPI(definition.HealthCheckConfig).grammar()); err != nil {
		at := path.Root("rollout_config").AtName("healthy_deadline")
		diags.AddAttributeError(at, "Healthy deadline too short for the health check", fmt.Sprintf("%s %s.", at, err))
	}
}

// planUpdate completes the plan of an update. replicasLeftOut says that the
// configuration names no number of replicas, replicasWereConfigured that it did
// when it was last applied.
func planUpdate(plan *deploymentResourceModel, state deploymentResourceModel, replicasLeftOut, replicasWereConfigured bool) {
	if replicasLeftOut {
		plan.Replicas = state.Replicas
		if replicasWereConfigured || !plan.DefinitionRevision.Equal(state.DefinitionRevision) {
			plan.Replicas = types.Int64Unknown() // the definition's min_replicas or what a policy made it, whatever that is then
		}
	}
	if !rollsOut(*plan, state) && !resumes(*plan, state) {
		plan.keepObserved(state)
		return
	}
	plan.forgetObserved()
	if !rollsOut(*plan, state) {
		plan.DeploymentID = state.DeploymentID
	}
}

func (m *deploymentResourceModel) keepObserved(state deploymentResourceModel) {
	m.DefinitionName = state.DefinitionName
	m.DeploymentID = state.DeploymentID
	m.DeploymentStatus = state.DeploymentStatus
	m.ImageTag = state.ImageTag
	m.ImageDigest = state.ImageDigest
	m.LiveRevision = state.LiveRevision
	m.StartedAt = state.StartedAt
	m.CompletedAt = state.CompletedAt
}

func (m *deploymentResourceModel) forgetObserved() {
	m.DefinitionName = types.StringUnknown()
	m.DeploymentID = types.StringUnknown()
	m.DeploymentStatus = types.StringUnknown()
	m.ImageTag = types.StringUnknown()
	m.ImageDigest = types.StringUnknown()
	m.LiveRevision = types.Int64Unknown()
	m.StartedAt = types.StringUnknown()
	m.CompletedAt = types.StringUnknown()
}
