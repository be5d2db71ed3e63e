package provider

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// containerDefinitionModel is a definition as the resource and the data sources show it.
type containerDefinitionModel struct {
	ID                     types.String         `tfsdk:"id"`
	Name                   types.String         `tfsdk:"name"`
	ServiceName            types.String         `tfsdk:"service_name"`
	ImageName              types.String         `tfsdk:"image_name"`
	ImageTag               types.String         `tfsdk:"image_tag"`
	RegistryURL            types.String         `tfsdk:"registry_url"`
	HasRegistryCredentials types.Bool           `tfsdk:"has_registry_credentials"`
	EnvironmentConfig      map[string]string    `tfsdk:"environment_config"`
	ResourceLimits         *resourceLimitsModel `tfsdk:"resource_limits"`
	HealthCheckConfig      *healthCheckModel    `tfsdk:"health_check_config"`
	ScalingConfig          *scalingModel        `tfsdk:"scaling_config"`
	NetworkConfig          *networkConfigModel  `tfsdk:"network_config"`
	VolumeMounts           []volumeMountModel   `tfsdk:"volume_mounts"`
	RuntimeConfig          *runtimeConfigModel  `tfsdk:"runtime_config"`
	Revision               types.Int64          `tfsdk:"revision"`
	IsActive               types.Bool           `tfsdk:"is_active"`
	CreatedBy              types.String         `tfsdk:"created_by"`
	CreatedAt              types.String         `tfsdk:"created_at"`
	UpdatedAt              types.String         `tfsdk:"updated_at"`
}

// containerDefinitionResourceModel adds what only the resource knows.
type containerDefinitionResourceModel struct {
	containerDefinitionModel
	RegistryCredentials *registryCredentialsModel `tfsdk:"registry_credentials"`
}

type registryCredentialsModel struct {
	Username types.String `tfsdk:"username"`
	Password types.String `tfsdk:"password"`
}

type resourceLimitsModel struct {
	CPU     types.String `tfsdk:"cpu"`
	Memory  types.String `tfsdk:"memory"`
	Storage types.String `tfsdk:"storage"`
}

type healthCheckModel struct {
	Type           types.String `tfsdk:"type"`
	Endpoint       types.String `tfsdk:"endpoint"`
	Port           types.Int64  `tfsdk:"port"`
	ExpectedStatus types.List   `tfsdk:"expected_status"`
	Headers        types.Map    `tfsdk:"headers"`
	Command        types.List   `tfsdk:"command"`
	Interval       types.Int64  `tfsdk:"interval"`
	Timeout        types.Int64  `tfsdk:"timeout"`
	Retries        types.Int64  `tfsdk:"retries"`
	Rise           types.Int64  `tfsdk:"rise"`
	StartPeriod    types.Int64  `tfsdk:"start_period"`
}

type scalingModel struct {
	MinReplicas  types.Int64 `tfsdk:"min_replicas"`
	MaxReplicas  types.Int64 `tfsdk:"max_replicas"`
	TargetCPU    types.Int64 `tfsdk:"target_cpu"`
	TargetMemory types.Int64 `tfsdk:"target_memory"`
}

type networkConfigModel struct {
	Ports            []int64    `tfsdk:"ports"`
	InternalNetworks []string   `tfsdk:"internal_networks"`
	ExternalNetworks []string   `tfsdk:"external_networks"`
	PublishPorts     types.Bool `tfsdk:"publish_ports"`
}

type volumeMountModel struct {
	Source   types.String `tfsdk:"source"`
	Target   types.String `tfsdk:"target"`
	ReadOnly types.Bool   `tfsdk:"read_only"`
}

type runtimeConfigModel struct {
	Entrypoint             []string          `tfsdk:"entrypoint"`
	Command                []string          `tfsdk:"command"`
	User                   types.String      `tfsdk:"user"`
	ReadOnlyRootFilesystem types.Bool        `tfsdk:"read_only_root_filesystem"`
	Tmpfs                  []string          `tfsdk:"tmpfs"`
	Labels                 map[string]string `tfsdk:"labels"`
	StopTimeout            types.Int64       `tfsdk:"stop_timeout"`
	LogMaxSize             types.String      `tfsdk:"log_max_size"`
	LogMaxFiles            types.Int64       `tfsdk:"log_max_files"`
	PullPolicy             types.String      `tfsdk:"pull_policy"`
}

