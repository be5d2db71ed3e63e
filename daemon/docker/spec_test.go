package docker

import (
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

var primary = engineNetwork{ID: "n1", Name: "wedsync.staging.app"}

func TestContainerConfig(t *testing.T) {
	tests := map[string]struct {
		change func(*fleet.ContainerSpec)
		want   func(*container.Config) bool
	}{
		"image is the digest":  {func(s *fleet.ContainerSpec) { s.Instance.ImageDigest = "r/a@sha256:1" }, func(c *container.Config) bool { return c.Image == "r/a@sha256:1" }},
		"entrypoint":           {func(s *fleet.ContainerSpec) { s.Spec.Runtime.Entrypoint = []string{"/a", "b"} }, func(c *container.Config) bool { return slices.Equal(c.Entrypoint, []string{"/a", "b"}) && c.Cmd == nil }},
		"command":              {func(s *fleet.ContainerSpec) { s.Spec.Runtime.Command = []string{"-v"} }, func(c *container.Config) bool { return slices.Equal(c.Cmd, []string{"-v"}) && c.Entrypoint == nil }},
		"user":                 {func(s *fleet.ContainerSpec) { s.Spec.Runtime.User = "app:app" }, func(c *container.Config) bool { return c.User == "app:app" }},
		"stop timeout":         {func(s *fleet.ContainerSpec) { s.Spec.Runtime.StopTimeout = 25 }, func(c *container.Config) bool { return *c.StopTimeout == 25 }},
		"image's check is off": {nil, func(c *container.Config) bool { return slices.Equal(c.Healthcheck.Test, []string{"NONE"}) }},
		"image's check is off beside another": {func(s *fleet.ContainerSpec) { s.Spec.HealthCheck = &fleet.HealthCheck{Endpoint: "/"} }, func(c *container.Config) bool {
			return slices.Equal(c.Healthcheck.Test, []string{"NONE"})
		}},
		"image's check is on": {func(s *fleet.ContainerSpec) { s.Spec.HealthCheck = &fleet.HealthCheck{Type: grammar.HealthImage} }, func(c *container.Config) bool {
			return c.Healthcheck == nil
		}},
		"no stop timeout": {func(s *fleet.ContainerSpec) { s.Spec.Runtime.StopTimeout = 0 }, func(c *container.Config) bool { return c.StopTimeout == nil }},
		"ports": {func(s *fleet.ContainerSpec) { s.Spec.Network.Ports = []int{80, 443} }, func(c *container.Config) bool {
			_, ok := c.ExposedPorts["443/tcp"]
			return ok && len(c.ExposedPorts) == 2
		}},
		"published port":    {func(s *fleet.ContainerSpec) { s.Instance.Ports = map[int]int{9000: 1} }, func(c *container.Config) bool { _, ok := c.ExposedPorts["9000/tcp"]; return ok }},
		"host name is left": {nil, func(c *container.Config) bool { return c.Hostname == "" }},
		"variables sorted": {func(s *fleet.ContainerSpec) { s.Spec.Environment = map[string]string{"B": "2", "A": "1=x"} }, func(c *container.Config) bool {
			return slices.IsSorted(c.Env) && slices.Contains(c.Env, "A=1=x") && slices.Contains(c.Env, "B=2")
		}},
		"ours": {nil, func(c *container.Config) bool {
			return slices.Contains(c.Env, "WEDSYNC_ENVIRONMENT=staging") && slices.Contains(c.Env, "WEDSYNC_SERVICE=demo")
		}},
		"the definition's win": {func(s *fleet.ContainerSpec) { s.Spec.Environment = map[string]string{envEnvironment: "mine"} }, func(c *container.Config) bool {
			return slices.Contains(c.Env, "WEDSYNC_ENVIRONMENT=mine") && !slices.Contains(c.Env, "WEDSYNC_ENVIRONMENT=staging")
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSpec(t, "staging")
			if tt.change != nil {
				tt.change(&s)
			}
			if got := containerConfig(s, "i", primary); !tt.want(got) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestContainerLabels(t *testing.T) {
	s := newSpec(t, "staging", func(s *fleet.ContainerSpec) {
		s.Instance.Replica = 3
		s.Spec.Runtime.Labels = map[string]string{"team": "weddings", fleet.LabelInstance: "forged", fleet.LabelInstallation: "forged"}
	})
	want := map[string]string{
		fleet.LabelService: "demo", fleet.LabelEnvironment: "staging", fleet.LabelDefinition: s.Instance.DefinitionID,
		fleet.LabelReplica: "3", fleet.LabelInstance: s.Instance.ID, fleet.LabelDeployment: s.Instance.DeploymentID,
		fleet.LabelEpoch: "7", fleet.LabelInstallation: "i", fleet.LabelNetwork: primary.Name, "team": "weddings",
	}
	got := containerLabels(s, "i", primary)
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s is %q, want %q", key, got[key], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	if s.Spec.Runtime.Labels[fleet.LabelInstance] != "forged" {
		t.Error("the definition's own map was changed")
	}
}

func TestHostConfig(t *testing.T) {
	tests := map[string]struct {
		change func(*fleet.ContainerSpec)
		want   func(*container.HostConfig) bool
	}{
		"whole cores":         {func(s *fleet.ContainerSpec) { s.Spec.Resources.CPU = "2" }, func(h *container.HostConfig) bool { return h.NanoCPUs == 2e9 }},
		"thousandths":         {func(s *fleet.ContainerSpec) { s.Spec.Resources.CPU = "150m" }, func(h *container.HostConfig) bool { return h.NanoCPUs == 150e6 && h.CPUShares == 0 }},
		"memory without swap": {func(s *fleet.ContainerSpec) { s.Spec.Resources.Memory = "2Gi" }, func(h *container.HostConfig) bool { return h.Memory == 2<<30 && h.MemorySwap == h.Memory }},
		"no memory limit":     {func(s *fleet.ContainerSpec) { s.Spec.Resources.Memory = "" }, func(h *container.HostConfig) bool { return h.Memory == 0 && h.MemorySwap == 0 }},
		"storage":             {func(s *fleet.ContainerSpec) { s.Spec.Resources.Storage = "10Gi" }, func(h *container.HostConfig) bool { return h.StorageOpt["size"] == "10737418240" }},
		"no storage":          {nil, func(h *container.HostConfig) bool { return h.StorageOpt == nil }},
		"pids":                {nil, func(h *container.HostConfig) bool { return *h.PidsLimit == 4096 }},
		"never restarts":      {nil, func(h *container.HostConfig) bool { return h.RestartPolicy.Name == "no" }},
		"no new privileges": {nil, func(h *container.HostConfig) bool {
			return slices.Equal(h.SecurityOpt, []string{"no-new-privileges:true"}) && !h.Privileged
		}},
		"read-only": {func(s *fleet.ContainerSpec) { s.Spec.Runtime.ReadOnlyRootFilesystem = true }, func(h *container.HostConfig) bool { return h.ReadonlyRootfs }},
		"tmpfs": {func(s *fleet.ContainerSpec) { s.Spec.Runtime.Tmpfs = []string{"/tmp", "/run"} }, func(h *container.HostConfig) bool {
			return len(h.Tmpfs) == 2 && strings.Contains(h.Tmpfs["/run"], "mode=1777")
		}},
		"network": {nil, func(h *container.HostConfig) bool { return h.NetworkMode == "n1" }},
		"ports on loopback": {func(s *fleet.ContainerSpec) { s.Instance.Ports = map[int]int{8080: 31000} }, func(h *container.HostConfig) bool {
			b := h.PortBindings["8080/tcp"]
			return len(b) == 1 && b[0].HostIP == "127.0.0.1" && b[0].HostPort == "31000"
		}},
		"nothing published": {nil, func(h *container.HostConfig) bool { return len(h.PortBindings) == 0 && !h.PublishAllPorts }},
		"log rotation": {func(s *fleet.ContainerSpec) { s.Spec.Runtime.LogMaxSize, s.Spec.Runtime.LogMaxFiles = "1Mi", 7 }, func(h *container.HostConfig) bool {
			return h.LogConfig.Type == "json-file" && h.LogConfig.Config["max-size"] == "1048576" && h.LogConfig.Config["max-file"] == "7"
		}},
		"log rotation by default": {func(s *fleet.ContainerSpec) { s.Spec.Runtime = fleet.RuntimeConfig{} }, func(h *container.HostConfig) bool {
			return h.LogConfig.Config["max-size"] == "10485760" && h.LogConfig.Config["max-file"] == "3"
		}},
		"host directory": {func(s *fleet.ContainerSpec) {
			s.Spec.Volumes = []fleet.VolumeMount{{Source: "/srv/a", Target: "/a", ReadOnly: true}}
		}, func(h *container.HostConfig) bool {
			return len(h.Mounts) == 1 && h.Mounts[0].Type == mount.TypeBind && h.Mounts[0].ReadOnly && h.Mounts[0].VolumeOptions == nil
		}},
		"volume": {volume("data", "/a"), func(h *container.HostConfig) bool {
			return len(h.Mounts) == 1 && h.Mounts[0].Type == mount.TypeVolume && h.Mounts[0].VolumeOptions.Labels[fleet.LabelInstallation] == "i"
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSpec(t, "staging")
			if tt.change != nil {
				tt.change(&s)
			}
			if got := hostConfig(s, "i", primary); !tt.want(got) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestMergeDNS(t *testing.T) {
	got := mergeDNS([]fleet.Network{
		{DNS: fleet.DNSConfig{Servers: []string{"10.0.0.1", "10.0.0.2"}, Search: []string{"a.internal"}}},
		{DNS: fleet.DNSConfig{Servers: []string{"10.0.0.2", "10.0.0.3"}, Search: []string{"a.internal", "b.internal"}, Options: []string{"rotate"}}},
	})
	if !slices.Equal(got.Servers, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}) || !slices.Equal(got.Search, []string{"a.internal", "b.internal"}) || !slices.Equal(got.Options, []string{"rotate"}) {
		t.Errorf("got %+v", got)
	}
	if none := mergeDNS(nil); none.Servers != nil || none.Search != nil || none.Options != nil {
		t.Errorf("got %+v", none)
	}
}

func TestCheckIsolation(t *testing.T) {
	network := func(environment string) fleet.Network { return fleet.Network{Name: "app", Environment: environment} }
	tests := map[string]struct {
		environment string
		networks    []fleet.Network
		want        error
	}{
		"own":         {"staging", []fleet.Network{network("staging")}, nil},
		"none":        {"staging", nil, nil},
		"other":       {"staging", []fleet.Network{network("production")}, fleet.ErrRefused},
		"one of two":  {"staging", []fleet.Network{network("staging"), network("production")}, fleet.ErrRefused},
		"unknown":     {"staging", []fleet.Network{network("")}, fleet.ErrRefused},
		"no home":     {"", nil, fleet.ErrRefused},
		"none at all": {"", []fleet.Network{network("")}, fleet.ErrRefused},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSpec(t, tt.environment)
			s.Networks = tt.networks
			err := checkIsolation(s)
			if tt.want == nil && err != nil {
				t.Fatal(err)
			}
			if tt.want != nil {
				wantKind(t, err, tt.want)
			}
		})
	}
}
