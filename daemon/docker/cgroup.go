package docker

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// refreshCache is how often the part of a container's memory is read anew that the
	// kernel could take back although the memory in use has not changed, and
	// refreshIdle how often memory and network counters are although the container has
	// not had the processor.
	refreshCache, refreshIdle = 30 * time.Second, 5 * time.Second

	procDir = "/proc"
)

// cgroups knows where this machine keeps control groups.
type cgroups struct {
	proc string
	// unified is where version 2 is mounted; controllers where those of version 1 are.
	unified     cgroupMount
	controllers map[string]cgroupMount
}

// cgroupMount shows the groups below root at dir.
type cgroupMount struct{ dir, root string }

// locate finds the machine's control groups, if the engine's containers can be
// expected on this machine.
func (e *Engine) locate() *cgroups {
	if !strings.HasPrefix(e.Host(), "unix://") {
		return nil
	}
	c, err := newCgroups(procDir)
	if err != nil {
		e.log.Info("control groups cannot be read; containers are measured through the engine", "reason", err)
		return nil
	}
	return c
}

// newCgroups reads the mounts of this process.
func newCgroups(proc string) (*cgroups, error) {
	mounts, err := os.ReadFile(filepath.Join(proc, "self", "mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	c := &cgroups{proc: proc, controllers: make(map[string]cgroupMount)}
	for line := range strings.Lines(string(mounts)) {
		// ID PARENT DEVICE ROOT MOUNTPOINT OPTIONS [TAGS…] - TYPE SOURCE SUPEROPTIONS
		fields := strings.Fields(line)
		dash := slices.Index(fields, "-")
		if dash < 6 || dash+3 >= len(fields) {
			continue
		}
		m := cgroupMount{dir: fields[4], root: fields[3]}
		switch fields[dash+1] {
		case "cgroup2":
			c.unified = m
		case "cgroup":
			for option := range strings.SplitSeq(fields[dash+3], ",") {
				c.controllers[option] = m
			}
		}
	}
	if c.unified.dir == "" && len(c.controllers) == 0 {
		return nil, errors.New("find control groups: none are mounted")
	}
	return c, nil
}

// open opens the files of a container that runs. It fails when its process is not
// one of this machine's: then the engine is elsewhere.
func (c *cgroups) open(found container.InspectResponse) (_ *cgroupMeter, err error) {
	process := filepath.Join(c.proc, strconv.Itoa(found.State.Pid))
	groups, err := os.ReadFile(filepath.Join(process, "cgroup"))
	if err != nil {
		return nil, fmt.Errorf("find the container's control group: %w", err)
	}
	if !bytes.Contains(groups, []byte(found.ID)) {
		return nil, fmt.Errorf("process %d of this machine is not the container's", found.State.Pid)
	}
	m := &cgroupMeter{run: found.State.StartedAt}
	m.started, _ = time.Parse(time.RFC3339Nano, found.State.StartedAt)
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	cpu, memory, v2 := c.directories(string(groups))
	names := [3]string{"cpuacct.usage", "memory.usage_in_bytes", "total_inactive_file "}
	if v2 {
		names = [3]string{"cpu.stat", "memory.current", "inactive_file "}
	}
	m.inactive = []byte(names[2])
	if m.cpu, err = os.Open(filepath.Join(cpu, names[0])); err != nil {
		return nil, fmt.Errorf("open processor time: %w", err)
	}
	if m.memory, err = os.Open(filepath.Join(memory, names[1])); err != nil {
		return nil, fmt.Errorf("open memory: %w", err)
	}
	if m.memoryStat, err = os.Open(filepath.Join(memory, "memory.stat")); err != nil {
		return nil, fmt.Errorf("open memory: %w", err)
	}
	if found.HostConfig != nil && (found.HostConfig.NetworkMode.IsHost() || found.HostConfig.NetworkMode.IsNone()) {
		return m, nil
	}
	if m.network, err = os.Open(filepath.Join(process, "net", "dev")); err != nil {
		return nil, fmt.Errorf("open network counters: %w", err)
	}
	return m, nil
}

// directories are those of a process's groups for processor time and memory, and
// whether they are of version 2.
func (c *cgroups) directories(groups string) (cpu, memory string, v2 bool) {
	for line := range strings.Lines(groups) {
		// ID:CONTROLLERS:PATH
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		if parts[1] == "" && cpu == "" && memory == "" {
			if c.unified.dir != "" {
				v2 = true
			}
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			switch m, ok := c.controllers[controller]; {
			case ok && controller == "cpuacct":
				cpu = m.path(parts[2])
			case ok && controller == "memory":
				memory = m.path(parts[2])
			}
		}
	}
	if cpu != "" && memory != "" {
		return cpu, memory, false
	}
	_, group, _ := strings.Cut("\n"+groups, "\n0::")
	group, _, _ = strings.Cut(group, "\n")
	return c.unified.path(group), c.unified.path(group), v2
}

// path is where a group is shown.
func (m cgroupMount) path(group string) string {
	if m.root != "/" {
		group = strings.TrimPrefix(group, m.root)
	}
	return path.Join(m.dir, group)
}

// cgroupMeter reads the files of one run of a container. They are held open: reading
// them again costs one system call each. Once the container has ended they can't be
// read any more.
type cgroupMeter struct {
	run                     string
	started                 time.Time
	cpu, memory, memoryStat *os.File
	network                 *os.File // nil without a network of its own
	inactive                []byte   // what the line begins with that tells of reclaimable memory

	last fleet.ContainerStats
	// used is the memory in use when cached, what the kernel could take back of it,
	// was read.
	used, cached     int64
	cachedAt, fullAt time.Time // fullAt is when all was read
}

func (m *cgroupMeter) close() {
	for _, f := range []*os.File{m.cpu, m.memory, m.memoryStat, m.network} {
		if f != nil {
			_ = f.Close() // read only
		}
	}
}

func (m *cgroupMeter) read(buf []byte) (fleet.ContainerStats, bool) {
	now := time.Now()
	s := fleet.ContainerStats{At: now, Run: m.run, Started: m.started, HasNetwork: m.network != nil, NetworkRx: m.last.NetworkRx, NetworkTx: m.last.NetworkTx}
	cpu, err := m.readCPU(buf)
	if err != nil {
		return fleet.ContainerStats{}, true
	}
	s.CPU = cpu
	s.Known, s.MemoryBytes = true, m.last.MemoryBytes
	if s.CPU != m.last.CPU || now.Sub(m.fullAt) >= refreshIdle {
		if err := m.readRest(buf, &s); err != nil {
			return fleet.ContainerStats{}, true
		}
		m.fullAt = now
	}
	m.last = s
	return s, false
}

// readRest reads what can hardly have changed while the processor time has not.
func (m *cgroupMeter) readRest(buf []byte, s *fleet.ContainerStats) error {
	if err := m.readMemory(buf, s); err != nil || m.network == nil {
		return err
	}
	text, err := readAll(m.network, buf)
	if err == nil {
		s.NetworkRx, s.NetworkTx = parseNetwork(text)
	}
	return err
}

func (m *cgroupMeter) readCPU(buf []byte) (time.Duration, error) {
	text, err := readAll(m.cpu, buf)
	if err != nil {
		return 0, err
	}
	if rest, ok := bytes.CutPrefix(text, []byte("usage_usec ")); ok {
		return time.Duration(number(rest)) * time.Microsecond, nil
	}
	return time.Duration(number(text)), nil
}

func (m *cgroupMeter) readMemory(buf []byte, s *fleet.ContainerStats) error {
	text, err := readAll(m.memory, buf)
	if err != nil {
		return err
	}
	used := number(text)
	if used != m.used || s.At.Sub(m.cachedAt) >= refreshCache {
		if text, err = readAll(m.memoryStat, buf); err != nil {
			return err
		}
		m.used, m.cached, m.cachedAt = used, valueOf(text, m.inactive), s.At
	}
	s.MemoryBytes = max(0, used-m.cached)
	return nil
}

// readAll reads a file of the kernel's from its beginning, as far as buf goes.
func readAll(f *os.File, buf []byte) ([]byte, error) {
	n, err := f.ReadAt(buf, 0)
	if n > 0 {
		return buf[:n], nil
	}
	if err == nil {
		err = errors.New("read nothing")
	}
	return nil, err
}

// number is the decimal number that text begins with, after blanks.
func number(text []byte) (n int64) {
	text = bytes.TrimLeft(text, " \t")
	for _, c := range text {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// valueOf is the number on the line that begins with name; zero without one.
func valueOf(text, name []byte) int64 {
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		if value, ok := bytes.CutPrefix(line, name); ok {
			return number(value)
		}
		text = rest
	}
	return 0
}

// parseNetwork adds up what all interfaces but the loopback received and sent.
func parseNetwork(text []byte) (rx, tx int64) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, counters, ok := bytes.Cut(lines.Bytes(), []byte{':'})
		if !ok || string(bytes.TrimSpace(name)) == "lo" {
			continue
		}
		// Eight counters received, the bytes first, and then those sent.
		rx += number(counters)
		for range 8 {
			counters = bytes.TrimLeft(counters, " ")
			k := bytes.IndexByte(counters, ' ')
			if k < 0 {
				break
			}
			counters = counters[k:]
		}
		tx += number(counters)
	}
	return rx, tx
}