// From the daemon to Terraform.

func definitionFromAPI(d api.Definition) containerDefinitionModel {
	return containerDefinitionModel{
		ID:                     types.StringValue(d.ID),
		Name:                   types.StringValue(d.Name),
		ServiceName:            types.StringValue(d.ServiceName),
		ImageName:              types.StringValue(d.ImageName),
		ImageTag:               types.StringValue(d.ImageTag),
		RegistryURL:            nullIfEmpty(d.RegistryURL),
		HasRegistryCredentials: types.BoolValue(d.HasRegistryCredentials),
		EnvironmentConfig:      mapOrEmpty(d.EnvironmentConfig),
		ResourceLimits: &resourceLimitsModel{
			CPU:     types.StringValue(d.ResourceLimits.CPU),
			Memory:  types.StringValue(d.ResourceLimits.Memory),
			Storage: nullIfEmpty(d.ResourceLimits.Storage),
		},
		HealthCheckConfig: healthCheckFromAPI(d.HealthCheckConfig),
		ScalingConfig: &scalingModel{
			MinReplicas:  int64Value(d.ScalingConfig.MinReplicas),
			MaxReplicas:  int64Value(d.ScalingConfig.MaxReplicas),
			TargetCPU:    int64Value(d.ScalingConfig.TargetCPU),
			TargetMemory: int64Value(d.ScalingConfig.TargetMemory),
		},
		NetworkConfig: &networkConfigModel{
			Ports:            int64s(d.NetworkConfig.Ports),
			InternalNetworks: listOrEmpty(d.NetworkConfig.InternalNetworks),
			ExternalNetworks: listOrEmpty(d.NetworkConfig.ExternalNetworks),
			PublishPorts:     types.BoolValue(d.NetworkConfig.PublishPorts),
		},
		VolumeMounts:  volumeMountsFromAPI(d.VolumeMounts),
		RuntimeConfig: runtimeConfigFromAPI(d.RuntimeConfig),
		Revision:      int64Value(d.Revision),
		IsActive:      types.BoolValue(d.IsActive),
		CreatedBy:     nullIfEmpty(d.CreatedBy),
		CreatedAt:     timeValue(d.CreatedAt),
		UpdatedAt:     timeValue(d.UpdatedAt),
	}
}

func healthCheckFromAPI(h *api.HealthCheckConfig) *healthCheckModel {
	if h == nil {
		return nil
	}
	return &healthCheckModel{
		Type:           types.StringValue(h.Type),
		Endpoint:       nullIfEmpty(h.Endpoint),
		Port:           nullIfZero(h.Port),
		ExpectedStatus: stringsOrNull(h.ExpectedStatus),
		Headers:        stringMapOrNull(h.Headers),
		Command:        stringsOrNull(h.Command),
		Interval:       int64Value(h.Interval),
		Timeout:        int64Value(h.Timeout),
		Retries:        int64Value(h.Retries),
		Rise:           int64Value(h.Rise),
		StartPeriod:    int64Value(h.StartPeriod),
	}
}

func volumeMountsFromAPI(mounts []api.VolumeMount) []volumeMountModel {
	out := make([]volumeMountModel, len(mounts))
	for i, m := range mounts {
		out[i] = volumeMountModel{
			Source:   types.StringValue(m.Source),
			Target:   types.StringValue(m.Target),
			ReadOnly: types.BoolValue(m.ReadOnly),
		}
	}
	return out
}

func runtimeConfigFromAPI(r api.RuntimeConfig) *runtimeConfigModel {
	return &runtimeConfigModel{
		Entrypoint:             listOrEmpty(r.Entrypoint),
		Command:                listOrEmpty(r.Command),
		User:                   nullIfEmpty(r.User),
		ReadOnlyRootFilesystem: types.BoolValue(r.ReadOnlyRootFilesystem),
		Tmpfs:                  listOrEmpty(r.Tmpfs),
		Labels:                 mapOrEmpty(r.Labels),
		StopTimeout:            int64Value(r.StopTimeout),
		LogMaxSize:             types.StringValue(r.LogMaxSize),
		LogMaxFiles:            int64Value(r.LogMaxFiles),
		PullPolicy:             types.StringValue(r.PullPolicy),
	}
}

// From Terraform to the daemon.

