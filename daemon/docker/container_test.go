package docker

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

func TestEnsureContainerSetsWhatTheEngineEnforces(t *testing.T) {
	e := newEngine(t)
	id := ensure(t, e, demo(t, e, "staging", func(s *fleet.ContainerSpec) {
		s.Spec.Resources = fleet.Resources{CPU: "500m", Memory: "48Mi"}
		s.Spec.Runtime.User = "10002:10003"
		s.Spec.Runtime.ReadOnlyRootFilesystem = true
		s.Spec.Runtime.Tmpfs = []string{"/tmp"}
		s.Spec.Runtime.LogMaxSize, s.Spec.Runtime.LogMaxFiles = "2Mi", 4
		s.Spec.Runtime.Labels = map[string]string{"team": "weddings"}
		s.Spec.Runtime.StopTimeout = 3
		s.Spec.Environment = map[string]string{"LOG_LEVEL": "debug"}
	}))
	got, err := e.client.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	host, config := got.HostConfig, got.Config
	checks := map[string]bool{
		"cpu":               host.NanoCPUs == 500_000_000,
		"memory":            host.Memory == 48<<20,
		"no more swap":      host.MemorySwap == 48<<20 || host.MemorySwap == -1 || host.MemorySwap == 0,
		"pids":              host.PidsLimit != nil && *host.PidsLimit == pidsLimit,
		"no new privileges": slices.Contains(host.SecurityOpt, "no-new-privileges:true"),
		"not privileged":    !host.Privileged,
		"read-only root":    host.ReadonlyRootfs,
		"tmpfs":             host.Tmpfs["/tmp"] == tmpfsOptions,
		"log driver":        host.LogConfig.Type == "json-file",
		"log size":          host.LogConfig.Config["max-size"] == "2097152",
		"log files":         host.LogConfig.Config["max-file"] == "4",
		"no restarts":       host.RestartPolicy.Name == container.RestartPolicyDisabled,
		"user":              config.User == "10002:10003",
		"stop timeout":      config.StopTimeout != nil && *config.StopTimeout == 3,
		"label":             config.Labels["team"] == "weddings",
		"installation":      config.Labels[fleet.LabelInstallation] == e.installation,
		"environment":       slices.Contains(config.Env, "LOG_LEVEL=debug"),
		"own network":       got.NetworkSettings.Networks["bridge"] == nil && len(got.NetworkSettings.Networks) == 1,
	}
	for what, ok := range checks {
		if !ok {
			t.Errorf("%s: not as specified: %+v", what, host)
		}
	}
}

func TestContainerServesWithinItsLimits(t *testing.T) {
	e := newEngine(t)
	port := testenv.FreePort(t)
	id := run(t, e, demo(t, e, "staging", func(s *fleet.ContainerSpec) {
		s.Spec.Runtime.ReadOnlyRootFilesystem = true
		s.Instance.Ports = map[int]int{8080: port}
	}))
	c := awaitState(t, e, id, fleet.ContainerRunning)
	if c.IPAddress == "" || c.Ports[8080] != port || c.StartedAt.IsZero() {
		t.Errorf("inspected %+v; want an address, host port %d and a start", c, port)
	}
	for _, url := range []string{"http://" + c.IPAddress + ":8080/", "http://127.0.0.1:" + strconv.Itoa(port) + "/"} {
		var body string
		await(t, url+" answers", func() bool {
			var ok bool
			body, ok = get(url)
			return ok
		})
		for _, part := range []string{`"version":"v1"`, `"environment":"staging"`, `"instance":"` + c.InstanceID + `"`} {
			if !strings.Contains(body, part) {
				t.Errorf("%s answers %s without %s", url, body, part)
			}
		}
	}
}

func TestEnsureContainerAgainAdopts(t *testing.T) {
	e := newEngine(t)
	s := demo(t, e, "staging")
	first := ensure(t, e, s)
	if again := ensure(t, e, s); again != first {
		t.Errorf("second call made %s beside %s", again, first)
	}
	if err := e.StartContainer(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	// A daemon that started anew knows nothing of the first one's calls.
	if again := ensure(t, engineOf(t, e.installation), s); again != first {
		t.Errorf("another daemon made %s beside %s", again, first)
	}
	list, err := e.ListContainers(t.Context())
	if err != nil || len(list) != 1 {
		t.Errorf("listed %v, %v; want one container", list, err)
	}
}

func TestEnsureContainerInParallelMakesOne(t *testing.T) {
	e := newEngine(t)
	s := demo(t, e, "staging")
	ids := make([]string, 8)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			id, _, err := e.EnsureContainer(t.Context(), s)
			if err != nil {
				t.Error(err)
			}
			ids[i] = id
		})
	}
	group.Wait()
	if slices.Sort(ids); ids[0] != ids[len(ids)-1] {
		t.Errorf("made several containers: %v", ids)
	}
}

