package api

import "time"

// ResourceLimits bound what one instance may use.
type ResourceLimits struct {
	CPU     string `json:"cpu" doc:"CPU limit per instance, in cores or thousandths of a core." example:"500m" minLength:"1" maxLength:"32"`
	Memory  string `json:"memory" doc:"Memory limit per instance; units are powers of 1,024. Beyond it the kernel ends the instance." example:"512Mi" minLength:"1" maxLength:"32"`
	Storage string `json:"storage,omitempty" doc:"Limit of the writable layer, enforced where the engine's storage driver can." example:"10Gi" maxLength:"32"`
}

// HealthCheckConfig says how to see whether an instance is well. Unless it is,
// it gets no requests; one that has become unhealthy is restarted.
type HealthCheckConfig struct {
	Type           string            `json:"type,omitempty" doc:"What is done: request a path, make a TCP connection, run a command inside the container, or go by the image's own HEALTHCHECK." example:"http" default:"http" enum:"http,tcp,command,image"`
	Endpoint       string            `json:"endpoint,omitempty" doc:"Path that a check of type http requests." example:"/health" maxLength:"1024"`
	Port           int               `json:"port,omitempty" doc:"Container port that a check of type http or tcp connects to; the first of network_config.ports when left out." example:"8080" minimum:"1" maximum:"65535"`
	ExpectedStatus []string          `json:"expected_status,omitempty" doc:"Statuses, and ranges of them with both ends, with which a check of type http passes; 200-399 when left out. Redirects are not followed." example:"[\"200-299\",\"401\"]" maxItems:"16" nullable:"false"`
	Headers        map[string]string `json:"headers,omitempty" doc:"Headers that a check of type http sends, at most 16; Host sets the host that it asks for. They are not kept secret." example:"{\"Host\":\"shop.example.com\"}" nullable:"false"`
	Command        []string          `json:"command,omitempty" doc:"Program with its arguments that a check of type command runs inside the container, without a shell; exit code 0 passes." example:"[\"/app\",\"check\"]" maxItems:"64" nullable:"false"`
	Interval       int               `json:"interval,omitempty" doc:"Seconds between two checks." example:"30" default:"30" minimum:"1" maximum:"3600"`
	Timeout        int               `json:"timeout,omitempty" doc:"Seconds until a check without an answer fails; not longer than the interval." example:"10" default:"10" minimum:"1" maximum:"3600"`
	Retries        int               `json:"retries,omitempty" doc:"Failed checks in a row that make an instance unhealthy. With type image the engine has counted already, and its word counts at once." example:"3" default:"3" minimum:"1" maximum:"100"`
	Rise           int               `json:"rise,omitempty" doc:"Passed checks in a row that make an instance healthy; with type image see retries." example:"1" default:"1" minimum:"1" maximum:"100"`
	StartPeriod    int               `json:"start_period,omitempty" doc:"Seconds after the start in which failed checks do not count." example:"5" minimum:"0" maximum:"3600"`
}

// ScalingConfig is the range and the targets of the number of replicas.
type ScalingConfig struct {
	MinReplicas  int `json:"min_replicas" doc:"Fewest replicas; also the number deployed when a deployment names none." example:"1" minimum:"0" maximum:"1000"`
	MaxReplicas  int `json:"max_replicas" doc:"Most replicas." example:"10" minimum:"1" maximum:"1000"`
	TargetCPU    int `json:"target_cpu,omitempty" doc:"Average CPU use to aim for, in percent of the limit." example:"70" default:"70" minimum:"1" maximum:"100"`
	TargetMemory int `json:"target_memory,omitempty" doc:"Average memory use to aim for, in percent of the limit." example:"80" default:"80" minimum:"1" maximum:"100"`
}

// NetworkConfig says which ports an instance listens on and which networks it joins.
type NetworkConfig struct {
	Ports            []int    `json:"ports,omitempty" doc:"TCP ports that the container listens on." example:"[8080]" maxItems:"32" nullable:"false"`
	InternalNetworks []string `json:"internal_networks,omitempty" doc:"Names of internal or overlay networks of the instance's environment to join." example:"[\"app\"]" maxItems:"16" nullable:"false"`
	ExternalNetworks []string `json:"external_networks,omitempty" doc:"Names of external networks of the instance's environment to join." example:"[\"edge\"]" maxItems:"16" nullable:"false"`
	PublishPorts     bool     `json:"publish_ports,omitempty" doc:"Publish every port on a free port of the host's loopback address. Needs a network that is not internal." example:"true"`
}

// VolumeMount mounts a host directory or a named volume.
type VolumeMount struct {
	Source   string `json:"source" doc:"Absolute host path, or name of a volume that is created when it is missing." example:"app-data" minLength:"1" maxLength:"1024"`
	Target   string `json:"target" doc:"Absolute path inside the container." example:"/var/lib/app" minLength:"1" maxLength:"1024"`
	ReadOnly bool   `json:"read_only,omitempty" doc:"Mount without write access." example:"false"`
}

