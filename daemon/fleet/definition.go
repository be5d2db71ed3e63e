package fleet

import (
	"bytes"
	"cmp"
	"encoding/json"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Defaults of a definition's fields.
const (
	DefaultImageTag      = "latest"
	DefaultHealthType    = grammar.HealthHTTP
	DefaultHealthPeriod  = 30
	DefaultHealthTimeout = 10
	DefaultHealthRetries = 3
	DefaultHealthRise    = 1
	DefaultTargetCPU     = 70
	DefaultTargetMemory  = 80
	DefaultStopTimeout   = 10
	DefaultLogMaxSize    = "10Mi"
	DefaultLogMaxFiles   = 3
)

// Resources bound what one instance may use; see package grammar for the forms.
type Resources struct {
	CPU     string `json:"cpu"`
	Memory  string `json:"memory"`
	Storage string `json:"storage,omitempty"`
}

// NanoCPUs is the CPU limit in billionths of a core, zero for none.
func (r Resources) NanoCPUs() int64 {
	milli, _ := grammar.CPU(r.CPU)
	return milli * 1e6
}

// MemoryBytes is the memory limit, zero for none.
func (r Resources) MemoryBytes() int64 {
	n, _ := grammar.Memory(r.Memory)
	return n
}

// With is r with what o sets of processor and memory.
func (r Resources) With(o Resources) Resources {
	r.CPU, r.Memory = cmp.Or(o.CPU, r.CPU), cmp.Or(o.Memory, r.Memory)
	return r
}

// StorageBytes is the limit of the writable layer, zero for none.
func (r Resources) StorageBytes() int64 {
	n, _ := grammar.Bytes(r.Storage)
	return n
}

// HealthCheck says how to see whether an instance is well.
type HealthCheck = grammar.HealthCheck

// Scaling is the range and the targets of the number of replicas.
type Scaling struct {
	MinReplicas  int `json:"min_replicas"`
	MaxReplicas  int `json:"max_replicas"`
	TargetCPU    int `json:"target_cpu"`
	TargetMemory int `json:"target_memory"`
}

// NetworkConfig says which ports an instance listens on and which networks of its environment it joins.
type NetworkConfig struct {
	Ports            []int    `json:"ports,omitempty"`
	InternalNetworks []string `json:"internal_networks,omitempty"`
	ExternalNetworks []string `json:"external_networks,omitempty"`
	PublishPorts     bool     `json:"publish_ports,omitempty"`
}

// VolumeMount mounts a host directory or a named volume.
type VolumeMount struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"read_only"`
}

// Pull policies.
const (
	PullIfNotPresent = "if_not_present"
	PullAlways       = "always"
)

// RuntimeConfig is how the process inside an instance is run.
type RuntimeConfig struct {
	Entrypoint             []string          `json:"entrypoint,omitempty"`
	Command                []string          `json:"command,omitempty"`
	User                   string            `json:"user,omitempty"`
	ReadOnlyRootFilesystem bool              `json:"read_only_root_filesystem,omitempty"`
	Tmpfs                  []string          `json:"tmpfs,omitempty"`
	Labels                 map[string]string `json:"labels,omitempty"`
	StopTimeout            int               `json:"stop_timeout"` // seconds
	LogMaxSize             string            `json:"log_max_size"`
	LogMaxFiles            int               `json:"log_max_files"`
	PullPolicy             string            `json:"pull_policy"`
}

// LogMaxBytes is the size at which the log file is rotated.
func (r RuntimeConfig) LogMaxBytes() int64 {
	n, _ := grammar.Bytes(r.LogMaxSize)
	return n
}

// Spec is the part of a definition that decides what runs: what a deployment
// stores as its configuration snapshot.
type Spec struct {
	Name        string            `json:"name"`
	ServiceName string            `json:"service_name"`
	ImageName   string            `json:"image_name"`
	ImageTag    string            `json:"image_tag"`
	RegistryURL string            `json:"registry_url,omitempty"`
	Environment map[string]string `json:"environment_config"`
	Resources   Resources         `json:"resource_limits"`
	HealthCheck *HealthCheck      `json:"health_check_config,omitempty"`
	Scaling     Scaling           `json:"scaling_config"`
	Network     NetworkConfig     `json:"network_config"`
	Volumes     []VolumeMount     `json:"volume_mounts"`
	Runtime     RuntimeConfig     `json:"runtime_config"`
}

// ImageReference is the full reference of the image, with registry and tag.
func (s Spec) ImageReference() (string, error) {
	return grammar.ImageReference(s.RegistryURL, s.ImageName, s.ImageTag)
}

// HealthPort is the port that health checks connect to, zero if there is none.
func (s Spec) HealthPort() int {
	switch {
	case s.HealthCheck != nil && !s.HealthCheck.NeedsPort():
		return 0
	case s.HealthCheck != nil && s.HealthCheck.Port != 0:
		return s.HealthCheck.Port
	case len(s.Network.Ports) > 0:
		return s.Network.Ports[0]
	default:
		return 0
	}
}

// RegistryCredentials log in to a registry. They never leave the store but
// towards the engine.
type RegistryCredentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// CredentialsChange says what becomes of a definition's registry credentials:
// they stay when Set is false, and are removed when Value is nil.
type CredentialsChange struct {
	Set   bool
	Value *RegistryCredentials
}

// Definition describes the containers of one service.
type Definition struct {
	ID string
	Spec
	HasCredentials bool
	// Revision counts the changes of the definition, from 1.
	Revision  int
	IsActive  bool
	CreatedBy string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// SameContainers reports whether containers of the two specs are
// interchangeable: everything is equal but the range of replicas. A health check
// that says what another leaves out is equal.
func (s Spec) SameContainers(other Spec) bool {
	s.Scaling, other.Scaling = Scaling{}, Scaling{}
	s.HealthCheck, other.HealthCheck = normalCheck(s.HealthCheck), normalCheck(other.HealthCheck)
	a, errA := json.Marshal(s)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

func normalCheck(h *HealthCheck) *HealthCheck {
	if h == nil {
		return nil
	}
	return new(h.Normal())
}