func TestEnsureContainerRefusesForeignName(t *testing.T) {
	e, other := newEngine(t), newEngine(t)
	s := demo(t, e, "staging")
	ensure(t, other, s)
	_, _, err := e.EnsureContainer(t.Context(), s)
	wantKind(t, err, fleet.ErrRefused, s.Instance.Name, "of the wedsyncd installation "+other.installation)

	s.Instance.ID = uuid.NewString()
	_, _, err = other.EnsureContainer(t.Context(), s)
	wantKind(t, err, fleet.ErrRefused, s.Instance.Name)
}

func TestEnsureContainerReplacesOneWithOtherPorts(t *testing.T) {
	e := newEngine(t)
	s := demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Instance.Ports = map[int]int{8080: testenv.FreePort(t)} })
	first := ensure(t, e, s)
	s.Instance.Ports = map[int]int{8080: testenv.FreePort(t)}
	second := ensure(t, e, s)
	if first == second {
		t.Error("kept the container whose port is taken")
	}
	if c := inspect(t, e, first); c.State != fleet.ContainerGone {
		t.Errorf("the first container is %s", c.State)
	}
	if c := inspect(t, e, second); c.Ports[8080] != s.Instance.Ports[8080] {
		t.Errorf("ports %v, want %v", c.Ports, s.Instance.Ports)
	}
}

func TestEnsureContainerRefusals(t *testing.T) {
	e := newEngine(t)
	missing := "sha256:" + strings.Repeat("0", 64)
	tests := map[string]struct {
		change func(*fleet.ContainerSpec)
		kind   error
		part   string
	}{
		"image gone":     {func(s *fleet.ContainerSpec) { s.Instance.ImageDigest = missing }, fleet.ErrImageNotFound, missing},
		"no environment": {func(s *fleet.ContainerSpec) { s.Instance.Environment = "" }, fleet.ErrRefused, "no environment"},
		"foreign network": {func(s *fleet.ContainerSpec) {
			s.Networks = []fleet.Network{newNetwork("production", fleet.NetworkExternal)}
		}, fleet.ErrRefused, "production"},
		"host path missing":  {volume("/nowhere/at/all", "/data"), fleet.ErrRefused, "/nowhere/at/all"},
		"bad volume name":    {volume("!", "/data"), fleet.ErrRefused, "volume"},
		"bad container name": {func(s *fleet.ContainerSpec) { s.Instance.Name = "!" }, fleet.ErrRefused, "name"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := e.EnsureContainer(t.Context(), demo(t, e, "staging", tt.change))
			wantKind(t, err, tt.kind, tt.part)
		})
	}
	if list, err := e.ListContainers(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("left %v, %v", list, err)
	}
}

func volume(source, target string) func(*fleet.ContainerSpec) {
	return func(s *fleet.ContainerSpec) {
		s.Spec.Volumes = []fleet.VolumeMount{{Source: source, Target: target}}
	}
}

func TestEnsureContainerMountsVolumes(t *testing.T) {
	e := newEngine(t)
	dir, name := t.TempDir(), "vol-"+uuid.NewString()
	id := ensure(t, e, demo(t, e, "staging", func(s *fleet.ContainerSpec) {
		s.Spec.Volumes = []fleet.VolumeMount{{Source: dir, Target: "/host", ReadOnly: true}, {Source: name, Target: "/data"}}
	}))
	got, err := e.client.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, m := range got.Mounts {
		found[m.Destination] = m.Destination == "/host" && m.Source == dir && !m.RW || m.Destination == "/data" && m.Name == name && m.RW
	}
	if !found["/host"] || !found["/data"] {
		t.Errorf("mounts %+v", got.Mounts)
	}
	if err := e.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := e.client.VolumeInspect(t.Context(), name); err != nil {
		t.Errorf("the named volume went with its container: %v", err)
	}
}

