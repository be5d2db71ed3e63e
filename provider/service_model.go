package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// serviceModel is a service as a list shows it.
type serviceModel struct {
	ServiceName      types.String           `tfsdk:"service_name"`
	Environment      types.String           `tfsdk:"environment"`
	Instances        []serviceInstanceModel `tfsdk:"instances"`
	TotalInstances   types.Int64            `tfsdk:"total_instances"`
	HealthyInstances types.Int64            `tfsdk:"healthy_instances"`
}

type serviceInstanceModel struct {
	InstanceID         types.String      `tfsdk:"instance_id"`
	EndpointURL        types.String      `tfsdk:"endpoint_url"`
	HealthCheckURL     types.String      `tfsdk:"health_check_url"`
	IsHealthy          types.Bool        `tfsdk:"is_healthy"`
	LoadBalancerWeight types.Int64       `tfsdk:"load_balancer_weight"`
	LastHeartbeat      types.String      `tfsdk:"last_heartbeat"`
	Metadata           map[string]string `tfsdk:"metadata"`
	ImageTag           types.String      `tfsdk:"image_tag"`
	DeploymentID       types.String      `tfsdk:"deployment_id"`
	External           types.Bool        `tfsdk:"external"`
	RegisteredAt       types.String      `tfsdk:"registered_at"`
	TTLSeconds         types.Int64       `tfsdk:"ttl_seconds"`
}

func serviceAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"service_name":      shownString("Name of the service."),
		"environment":       shownString("Environment of the endpoints."),
		"instances":         computedList("Its endpoints. Those that drain are not there any more.", serviceInstanceAttributes()),
		"total_instances":   shownInt64("Number of the endpoints."),
		"healthy_instances": shownInt64("Number of the healthy ones."),
	}
}

func serviceInstanceAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"instance_id":          shownString("Identifier of the instance; of the endpoint itself when it is external."),
		"endpoint_url":         shownString("Scheme, host and port."),
		"health_check_url":     shownString("What is checked. Null where nothing is."),
		"is_healthy":           schema.BoolAttribute{Computed: true, MarkdownDescription: "Newest verdict; only healthy endpoints get requests."},
		"load_balancer_weight": shownInt64("Share beside its siblings, 0 to 100."),
		"last_heartbeat":       shownString("When it last proved to be there (RFC 3339)."),
		"metadata": schema.MapAttribute{
			Computed: true, ElementType: types.StringType, MarkdownDescription: "What else it was registered with.",
		},
		"image_tag":     shownString("Image tag that it runs. Null when it is external."),
		"deployment_id": shownString("Deployment that it belongs to. Null when it is external."),
		"external":      schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether it is something that wedsyncd does not run."},
		"registered_at": shownString("When it was registered (RFC 3339)."),
		"ttl_seconds":   shownInt64("Seconds that an external endpoint stays without a heartbeat. Null for an instance."),
	}
}

func serviceFromAPI(s api.Service) serviceModel {
	m := serviceModel{
		ServiceName:      types.StringValue(s.ServiceName),
		Environment:      types.StringValue(s.Environment),
		Instances:        make([]serviceInstanceModel, len(s.Instances)),
		TotalInstances:   int64Value(s.TotalInstances),
		HealthyInstances: int64Value(s.HealthyInstances),
	}
	for i, instance := range s.Instances {
		m.Instances[i] = serviceInstanceFromAPI(instance)
	}
	return m
}

func serviceInstanceFromAPI(i api.ServiceInstance) serviceInstanceModel {
	return serviceInstanceModel{
		InstanceID:         types.StringValue(i.InstanceID),
		EndpointURL:        types.StringValue(i.EndpointURL),
		HealthCheckURL:     nullIfEmpty(i.HealthCheckURL),
		IsHealthy:          types.BoolValue(i.IsHealthy),
		LoadBalancerWeight: int64Value(i.LoadBalancerWeight),
		LastHeartbeat:      timeValue(i.LastHeartbeat),
		Metadata:           mapOrEmpty(i.Metadata),
		ImageTag:           nullIfEmpty(i.ImageTag),
		DeploymentID:       nullIfEmpty(i.DeploymentID),
		External:           types.BoolValue(i.External),
		RegisteredAt:       timeValue(i.RegisteredAt),
		TTLSeconds:         nullIfZero(i.TTLSeconds),
	}
}