// RuntimeConfig is how the process inside an instance is run. No instance ever
// gains privileges: no-new-privileges is always set.
type RuntimeConfig struct {
	Entrypoint             []string          `json:"entrypoint,omitempty" doc:"Replaces the image's entrypoint." example:"[\"/app\"]" maxItems:"256" nullable:"false"`
	Command                []string          `json:"command,omitempty" doc:"Replaces the image's command." example:"[\"--verbose\"]" maxItems:"256" nullable:"false"`
	User                   string            `json:"user,omitempty" doc:"User and optional group to run as, by name or number." example:"10001:10001" maxLength:"128"`
	ReadOnlyRootFilesystem bool              `json:"read_only_root_filesystem,omitempty" doc:"Mount the root filesystem without write access." example:"true"`
	Tmpfs                  []string          `json:"tmpfs,omitempty" doc:"Paths that get an empty in-memory filesystem." example:"[\"/tmp\"]" maxItems:"16" nullable:"false"`
	Labels                 map[string]string `json:"labels,omitempty" doc:"Labels on the containers, beside those of wedsyncd." example:"{\"team\":\"weddings\"}" nullable:"false"`
	StopTimeout            int               `json:"stop_timeout,omitempty" doc:"Seconds between the stop signal and the kill." example:"10" default:"10" minimum:"1" maximum:"3600"`
	LogMaxSize             string            `json:"log_max_size,omitempty" doc:"Size at which a container's log file is rotated." example:"10Mi" default:"10Mi" maxLength:"32"`
	LogMaxFiles            int               `json:"log_max_files,omitempty" doc:"Rotated log files kept per container." example:"3" default:"3" minimum:"1" maximum:"100"`
	PullPolicy             string            `json:"pull_policy,omitempty" doc:"When a deployment asks the registry: only if the engine lacks the image, or always." example:"if_not_present" default:"if_not_present" enum:"if_not_present,always"`
}

// RegistryCredentials log in to the registry of an image. They are stored
// encrypted and never returned.
type RegistryCredentials struct {
	Username string `json:"username" doc:"User name at the registry." example:"deploy" minLength:"1" maxLength:"256"`
	Password string `json:"password" doc:"Password or token at the registry." example:"s3cret" minLength:"1" maxLength:"8192"`
}

// Definition describes the containers of one service: image, limits, health,
// networks. Deploying it into an environment runs instances of it.
type Definition struct {
	ID                     string             `json:"id" doc:"Identifier of the definition." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a11" format:"uuid"`
	Name                   string             `json:"name" doc:"Unique name, a DNS label." example:"wedding-api"`
	ServiceName            string             `json:"service_name" doc:"Service that the instances belong to; also their alias on networks." example:"api"`
	ImageName              string             `json:"image_name" doc:"Image repository without tag." example:"wedsync/api"`
	ImageTag               string             `json:"image_tag" doc:"Image tag." example:"v1.4.2"`
	RegistryURL            string             `json:"registry_url,omitempty" doc:"Registry of the image; empty for the engine's default." example:"registry.example.com"`
	HasRegistryCredentials bool               `json:"has_registry_credentials" doc:"Whether registry credentials are stored." example:"false"`
	EnvironmentConfig      map[string]string  `json:"environment_config" doc:"Environment variables of the containers." example:"{\"LOG_LEVEL\":\"info\"}" nullable:"false"`
	ResourceLimits         ResourceLimits     `json:"resource_limits" doc:"Limits per instance."`
	HealthCheckConfig      *HealthCheckConfig `json:"health_check_config,omitempty" doc:"Health check; without one an instance is healthy while it runs."`
	ScalingConfig          ScalingConfig      `json:"scaling_config" doc:"Range and targets of the number of replicas."`
	NetworkConfig          NetworkConfig      `json:"network_config" doc:"Ports and networks."`
	VolumeMounts           []VolumeMount      `json:"volume_mounts" doc:"Mounted host directories and volumes." nullable:"false"`
	RuntimeConfig          RuntimeConfig      `json:"runtime_config" doc:"How the process is run."`
	Revision               int                `json:"revision" doc:"Raised by one with every change of the definition." example:"3"`
	IsActive               bool               `json:"is_active" doc:"False once the definition is deleted." example:"true"`
	CreatedBy              string             `json:"created_by,omitempty" doc:"Principal that created it." example:"0198c5f0-9f4e-7c1a-9a53-0c1d6f1f2a10" format:"uuid"`
	CreatedAt              time.Time          `json:"created_at" doc:"When it was created." example:"2026-06-06T08:30:00Z"`
	UpdatedAt              time.Time          `json:"updated_at" doc:"When it was last changed." example:"2026-06-06T08:30:00Z"`
}