// An engine on a filesystem without project quotas cannot limit the writable
// layer: the container is made without, and the caller told. One that can, does.
func TestEnsureContainerStorageLimit(t *testing.T) {
	e := newEngine(t)
	id, warnings, err := e.EnsureContainer(t.Context(), demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Spec.Resources.Storage = "1Gi" }))
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.client.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	warned := slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "storage limit 1Gi is not enforced") })
	if limited := got.HostConfig.StorageOpt["size"] == "1073741824"; limited == warned {
		t.Errorf("limited %t, warned %t: %q", limited, warned, warnings)
	}
}

func TestContainerJoinsAllNetworks(t *testing.T) {
	e := newEngine(t)
	first, second := newNetwork("staging", fleet.NetworkInternal), newNetwork("staging", fleet.NetworkExternal, func(n *fleet.Network) {
		n.DNS = fleet.DNSConfig{Servers: []string{"10.9.9.9"}, Search: []string{"example.internal"}, Options: []string{"ndots:2"}}
	})
	s := demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Networks = []fleet.Network{first, second} })
	id := run(t, e, s)
	got, err := e.client.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.NetworkSettings.Networks) != 2 {
		t.Fatalf("joined %v", got.NetworkSettings.Networks)
	}
	for _, n := range s.Networks {
		joined := got.NetworkSettings.Networks[n.EngineName()]
		if joined == nil || !slices.Contains(joined.Aliases, "demo") {
			t.Errorf("on network %s: %+v; want the alias demo", n.Name, joined)
		}
	}
	if got.HostConfig.DNS[0] != "10.9.9.9" || got.HostConfig.DNSSearch[0] != "example.internal" || got.HostConfig.DNSOptions[0] != "ndots:2" {
		t.Errorf("DNS %v %v %v", got.HostConfig.DNS, got.HostConfig.DNSSearch, got.HostConfig.DNSOptions)
	}
	c := awaitState(t, e, id, fleet.ContainerRunning)
	if want := got.NetworkSettings.Networks[first.EngineName()].IPAddress; c.IPAddress != want || want == "" {
		t.Errorf("address %q; want %q, the one on the first network", c.IPAddress, want)
	}
}

// A daemon that died between creating and connecting left a container on its
// first network only.
func TestAdoptionConnectsWhatIsMissing(t *testing.T) {
	e := newEngine(t)
	first, second := newNetwork("staging", fleet.NetworkExternal), newNetwork("staging", fleet.NetworkExternal)
	s := demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Networks = []fleet.Network{first, second} })
	id := ensure(t, e, s)
	if err := e.client.NetworkDisconnect(t.Context(), second.EngineName(), id, true); err != nil {
		t.Fatal(err)
	}
	if again := ensure(t, e, s); again != id {
		t.Fatalf("made %s beside %s", again, id)
	}
	got, err := e.client.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got.NetworkSettings.Networks[second.EngineName()] == nil {
		t.Errorf("joined only %v", got.NetworkSettings.Networks)
	}
}

func TestEnvironmentsShareNoNetwork(t *testing.T) {
	e := newEngine(t)
	staging := awaitState(t, e, run(t, e, demo(t, e, "staging")), fleet.ContainerRunning)
	id := run(t, e, demo(t, e, "production"))
	awaitState(t, e, id, fleet.ContainerRunning)
	got, err := e.client.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	other, err := e.client.ContainerInspect(t.Context(), staging.ID)
	if err != nil {
		t.Fatal(err)
	}
	for name := range got.NetworkSettings.Networks {
		if other.NetworkSettings.Networks[name] != nil {
			t.Errorf("both are on network %s", name)
		}
	}
}

// The label on the engine's network counts, not what a caller believes of it.
func TestNetworkOfAnotherEnvironmentIsRefused(t *testing.T) {
	e := newEngine(t)
	n := newNetwork("production", fleet.NetworkExternal)
	if err := e.EnsureNetwork(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	n.Environment = "staging"
	_, _, err := e.EnsureContainer(t.Context(), demo(t, e, "staging", func(s *fleet.ContainerSpec) { s.Networks = []fleet.Network{n} }))
	wantKind(t, err, fleet.ErrRefused, "production")
}

func get(url string) (string, bool) {
	answer, err := http.Get(url)
	if err != nil {
		return "", false
	}
	defer answer.Body.Close()
	var b strings.Builder
	if err := answer.Write(&b); err != nil {
		return "", false
	}
	return b.String(), answer.StatusCode == http.StatusOK
}