func createDefinitionRequest(m containerDefinitionResourceModel) api.CreateDefinitionRequest {
	return api.CreateDefinitionRequest{
		Name:                m.Name.ValueString(),
		ServiceName:         m.ServiceName.ValueString(),
		ImageName:           m.ImageName.ValueString(),
		ImageTag:            m.ImageTag.ValueString(),
		RegistryURL:         m.RegistryURL.ValueString(),
		RegistryCredentials: m.RegistryCredentials.toAPI(),
		EnvironmentConfig:   m.EnvironmentConfig,
		ResourceLimits:      m.ResourceLimits.toAPI(),
		HealthCheckConfig:   m.HealthCheckConfig.toAPI(),
		ScalingConfig:       m.ScalingConfig.toAPI(),
		NetworkConfig:       m.NetworkConfig.toAPI(),
		VolumeMounts:        volumeMountsToAPI(m.VolumeMounts),
		RuntimeConfig:       m.RuntimeConfig.toAPI(),
	}
}

// updateDefinitionRequest replaces everything, so that what the configuration no
// longer says is gone; but credentials are sent only when they change, because
// the daemon cannot tell whether they are the same.
func updateDefinitionRequest(plan, state containerDefinitionResourceModel) api.UpdateDefinitionRequest {
	limits, scaling := plan.ResourceLimits.toAPI(), plan.ScalingConfig.toAPI()
	environment, mounts := mapOrEmpty(plan.EnvironmentConfig), volumeMountsToAPI(plan.VolumeMounts)
	return api.UpdateDefinitionRequest{
		Name:                plan.Name.ValueStringPointer(),
		ServiceName:         plan.ServiceName.ValueStringPointer(),
		ImageName:           plan.ImageName.ValueStringPointer(),
		ImageTag:            plan.ImageTag.ValueStringPointer(),
		RegistryURL:         pointer(plan.RegistryURL.ValueString()),
		RegistryCredentials: credentialsChange(plan, state),
		EnvironmentConfig:   &environment,
		ResourceLimits:      &limits,
		HealthCheckConfig:   api.Optional[api.HealthCheckConfig]{Set: true, Value: plan.HealthCheckConfig.toAPI()},
		ScalingConfig:       &scaling,
		NetworkConfig:       plan.NetworkConfig.toAPI(),
		VolumeMounts:        &mounts,
		RuntimeConfig:       plan.RuntimeConfig.toAPI(),
	}
}

func credentialsChange(plan, state containerDefinitionResourceModel) api.Optional[api.RegistryCredentials] {
	wanted, held := plan.RegistryCredentials, state.RegistryCredentials
	switch {
	case wanted == nil && !state.HasRegistryCredentials.ValueBool():
		return api.Optional[api.RegistryCredentials]{}
	case wanted != nil && held != nil && *wanted == *held:
		return api.Optional[api.RegistryCredentials]{}
	default:
		return api.Optional[api.RegistryCredentials]{Set: true, Value: wanted.toAPI()}
	}
}

func (m *registryCredentialsModel) toAPI() *api.RegistryCredentials {
	if m == nil {
		return nil
	}
	return &api.RegistryCredentials{Username: m.Username.ValueString(), Password: m.Password.ValueString()}
}

func (m *resourceLimitsModel) toAPI() api.ResourceLimits {
	return api.ResourceLimits{CPU: m.CPU.ValueString(), Memory: m.Memory.ValueString(), Storage: m.Storage.ValueString()}
}

func (m *healthCheckModel) toAPI() *api.HealthCheckConfig {
	if m == nil {
		return nil
	}
	return &api.HealthCheckConfig{
		Type:           m.Type.ValueString(),
		Endpoint:       m.Endpoint.ValueString(),
		Port:           intOf(m.Port),
		ExpectedStatus: stringsOf(m.ExpectedStatus),
		Headers:        stringMapOf(m.Headers),
		Command:        stringsOf(m.Command),
		Interval:       intOf(m.Interval),
		Timeout:        intOf(m.Timeout),
		Retries:        intOf(m.Retries),
		Rise:           intOf(m.Rise),
		StartPeriod:    intOf(m.StartPeriod),
	}
}

