package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var _ datasource.DataSourceWithConfigure = (*instancesDataSource)(nil)

// NewInstancesDataSource makes the data source wedsync_instances.
func NewInstancesDataSource() datasource.DataSource { return &instancesDataSource{} }

type instancesDataSource struct{ configuredDataSource }

type instancesModel struct {
	DefinitionID types.String    `tfsdk:"definition_id"`
	DeploymentID types.String    `tfsdk:"deployment_id"`
	Environment  types.String    `tfsdk:"environment"`
	ServiceName  types.String    `tfsdk:"service_name"`
	Status       types.String    `tfsdk:"status"`
	Instances    []instanceModel `tfsdk:"instances"`
}

type instanceModel struct {
	ID              types.String        `tfsdk:"id"`
	DefinitionID    types.String        `tfsdk:"definition_id"`
	DefinitionName  types.String        `tfsdk:"definition_name"`
	DeploymentID    types.String        `tfsdk:"deployment_id"`
	ServiceName     types.String        `tfsdk:"service_name"`
	Environment     types.String        `tfsdk:"environment"`
	ContainerID     types.String        `tfsdk:"container_id"`
	InstanceName    types.String        `tfsdk:"instance_name"`
	ImageTag        types.String        `tfsdk:"image_tag"`
	ImageDigest     types.String        `tfsdk:"image_digest"`
	CurrentStatus   types.String        `tfsdk:"current_status"`
	DesiredStatus   types.String        `tfsdk:"desired_status"`
	ReplicaNumber   types.Int64         `tfsdk:"replica_number"`
	NodeName        types.String        `tfsdk:"node_name"`
	IPAddress       types.String        `tfsdk:"ip_address"`
	PortMappings    map[string]int64    `tfsdk:"port_mappings"`
	ResourceUsage   *resourceUsageModel `tfsdk:"resource_usage"`
	HealthStatus    types.String        `tfsdk:"health_status"`
	LastHealthCheck types.String        `tfsdk:"last_health_check"`
	HealthySince    types.String        `tfsdk:"healthy_since"`
	UnhealthySince  types.String        `tfsdk:"unhealthy_since"`
	DrainingSince   types.String        `tfsdk:"draining_since"`
	RestartCount    types.Int64         `tfsdk:"restart_count"`
	ExitCode        types.Int64         `tfsdk:"exit_code"`
	ErrorMessage    types.String        `tfsdk:"error_message"`
	StartedAt       types.String        `tfsdk:"started_at"`
	StoppedAt       types.String        `tfsdk:"stopped_at"`
	CreatedAt       types.String        `tfsdk:"created_at"`
	UpdatedAt       types.String        `tfsdk:"updated_at"`
}

type resourceUsageModel struct {
	CPUPercent types.Float64 `tfsdk:"cpu_percent"`
	MemoryMB   types.Float64 `tfsdk:"memory_mb"`
	DiskMB     types.Float64 `tfsdk:"disk_mb"`
}

func (d *instancesDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_instances"
}

func (d *instancesDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists instances, newest first.",
		Attributes: map[string]schema.Attribute{
			"definition_id": filter("Only instances of this definition.", isUUID),
			"deployment_id": filter("Only instances of this deployment.", isUUID),
			"environment":   filter("Only instances in this environment.", isName),
			"service_name":  filter("Only instances of this service.", isName),
			"status": filter("Only instances with this `current_status`. Without it, terminated instances are left out.",
				stringvalidator.OneOf(api.InstancePending, api.InstanceRunning, api.InstanceStopped, api.InstanceFailed, api.InstanceTerminated)),
			"instances": computedList("Instances that match.", instanceAttributes()),
		},
	}
}

func instanceAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id":              shownString("Identifier of the instance, a UUID."),
		"definition_id":   shownString("Definition that it runs."),
		"definition_name": shownString("Name of that definition."),
		"deployment_id":   shownString("Deployment that it belongs to."),
		"service_name":    shownString("Service that it belongs to."),
		"environment":     shownString("Environment that it runs in."),
		"container_id":    shownString("The engine's container id. Null until it is created."),
		"instance_name":   shownString("Name of the container."),
		"image_tag":       shownString("Image tag that it was deployed with."),
		"image_digest":    shownString("The image's content digest."),
		"current_status":  shownString("Observed status: `pending`, `running`, `stopped`, `failed` or `terminated`."),
		"desired_status":  shownString("Wanted status."),
		"replica_number":  shownInt64("Number of the replica, from 1."),
		"node_name":       shownString("Machine that it runs on."),
		"ip_address":      shownString("Address on its first network. Null while it does not run."),
		"port_mappings": schema.MapAttribute{
			Computed: true, ElementType: types.Int64Type,
			MarkdownDescription: "Published host port of each container port.",
		},
		"resource_usage": schema.SingleNestedAttribute{
			Computed: true, MarkdownDescription: "Last measured use.",
			Attributes: map[string]schema.Attribute{
				"cpu_percent": schema.Float64Attribute{Computed: true, MarkdownDescription: "CPU use in percent of the limit."},
				"memory_mb":   schema.Float64Attribute{Computed: true, MarkdownDescription: "Memory use in MiB."},
				"disk_mb":     schema.Float64Attribute{Computed: true, MarkdownDescription: "Size of the writable layer in MiB."},
			},
		},
		"health_status":     shownString("Verdict of the health check: `healthy`, `unhealthy` or `unknown`."),
		"last_health_check": shownString("When its health was last checked (RFC 3339)."),
		"healthy_since":     shownString("Since when every health check of this run has passed (RFC 3339)."),
		"unhealthy_since":   shownString("Since when this run is unhealthy (RFC 3339)."),
		"draining_since":    shownString("Since when it is out of service, on its way to removal (RFC 3339)."),
		"restart_count":     shownInt64("Restarts since it was created."),
		"exit_code":         shownInt64("Exit code of the last run that ended."),
		"error_message":     shownString("Why it is not as wanted."),
		"started_at":        shownString("When it was last started (RFC 3339)."),
		"stopped_at":        shownString("When it last stopped (RFC 3339)."),
		"created_at":        shownString("When it was created (RFC 3339)."),
		"updated_at":        shownString("When it was last changed (RFC 3339)."),
	}
}

func shownString(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func shownInt64(description string) schema.Int64Attribute {
	return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
}

func (d *instancesDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model instancesModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	all, err := collect(d.client.AllInstances(ctx, api.ListInstancesOptions{
		Page:         pageOfDataSource,
		DefinitionID: model.DefinitionID.ValueString(),
		DeploymentID: model.DeploymentID.ValueString(),
		Environment:  model.Environment.ValueString(),
		ServiceName:  model.ServiceName.ValueString(),
		Status:       model.Status.ValueString(),
	}), instanceFromAPI)
	if err != nil {
		addClientError(&resp.Diagnostics, "List instances", err)
		return
	}
	model.Instances = all
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func instanceFromAPI(i api.Instance) instanceModel {
	ports := make(map[string]int64, len(i.PortMappings))
	for port, host := range i.PortMappings {
		ports[port] = int64(host)
	}
	return instanceModel{
		ID:             types.StringValue(i.ID),
		DefinitionID:   types.StringValue(i.DefinitionID),
		DefinitionName: types.StringValue(i.DefinitionName),
		DeploymentID:   types.StringValue(i.DeploymentID),
		ServiceName:    types.StringValue(i.ServiceName),
		Environment:    types.StringValue(i.Environment),
		ContainerID:    nullIfEmpty(i.ContainerID),
		InstanceName:   types.StringValue(i.InstanceName),
		ImageTag:       types.StringValue(i.ImageTag),
		ImageDigest:    types.StringValue(i.ImageDigest),
		CurrentStatus:  types.StringValue(i.CurrentStatus),
		DesiredStatus:  types.StringValue(i.DesiredStatus),
		ReplicaNumber:  int64Value(i.ReplicaNumber),
		NodeName:       types.StringValue(i.NodeName),
		IPAddress:      nullIfEmpty(i.IPAddress),
		PortMappings:   ports,
		ResourceUsage: &resourceUsageModel{
			CPUPercent: types.Float64Value(i.ResourceUsage.CPUPercent),
			MemoryMB:   types.Float64Value(i.ResourceUsage.MemoryMB),
			DiskMB:     types.Float64Value(i.ResourceUsage.DiskMB),
		},
		HealthStatus:    types.StringValue(i.HealthStatus),
		LastHealthCheck: timePointerValue(i.LastHealthCheck),
		HealthySince:    timePointerValue(i.HealthySince),
		UnhealthySince:  timePointerValue(i.UnhealthySince),
		DrainingSince:   timePointerValue(i.DrainingSince),
		RestartCount:    int64Value(i.RestartCount),
		ExitCode:        intPointerValue(i.ExitCode),
		ErrorMessage:    nullIfEmpty(i.ErrorMessage),
		StartedAt:       timePointerValue(i.StartedAt),
		StoppedAt:       timePointerValue(i.StoppedAt),
		CreatedAt:       timeValue(i.CreatedAt),
		UpdatedAt:       timeValue(i.UpdatedAt),
	}
}

func intPointerValue(n *int) types.Int64 {
	if n == nil {
		return types.Int64Null()
	}
	return int64Value(*n)
}
