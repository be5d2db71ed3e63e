package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// deploymentResourceModel is what runs of a definition in an environment. The
// settings are Terraform's own: the daemon knows them only of past rollouts.
type deploymentResourceModel struct {
	ID                 types.String `tfsdk:"id"`
	DefinitionID       types.String `tfsdk:"definition_id"`
	Environment        types.String `tfsdk:"environment"`
	DefinitionRevision types.Int64  `tfsdk:"definition_revision"`
	Replicas           types.Int64  `tfsdk:"replicas"`

	// Settings.
	DeploymentStrategy types.String   `tfsdk:"deployment_strategy"`
	RolloutConfig      types.Object   `tfsdk:"rollout_config"`
	DeploymentNotes    types.String   `tfsdk:"deployment_notes"`
	WaitForRollout     types.Bool     `tfsdk:"wait_for_rollout"`
	AbortOnInterrupt   types.Bool     `tfsdk:"abort_on_interrupt"`
	Timeouts           timeouts.Value `tfsdk:"timeouts"`

	// Observed.
	DefinitionName   types.String `tfsdk:"definition_name"`
	DeploymentID     types.String `tfsdk:"deployment_id"`
	DeploymentStatus types.String `tfsdk:"deployment_status"`
	ImageTag         types.String `tfsdk:"image_tag"`
	ImageDigest      types.String `tfsdk:"image_digest"`
	LiveRevision     types.Int64  `tfsdk:"live_revision"`
	StartedAt        types.String `tfsdk:"started_at"`
	CompletedAt      types.String `tfsdk:"completed_at"`
}

type deploymentIdentityModel struct {
	DefinitionID types.String `tfsdk:"definition_id"`
	Environment  types.String `tfsdk:"environment"`
}

func (m deploymentResourceModel) identity() deploymentIdentityModel {
	return deploymentIdentityModel{DefinitionID: m.DefinitionID, Environment: m.Environment}
}

// observe takes over a deployment and leaves the settings as they are.
func (m *deploymentResourceModel) observe(d api.Deployment) {
	m.ID = types.StringValue(d.DefinitionID + "/" + d.Environment)
	m.DefinitionID = types.StringValue(d.DefinitionID)
	m.Environment = types.StringValue(d.Environment)
	m.DefinitionRevision = int64Value(d.DefinitionRevision)
	m.Replicas = int64Value(d.InstancesAfter)
	m.DefinitionName = types.StringValue(d.DefinitionName)
	m.DeploymentID = types.StringValue(d.ID)
	m.DeploymentStatus = types.StringValue(d.DeploymentStatus)
	m.ImageTag = types.StringValue(d.ImageTag)
	m.ImageDigest = types.StringValue(d.ImageDigest)
	m.StartedAt = timeValue(d.StartedAt)
	m.CompletedAt = timePointerValue(d.CompletedAt)
}

// accepted is the least that is known of a deployment right after it was
// accepted: enough to find it again.
func (m *deploymentResourceModel) accepted(id string) {
	m.ID = types.StringValue(m.DefinitionID.ValueString() + "/" + m.Environment.ValueString())
	m.DeploymentID = types.StringValue(id)
	m.DeploymentStatus = types.StringValue(api.DeploymentInProgress)
	if m.Replicas.IsUnknown() {
		m.Replicas = types.Int64Null()
	}
	m.DefinitionName, m.ImageTag, m.ImageDigest = types.StringNull(), types.StringNull(), types.StringNull()
	m.StartedAt, m.CompletedAt = types.StringNull(), types.StringNull()
	m.LiveRevision = types.Int64Null()
}

// show takes over what the environment runs, or is about to run. It leaves the
// model as it was when that is nothing.
func (m *deploymentResourceModel) show(observed workload) {
	if current := observed.current(); current != nil {
		m.observe(*current)
		m.runs(observed.live)
	}
}

// runs sets the live revision; nil when the environment runs nothing of the definition.
func (m *deploymentResourceModel) runs(live *api.Deployment) {
	m.LiveRevision = types.Int64Null()
	if live != nil {
		m.LiveRevision = int64Value(live.DefinitionRevision)
	}
}

func (m deploymentResourceModel) inProgress() bool {
	return m.DeploymentStatus.ValueString() == api.DeploymentInProgress
}

func (m deploymentResourceModel) deployRequest(ctx context.Context) (api.DeployRequest, diag.Diagnostics) {
	r := api.DeployRequest{
		Environment:        m.Environment.ValueString(),
		DeploymentStrategy: m.DeploymentStrategy.ValueString(),
		DeploymentNotes:    m.DeploymentNotes.ValueString(),
		DefinitionRevision: pointer(intOf(m.DefinitionRevision)),
	}
	if known(m.Replicas) {
		r.ReplicaCount = pointer(intOf(m.Replicas))
	}
	config, _, diags := rolloutConfigOf(ctx, m.RolloutConfig)
	r.RolloutConfig = config.toAPI()
	return r, diags
}