// grammar is the health check as its rules see it, with the defaults of what is left out.
func (m *healthCheckModel) grammar() grammar.HealthCheck {
	return grammar.HealthCheck{
		Type: m.Type.ValueString(), Endpoint: m.Endpoint.ValueString(), Port: intOf(m.Port),
		ExpectedStatus: stringsOf(m.ExpectedStatus), Headers: stringMapOf(m.Headers), Command: stringsOf(m.Command),
		Interval: intOf(orInt64(m.Interval, defaultHealthInterval)), Timeout: intOf(orInt64(m.Timeout, defaultHealthTimeout)),
		Retries: intOf(orInt64(m.Retries, defaultHealthRetries)), Rise: intOf(orInt64(m.Rise, defaultHealthRise)), StartPeriod: intOf(m.StartPeriod),
	}
}

func (m *scalingModel) toAPI() api.ScalingConfig {
	return api.ScalingConfig{
		MinReplicas:  intOf(m.MinReplicas),
		MaxReplicas:  intOf(m.MaxReplicas),
		TargetCPU:    intOf(m.TargetCPU),
		TargetMemory: intOf(m.TargetMemory),
	}
}

func (m *networkConfigModel) toAPI() *api.NetworkConfig {
	return &api.NetworkConfig{
		Ports:            ints(m.Ports),
		InternalNetworks: m.InternalNetworks,
		ExternalNetworks: m.ExternalNetworks,
		PublishPorts:     m.PublishPorts.ValueBool(),
	}
}

func volumeMountsToAPI(mounts []volumeMountModel) []api.VolumeMount {
	out := make([]api.VolumeMount, len(mounts))
	for i, m := range mounts {
		out[i] = api.VolumeMount{Source: m.Source.ValueString(), Target: m.Target.ValueString(), ReadOnly: m.ReadOnly.ValueBool()}
	}
	return out
}

func (m *runtimeConfigModel) toAPI() *api.RuntimeConfig {
	return &api.RuntimeConfig{
		Entrypoint:             m.Entrypoint,
		Command:                m.Command,
		User:                   m.User.ValueString(),
		ReadOnlyRootFilesystem: m.ReadOnlyRootFilesystem.ValueBool(),
		Tmpfs:                  m.Tmpfs,
		Labels:                 m.Labels,
		StopTimeout:            intOf(m.StopTimeout),
		LogMaxSize:             m.LogMaxSize.ValueString(),
		LogMaxFiles:            intOf(m.LogMaxFiles),
		PullPolicy:             m.PullPolicy.ValueString(),
	}
}

// Values that both sides write differently.

func nullIfEmpty(s string) types.String {
	if s == "" {
		return types.StringNull()
	}
	return types.StringValue(s)
}

func stringsOrNull(in []string) types.List {
	if len(in) == 0 {
		return types.ListNull(types.StringType)
	}
	values := make([]attr.Value, len(in))
	for i, s := range in {
		values[i] = types.StringValue(s)
	}
	return types.ListValueMust(types.StringType, values)
}

func stringMapOrNull(in map[string]string) types.Map {
	if len(in) == 0 {
		return types.MapNull(types.StringType)
	}
	values := make(map[string]attr.Value, len(in))
	for k, s := range in {
		values[k] = types.StringValue(s)
	}
	return types.MapValueMust(types.StringType, values)
}

// stringMapOf are the strings of a map as far as they are known.
func stringMapOf(m types.Map) map[string]string {
	out := make(map[string]string, len(m.Elements()))
	for k, v := range m.Elements() {
		if s, ok := v.(types.String); ok && !s.IsNull() && !s.IsUnknown() {
			out[k] = s.ValueString()
		}
	}
	return out
}

func nullIfZero(n int) types.Int64 {
	if n == 0 {
		return types.Int64Null()
	}
	return int64Value(n)
}

func int64Value(n int) types.Int64 { return types.Int64Value(int64(n)) }

func intOf(n types.Int64) int { return int(n.ValueInt64()) }

func int64s(in []int) []int64 {
	out := make([]int64, len(in))
	for i, n := range in {
		out[i] = int64(n)
	}
	return out
}

func ints(in []int64) []int {
	out := make([]int, len(in))
	for i, n := range in {
		out[i] = int(n)
	}
	return out
}

func timeValue(t time.Time) types.String {
	return types.StringValue(t.UTC().Format(time.RFC3339Nano))
}

func timePointerValue(t *time.Time) types.String {
	if t == nil {
		return types.StringNull()
	}
	return timeValue(*t)
}

func pointer[T any](v T) *T { return &v }

func listOrEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func mapOrEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
