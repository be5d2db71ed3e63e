package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var _ datasource.DataSourceWithConfigure = (*deploymentsDataSource)(nil)

// NewDeploymentsDataSource makes the data source wedsync_deployments.
func NewDeploymentsDataSource() datasource.DataSource { return &deploymentsDataSource{} }

type deploymentsDataSource struct{ configuredDataSource }

type deploymentsModel struct {
	DefinitionID types.String      `tfsdk:"definition_id"`
	Environment  types.String      `tfsdk:"environment"`
	Status       types.String      `tfsdk:"status"`
	Live         types.Bool        `tfsdk:"live"`
	Deployments  []deploymentModel `tfsdk:"deployments"`
}

type deploymentModel struct {
	ID                 types.String           `tfsdk:"id"`
	DefinitionID       types.String           `tfsdk:"definition_id"`
	DefinitionName     types.String           `tfsdk:"definition_name"`
	DefinitionRevision types.Int64            `tfsdk:"definition_revision"`
	Environment        types.String           `tfsdk:"environment"`
	DeploymentType     types.String           `tfsdk:"deployment_type"`
	ImageTag           types.String           `tfsdk:"image_tag"`
	ImageDigest        types.String           `tfsdk:"image_digest"`
	InstancesBefore    types.Int64            `tfsdk:"instances_before"`
	InstancesAfter     types.Int64            `tfsdk:"instances_after"`
	DeploymentStatus   types.String           `tfsdk:"deployment_status"`
	DeploymentStrategy types.String           `tfsdk:"deployment_strategy"`
	RolloutConfig      rolloutConfigModel     `tfsdk:"rollout_config"`
	TrafficWeight      types.Int64            `tfsdk:"traffic_weight"`
	IsPaused           types.Bool             `tfsdk:"is_paused"`
	IsLive             types.Bool             `tfsdk:"is_live"`
	IsRemoval          types.Bool             `tfsdk:"is_removal"`
	RollbackTargetID   types.String           `tfsdk:"rollback_target_id"`
	RollbackOfID       types.String           `tfsdk:"rollback_of_id"`
	RollbackID         types.String           `tfsdk:"rollback_id"`
	SupersedesID       types.String           `tfsdk:"supersedes_id"`
	SupersededByID     types.String           `tfsdk:"superseded_by_id"`
	StartedBy          types.String           `tfsdk:"started_by"`
	StartedAt          types.String           `tfsdk:"started_at"`
	CompletedAt        types.String           `tfsdk:"completed_at"`
	DeploymentNotes    types.String           `tfsdk:"deployment_notes"`
	Errors             []deploymentErrorModel `tfsdk:"errors"`
}

type deploymentErrorModel struct {
	InstanceID   types.String `tfsdk:"instance_id"`
	InstanceName types.String `tfsdk:"instance_name"`
	Step         types.String `tfsdk:"step"`
	Message      types.String `tfsdk:"message"`
	ExitCode     types.Int64  `tfsdk:"exit_code"`
	HealthOutput types.String `tfsdk:"health_output"`
	LogTail      []string     `tfsdk:"log_tail"`
}

func (d *deploymentsDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_deployments"
}

func (d *deploymentsDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists deployments, newest first: the history of what was rolled out where.",
		Attributes: map[string]schema.Attribute{
			"definition_id": filter("Only deployments of this definition.", isUUID),
			"environment":   filter("Only deployments into this environment.", isName),
			"status": filter("Only deployments with this `deployment_status`.",
				stringvalidator.OneOf(api.DeploymentInProgress, api.DeploymentCompleted, api.DeploymentFailed, api.DeploymentRolledBack)),
			"live":        schema.BoolAttribute{Optional: true, MarkdownDescription: "`true` for only what environments run now."},
			"deployments": computedList("Deployments that match.", deploymentAttributes()),
		},
	}
}

func deploymentAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id":                  shownString("Identifier of the deployment, a UUID."),
		"definition_id":       shownString("Definition that was deployed."),
		"definition_name":     shownString("Name of that definition."),
		"definition_revision": shownInt64("Revision of the definition that was deployed."),
		"environment":         shownString("Environment that was deployed into."),
		"deployment_type":     shownString("Kind of change: `deploy`, `rollback`, `scale` or `restart`."),
		"image_tag":           shownString("Image tag."),
		"image_digest":        shownString("The image's content digest, fixed when the deployment was accepted."),
		"instances_before":    shownInt64("Replicas before."),
		"instances_after":     shownInt64("Replicas wanted after."),
		"deployment_status":   shownString("Where it stands: `in_progress`, `completed`, `failed` or `rolled_back`."),
		"deployment_strategy": shownString("How old replicas are replaced: `rolling_update`, `blue_green` or `canary`."),
		"rollout_config": schema.SingleNestedAttribute{
			Computed: true, Attributes: computedAttributes(rolloutConfigAttributes()),
			MarkdownDescription: "How it replaces what ran before. Times are whole seconds.",
		},
		"traffic_weight":     shownInt64("Share of the requests, in percent, that is meant for its own replicas. Null where requests are shared by number of replicas."),
		"is_paused":          schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether a user has paused it."},
		"is_live":            schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether this is what the environment runs now."},
		"is_removal":         schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether it removes the definition from the environment."},
		"rollback_target_id": shownString("Deployment that a rollback brings back."),
		"rollback_of_id":     shownString("Deployment that a rollback undoes."),
		"rollback_id":        shownString("Rollback that undoes it."),
		"supersedes_id":      shownString("Deployment that was in progress when it began, and whose place it took."),
		"superseded_by_id":   shownString("Deployment that took its place while it was in progress."),
		"started_by":         shownString("Principal that started it."),
		"started_at":         shownString("When it was accepted (RFC 3339)."),
		"completed_at":       shownString("When it ended (RFC 3339)."),
		"deployment_notes":   shownString("Notes."),
		"errors": computedList("What went wrong.", map[string]schema.Attribute{
			"instance_id":   shownString("Instance that failed."),
			"instance_name": shownString("Name of that instance's container."),
			"step":          shownString("Step that failed."),
			"message":       shownString("What happened."),
			"exit_code":     shownInt64("Exit code, where the container exited."),
			"health_output": shownString("What its last health check said."),
			"log_tail": schema.ListAttribute{
				Computed: true, ElementType: types.StringType,
				MarkdownDescription: "Last lines that the container wrote, at most 20.",
			},
		}),
	}
}

func (d *deploymentsDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model deploymentsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	all, err := collect(d.client.AllDeployments(ctx, api.ListDeploymentsOptions{
		Page:         pageOfDataSource,
		DefinitionID: model.DefinitionID.ValueString(),
		Environment:  model.Environment.ValueString(),
		Status:       model.Status.ValueString(),
		Live:         model.Live.ValueBool(),
	}), deploymentFromAPI)
	if err != nil {
		addClientError(&resp.Diagnostics, "List deployments", err)
		return
	}
	model.Deployments = all
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func deploymentFromAPI(d api.Deployment) deploymentModel {
	failures := make([]deploymentErrorModel, len(d.Errors))
	for i, e := range d.Errors {
		failures[i] = deploymentErrorModel{
			InstanceID:   nullIfEmpty(e.InstanceID),
			InstanceName: nullIfEmpty(e.InstanceName),
			Step:         types.StringValue(e.Step),
			Message:      types.StringValue(e.Message),
			ExitCode:     intPointerValue(e.ExitCode),
			HealthOutput: nullIfEmpty(e.HealthOutput),
			LogTail:      listOrEmpty(e.LogTail),
		}
	}
	return deploymentModel{
		ID:                 types.StringValue(d.ID),
		DefinitionID:       types.StringValue(d.DefinitionID),
		DefinitionName:     types.StringValue(d.DefinitionName),
		DefinitionRevision: int64Value(d.DefinitionRevision),
		Environment:        types.StringValue(d.Environment),
		DeploymentType:     types.StringValue(d.DeploymentType),
		ImageTag:           types.StringValue(d.ImageTag),
		ImageDigest:        types.StringValue(d.ImageDigest),
		InstancesBefore:    int64Value(d.InstancesBefore),
		InstancesAfter:     int64Value(d.InstancesAfter),
		DeploymentStatus:   types.StringValue(d.DeploymentStatus),
		DeploymentStrategy: types.StringValue(d.DeploymentStrategy),
		RolloutConfig:      rolloutConfigFromAPI(d.RolloutConfig),
		TrafficWeight:      intPointerValue(d.TrafficWeight),
		IsPaused:           types.BoolValue(d.IsPaused),
		IsLive:             types.BoolValue(d.IsLive),
		IsRemoval:          types.BoolValue(d.IsRemoval),
		RollbackTargetID:   nullIfEmpty(d.RollbackTargetID),
		RollbackOfID:       nullIfEmpty(d.RollbackOfID),
		RollbackID:         nullIfEmpty(d.RollbackID),
		SupersedesID:       nullIfEmpty(d.SupersedesID),
		SupersededByID:     nullIfEmpty(d.SupersededByID),
		StartedBy:          nullIfEmpty(d.StartedBy),
		StartedAt:          timeValue(d.StartedAt),
		CompletedAt:        timePointerValue(d.CompletedAt),
		DeploymentNotes:    nullIfEmpty(d.DeploymentNotes),
		Errors:             failures,
	}
}
