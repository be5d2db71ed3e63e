package docker

import (
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// awaitStats waits until the container is measured and the measurement satisfies.
func awaitStats(t *testing.T, e *Engine, id, what string, satisfies func(fleet.ContainerStats) bool) (s fleet.ContainerStats) {
	t.Helper()
	await(t, what, func() bool {
		s = e.Stats(t.Context(), []string{id})[0]
		return s.Known && satisfies(s)
	})
	return s
}

func anything(fleet.ContainerStats) bool { return true }

// TestStats measures a container from its files and through the engine; both tell the same.
func TestStats(t *testing.T) {
	e := newEngine(t)
	id := run(t, e, demo(t, e, "staging"))
	s := awaitStats(t, e, id, "it is measured", func(s fleet.ContainerStats) bool { return s.NetworkRx > 0 })
	if _, ok := e.stats.held[id].(*cgroupMeter); !ok {
		t.Errorf("it is measured by a %T, not from its files", e.stats.held[id])
	}
	if s.CPU <= 0 || s.MemoryBytes < 100<<10 || s.MemoryBytes > 64<<20 || !s.HasNetwork || s.Run == "" || s.Started.IsZero() || time.Since(s.At) > patience {
		t.Errorf("measured %+v", s)
	}

	m, err := e.openStream(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	var told fleet.ContainerStats
	await(t, "the engine tells", func() bool {
		told, _ = m.read(nil)
		return told.Known
	})
	s = e.Stats(t.Context(), []string{id})[0]
	if told.CPU > s.CPU || s.CPU-told.CPU > time.Second || math.Abs(float64(told.MemoryBytes-s.MemoryBytes)) > 4<<20 || told.NetworkRx > s.NetworkRx+1<<12 || told.NetworkRx == 0 {
		t.Errorf("the engine tells %+v, its files %+v", told, s)
	}
}

// TestStatsOfRestartedContainer: another run is another run, under the same identifier.
func TestStatsOfRestartedContainer(t *testing.T) {
	e := newEngine(t)
	id := run(t, e, demo(t, e, "staging"))
	first := awaitStats(t, e, id, "it is measured", anything)
	if err := e.StopContainer(t.Context(), id, 0, true); err != nil {
		t.Fatal(err)
	}
	awaitState(t, e, id, fleet.ContainerExited)
	if s := e.Stats(t.Context(), []string{id})[0]; s.Known {
		t.Errorf("measured %+v of a container that has ended", s)
	}
	if err := e.StartContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	second := awaitStats(t, e, id, "it is measured again", anything)
	if second.Run == first.Run || !second.Started.After(first.Started) {
		t.Errorf("the first run is %+v, the second %+v", first, second)
	}
}

// TestStatsLetGo: what is not asked for is not held.
func TestStatsLetGo(t *testing.T) {
	e := newEngine(t)
	one, two := run(t, e, demo(t, e, "staging")), run(t, e, demo(t, e, "staging"))
	await(t, "both are held", func() bool {
		s := e.Stats(t.Context(), []string{one, "no-such-container", two})
		return s[0].Known && !s[1].Known && s[2].Known
	})
	network := e.stats.held[one].(*cgroupMeter).network
	e.Stats(t.Context(), []string{two})
	if len(e.stats.held) != 1 || network.Close() == nil {
		t.Errorf("%d are held, or files are open", len(e.stats.held))
	}
	e.Stats(t.Context(), nil)
	if len(e.stats.held) != 0 {
		t.Errorf("%d are held, none was asked for", len(e.stats.held))
	}
}

func TestDiskUsageAndMachine(t *testing.T) {
	e := newEngine(t)
	one, two := run(t, e, demo(t, e, "staging")), run(t, e, demo(t, e, "staging"))
	for name, c := range map[string]struct{ asked, want []string }{
		"all": {nil, []string{one, two}}, "one": {[]string{one, "no-such-container"}, []string{one}}, "none": {[]string{}, nil},
	} {
		sizes, err := e.DiskUsage(t.Context(), c.asked)
		slices.Sort(c.want)
		if got := slices.Sorted(maps.Keys(sizes)); err != nil || !slices.Equal(got, c.want) || sizes[one] < 0 {
			t.Errorf("%s: sizes %v, %v; want those of %v", name, sizes, err, c.want)
		}
	}
	m, err := e.Machine(t.Context())
	if err != nil || m.Processors < 1 || m.MemoryBytes < 1<<20 {
		t.Errorf("machine %+v, %v", m, err)
	}
}

// TestStatsThroughEngine measures where the files are out of reach: the engine's
// processes are not found on this machine.
func TestStatsThroughEngine(t *testing.T) {
	e := newEngine(t)
	e.stats.located = true // and there are none
	id := run(t, e, demo(t, e, "staging"))
	s := awaitStats(t, e, id, "the engine tells", anything)
	if _, ok := e.stats.held[id].(*streamMeter); !ok || s.CPU <= 0 || s.MemoryBytes <= 0 {
		t.Errorf("measured %+v by a %T", s, e.stats.held[id])
	}
	if err := e.StopContainer(t.Context(), id, 0, true); err != nil {
		t.Fatal(err)
	}
	await(t, "it is not measured any more", func() bool { return !e.Stats(t.Context(), []string{id})[0].Known })
}

// TestSilentStream: an engine that says nothing is not waited for.
func TestSilentStream(t *testing.T) {
	m := &streamMeter{opened: time.Now().Add(-2 * staleAfter)}
	if s, over := m.read(nil); s.Known || !over {
		t.Errorf("read %+v, %v", s, over)
	}
	m = &streamMeter{opened: time.Now()}
	if s, over := m.read(nil); s.Known || over {
		t.Errorf("read %+v, %v, of one that has just begun", s, over)
	}
}

// TestSlowEngine: a reading does not wait for an engine that is busy.
func TestSlowEngine(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	e := engineAt(t, strings.Replace(server.URL, "http", "tcp", 1), testenv.Installation(t))
	if s := e.Stats(t.Context(), []string{"a", "b"}); len(s) != 2 || s[0].Known || s[1].Known {
		t.Errorf("measured %+v", s)
	}
}

// TestCgroupFiles reads both versions as kernels write them.
func TestCgroupFiles(t *testing.T) {
	const id = "0123456789abcdef"
	found := container.InspectResponse{ContainerJSONBase: &container.ContainerJSONBase{
		ID: id, State: &container.State{Running: true, Pid: 7, StartedAt: "2026-06-06T08:30:00.123456789Z"}, HostConfig: &container.HostConfig{},
	}}
	const network = "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" +
		"    lo:     999      9    0    0    0     0          0         0      999       9    0    0    0     0       0          0\n" +
		"  eth0:    1500     12    0    0    0     0          0         0      700       8    0    0    0     0       0          0\n" +
		"  eth1:123      1    0    0    0     0          0         0      45       1    0    0    0     0       0          0\n"
	v1 := map[string]string{
		"proc/self/mountinfo":                               "30 24 0:26 / ROOT/cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n31 24 0:27 / ROOT/cg/memory rw shared:9 - cgroup cgroup rw,memory\n",
		"proc/7/cgroup":                                     "4:memory:/docker/" + id + "\n3:cpu,cpuacct:/docker/" + id + "\n0::/docker/" + id + "\n",
		"proc/7/net/dev":                                    network,
		"cg/cpu/docker/" + id + "/cpuacct.usage":            "1234567890\n",
		"cg/memory/docker/" + id + "/memory.usage_in_bytes": "10485760\n",
		"cg/memory/docker/" + id + "/memory.stat":           "cache 5\ninactive_file 7\ntotal_cache 5\ntotal_inactive_file 1048576\n",
	}
	v2 := map[string]string{
		"proc/self/mountinfo": "30 24 0:26 / ROOT/cg rw - cgroup2 cgroup2 rw\n",
		"proc/7/cgroup":       "0::/system.slice/docker-" + id + ".scope\n",
		"proc/7/net/dev":      network,
		"cg/system.slice/docker-" + id + ".scope/cpu.stat":       "usage_usec 1234567\nuser_usec 1\n",
		"cg/system.slice/docker-" + id + ".scope/memory.current": "10485760\n",
		"cg/system.slice/docker-" + id + ".scope/memory.stat":    "anon 5\ninactive_anon 9\ninactive_file 1048576\n",
	}
	for name, files := range map[string]map[string]string{"v1": v1, "v2": v2} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, content := range files {
				writeFile(t, filepath.Join(root, path), strings.ReplaceAll(content, "ROOT", root))
			}
			c, err := newCgroups(filepath.Join(root, "proc"))
			if err != nil {
				t.Fatal(err)
			}
			m, err := c.open(found)
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			s, over := m.read(make([]byte, 4096))
			if over || s.CPU.Truncate(time.Microsecond) != 1234567*time.Microsecond || s.MemoryBytes != 9<<20 || s.NetworkRx != 1623 || s.NetworkTx != 745 {
				t.Errorf("measured %+v, %v", s, over)
			}
			other := found
			other.ContainerJSONBase = &container.ContainerJSONBase{ID: "another", State: found.State, HostConfig: found.HostConfig}
			if _, err := c.open(other); err == nil {
				t.Error("took a process for that of another container")
			}
		})
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkStats reads one idle container.
func BenchmarkStats(b *testing.B) {
	e, err := New(Config{Host: testenv.Docker(b), Installation: testenv.Installation(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	digest, err := e.ResolveImage(b.Context(), testenv.DemoImage(b, "v1"), fleet.PullIfNotPresent, nil)
	if err != nil {
		b.Fatal(err)
	}
	spec := newSpec(b, "staging")
	spec.Instance.ImageDigest = digest
	id, _, err := e.EnsureContainer(b.Context(), spec)
	if err != nil {
		b.Fatal(err)
	}
	if err := e.StartContainer(b.Context(), id); err != nil {
		b.Fatal(err)
	}
	ids := []string{id}
	for !e.Stats(b.Context(), ids)[0].Known {
	}
	for b.Loop() {
		e.Stats(b.Context(), ids)
	}
}