// CreateDefinitionRequest is the body of POST /api/containers/definitions.
type CreateDefinitionRequest struct {
	Name                string               `json:"name" doc:"Unique name, a DNS label." example:"wedding-api" maxLength:"63"`
	ServiceName         string               `json:"service_name" doc:"Service that the instances belong to, a DNS label." example:"api" maxLength:"63"`
	ImageName           string               `json:"image_name" doc:"Image repository without tag." example:"wedsync/api" maxLength:"255"`
	ImageTag            string               `json:"image_tag,omitempty" doc:"Image tag." example:"v1.4.2" default:"latest" maxLength:"128"`
	RegistryURL         string               `json:"registry_url,omitempty" doc:"Registry of the image; leave out for the engine's default." example:"registry.example.com" maxLength:"255"`
	RegistryCredentials *RegistryCredentials `json:"registry_credentials,omitempty" doc:"Log-in at the registry; stored encrypted, never returned."`
	EnvironmentConfig   map[string]string    `json:"environment_config,omitempty" doc:"Environment variables of the containers." example:"{\"LOG_LEVEL\":\"info\"}" nullable:"false"`
	ResourceLimits      ResourceLimits       `json:"resource_limits" doc:"Limits per instance."`
	HealthCheckConfig   *HealthCheckConfig   `json:"health_check_config,omitempty" doc:"Health check; without one an instance is healthy while it runs."`
	ScalingConfig       ScalingConfig        `json:"scaling_config" doc:"Range and targets of the number of replicas."`
	NetworkConfig       *NetworkConfig       `json:"network_config,omitempty" doc:"Ports and networks."`
	VolumeMounts        []VolumeMount        `json:"volume_mounts,omitempty" doc:"Host directories and volumes to mount." maxItems:"64" nullable:"false"`
	RuntimeConfig       *RuntimeConfig       `json:"runtime_config,omitempty" doc:"How the process is run."`
}

// UpdateDefinitionRequest is the body of PUT
// /api/containers/definitions/{definition_id}. A field that is left out stays as
// it is; a field that is given replaces the earlier value whole. The JSON null
// is refused but for health_check_config and registry_credentials, which it
// removes.
type UpdateDefinitionRequest struct {
	Name                *string                       `json:"name,omitempty" doc:"Unique name, a DNS label." example:"wedding-api" maxLength:"63"`
	ServiceName         *string                       `json:"service_name,omitempty" doc:"Service that the instances belong to, a DNS label." example:"api" maxLength:"63"`
	ImageName           *string                       `json:"image_name,omitempty" doc:"Image repository without tag." example:"wedsync/api" maxLength:"255"`
	ImageTag            *string                       `json:"image_tag,omitempty" doc:"Image tag." example:"v1.4.3" maxLength:"128"`
	RegistryURL         *string                       `json:"registry_url,omitempty" doc:"Registry of the image; empty for the engine's default." example:"registry.example.com" maxLength:"255"`
	RegistryCredentials Optional[RegistryCredentials] `json:"registry_credentials,omitzero" doc:"Log-in at the registry; null removes it."`
	EnvironmentConfig   *map[string]string            `json:"environment_config,omitempty" doc:"Environment variables of the containers." example:"{\"LOG_LEVEL\":\"debug\"}"`
	ResourceLimits      *ResourceLimits               `json:"resource_limits,omitempty" doc:"Limits per instance."`
	HealthCheckConfig   Optional[HealthCheckConfig]   `json:"health_check_config,omitzero" doc:"Health check; null removes it."`
	ScalingConfig       *ScalingConfig                `json:"scaling_config,omitempty" doc:"Range and targets of the number of replicas."`
	NetworkConfig       *NetworkConfig                `json:"network_config,omitempty" doc:"Ports and networks."`
	VolumeMounts        *[]VolumeMount                `json:"volume_mounts,omitempty" doc:"Host directories and volumes to mount." maxItems:"64"`
	RuntimeConfig       *RuntimeConfig                `json:"runtime_config,omitempty" doc:"How the process is run."`
}

// DefinitionList is one page of definitions, by name.
type DefinitionList struct {
	Definitions []Definition `json:"definitions" doc:"One page of definitions, by name." nullable:"false"`
	TotalCount  int          `json:"total_count" doc:"Definitions that match, over all pages." example:"2"`
	NextCursor  string       `json:"next_cursor,omitempty" doc:"Continues the list; absent on its last page." example:"eyJrIjoid2VkZGluZy1hcGkifQ"`
}

// ListDefinitionsOptions select and page definitions.
type ListDefinitionsOptions struct {
	Page
	// Name selects the one definition of this name.
	Name string
	// ServiceName selects the definitions of one service.
	ServiceName string
}
