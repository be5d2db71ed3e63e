package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// compose is docker-compose.
type compose struct {
	*raw
	program, dir string
}

func newCompose(b *testing.B, like *raw) *compose {
	b.Helper()
	c := &compose{raw: like, program: testenv.Compose(b), dir: b.TempDir()}
	b.Cleanup(func() { c.remove(b) })
	return c
}

func (*compose) name() string  { return "compose" }
func (*compose) label() string { return "com.docker.compose.project=" + benchName }

func (c *compose) start(b *testing.B, replicas int)  { c.up(b, "v1", replicas) }
func (c *compose) update(b *testing.B, replicas int) { c.up(b, "v2", replicas) }

func (c *compose) up(b *testing.B, version string, replicas int) {
	b.Helper()
	file, err := json.Marshal(c.file(version)) // JSON is YAML
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "docker-compose.yml"), file, 0o600); err != nil {
		b.Fatal(err)
	}
	c.call(b, "up", "--detach", "--scale", fmt.Sprintf("app=%d", replicas))
}

// file describes one service like the containers of raw.
func (c *compose) file(version string) map[string]any {
	service := map[string]any{
		"image": c.images[version], "environment": c.config.Env, "stop_grace_period": "1s",
		"mem_limit": c.host.Memory, "memswap_limit": c.host.MemorySwap, "cpus": float64(c.host.NanoCPUs) / 1e9,
		"pids_limit": *c.host.PidsLimit, "security_opt": c.host.SecurityOpt,
		"logging": map[string]any{"driver": c.host.LogConfig.Type, "options": c.host.LogConfig.Config},
	}
	return map[string]any{
		"version":  "2.4",
		"services": map[string]any{"app": service},
		"networks": map[string]any{"default": map[string]any{"external": map[string]any{"name": c.bridge}}},
	}
}

func (c *compose) remove(b *testing.B) {
	b.Helper()
	if _, err := os.Stat(filepath.Join(c.dir, "docker-compose.yml")); err == nil {
		c.call(b, "down", "--timeout", "1")
	}
}

func (c *compose) call(b *testing.B, args ...string) {
	b.Helper()
	cmd := exec.Command(c.program, append([]string{"--project-name", benchName, "--no-ansi"}, args...)...)
	cmd.Dir = c.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("docker-compose %v: %v\n%s", args, err, out)
	}
}

// service is a service of the engine's swarm mode.
type service struct {
	*raw
	network, id string
}

// newSwarm has the engine be a swarm of its own while the benchmark runs, unless
// it is one already.
func newSwarm(b *testing.B, like *raw) *service {
	b.Helper()
	s := &service{raw: like}
	info, err := s.client.Info(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if info.Swarm.LocalNodeState == swarm.LocalNodeStateInactive {
		s.form(b)
	}
	made, err := s.client.NetworkCreate(b.Context(), benchName+"-swarm", network.CreateOptions{Driver: "bridge", Scope: "swarm"})
	if err != nil {
		b.Fatal(err)
	}
	s.network = made.ID
	b.Cleanup(func() { s.removeNetwork(b, s.network) })
	return s
}

// form makes a swarm of the engine alone, which ends with the benchmark.
func (s *service) form(b *testing.B) {
	b.Helper()
	if _, err := s.client.SwarmInit(b.Context(), swarm.InitRequest{ListenAddr: "127.0.0.1:2377", AdvertiseAddr: "127.0.0.1"}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.client.SwarmLeave(context.Background(), true); err != nil {
			b.Errorf("leave the swarm: %v", err)
		}
		s.removeNetwork(b, "docker_gwbridge") // swarm's, and not taken along
	})
}

func (*service) name() string  { return "swarm" }
func (*service) label() string { return "com.docker.swarm.service.name=" + benchName }

// spec describes a service like the containers of raw.
func (s *service) spec(version string, replicas int) swarm.ServiceSpec {
	grace, count := time.Second, uint64(replicas)
	return swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: benchName},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: s.images[version], Env: s.config.Env, StopGracePeriod: &grace},
			Resources: &swarm.ResourceRequirements{Limits: &swarm.Limit{
				NanoCPUs: s.host.NanoCPUs, MemoryBytes: s.host.Memory, Pids: *s.host.PidsLimit,
			}},
			Networks:  []swarm.NetworkAttachmentConfig{{Target: s.network}},
			LogDriver: &swarm.Driver{Name: s.host.LogConfig.Type, Options: s.host.LogConfig.Config},
		},
		Mode:         swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &count}},
		EndpointSpec: &swarm.EndpointSpec{Mode: swarm.ResolutionModeDNSRR},
		UpdateConfig: &swarm.UpdateConfig{Parallelism: benchSurge, Order: swarm.UpdateOrderStartFirst, Monitor: 1},
	}
}

func (s *service) start(b *testing.B, replicas int) {
	b.Helper()
	made, err := s.client.ServiceCreate(b.Context(), s.spec("v1", replicas), swarm.ServiceCreateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	s.id = made.ID
}

func (s *service) update(b *testing.B, replicas int) {
	b.Helper()
	now, _, err := s.client.ServiceInspectWithRaw(b.Context(), s.id, swarm.ServiceInspectOptions{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.client.ServiceUpdate(b.Context(), s.id, now.Version, s.spec("v2", replicas), swarm.ServiceUpdateOptions{}); err != nil {
		b.Fatal(err)
	}
}

func (s *service) remove(b *testing.B) {
	b.Helper()
	if err := s.client.ServiceRemove(b.Context(), s.id); err != nil {
		b.Fatal(err)
	}
	s.awaitGone(b, s.label())
}
