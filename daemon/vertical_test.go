package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// controlGroup is where the kernel keeps what it holds a container to.
type controlGroup struct{ cpu, memory string } // folders; the same one in version 2

// groupOf finds a running container's.
func groupOf(t testing.TB, containerID string) (g controlGroup) {
	t.Helper()
	pid := docker(t, "inspect", "--format", "{{.State.Pid}}", containerID)[0]
	groups, err := os.ReadFile(filepath.Join("/proc", pid, "cgroup"))
	if err != nil {
		t.Fatal(err)
	}
	const root = "/sys/fs/cgroup"
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		controllers := strings.Split(parts[1], ",")
		switch {
		case slices.Contains(controllers, "memory"):
			g.memory = filepath.Join(root, "memory", parts[2])
		case slices.Contains(controllers, "cpu"):
			g.cpu = filepath.Join(root, "cpu", parts[2])
		case parts[0] == "0" && g == (controlGroup{}):
			if dir := filepath.Join(root, parts[2]); exists(filepath.Join(dir, "memory.max")) {
				g = controlGroup{cpu: dir, memory: dir}
			}
		}
	}
	return g
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// limits are thousandths of a core, and bytes.
func (g controlGroup) limits(t testing.TB) (millicores, memory int64) {
	t.Helper()
	numbers := func(file string) (n []int64) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for word := range strings.FieldsSeq(string(b)) {
			v, err := strconv.ParseInt(word, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			n = append(n, v)
		}
		return n
	}
	if g.cpu == g.memory {
		cpu := numbers(filepath.Join(g.cpu, "cpu.max"))
		return 1000 * cpu[0] / cpu[1], numbers(filepath.Join(g.memory, "memory.max"))[0]
	}
	quota, period := numbers(filepath.Join(g.cpu, "cpu.cfs_quota_us")), numbers(filepath.Join(g.cpu, "cpu.cfs_period_us"))
	return 1000 * quota[0] / period[0], numbers(filepath.Join(g.memory, "memory.limit_in_bytes"))[0]
}

// used writes that every instance has used so much of processors and memory for two hours.
func (f *fixture) used(t testing.TB, definitionID string, cores, memory float64) {
	t.Helper()
	conn := f.connect(t)
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO container_metric_rollups_5m (instance_id, environment, bucket_at, samples, cpu_cores_avg, memory_mb_max)
			SELECT i.id, i.environment, at, 300, %g, %g FROM container_instances i,
				generate_series(date_bin('5 minutes', now(), 'epoch') - interval '2 hours', date_bin('5 minutes', now(), 'epoch') - interval '5 minutes', '5 minutes') AS at
			WHERE i.definition_id = '%s' ON CONFLICT DO NOTHING`, cores, memory, definitionID),
		`INSERT INTO metric_watermarks (resolution, rolled_up_to) VALUES ('5m', date_bin('5 minutes', now(), 'epoch'))
			ON CONFLICT (resolution) DO UPDATE SET rolled_up_to = excluded.rolled_up_to`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// resized are the decisions that changed what each replica may use, newest first.
func (f *fixture) resized(t testing.TB) []api.ScalingDecision {
	t.Helper()
	page, err := f.client.ListScalingDecisions(t.Context(), api.ListScalingDecisionsOptions{Outcome: api.OutcomeResized})
	if err != nil {
		t.Fatal(err)
	}
	return page.Decisions
}

// TestVerticalResize: running containers are given other limits in place, by a
// decision that says why; what comes later is made with them, and what the policy
// has set goes with the policy.
func TestVerticalResize(t *testing.T) {
	f := &fixture{DaemonHandle: testenv.Daemon(t, testenv.WithEnvironment("WEDSYNC_METRICS_INTERVAL=1s"))}
	f.client = f.Client(t)
	d := f.define(t, "api", "v1")
	f.deploy(t, d.ID, 2)
	before := containers(t, d.ID)
	f.used(t, d.ID, 0.1, 100)
	var policies []string
	for metric, limits := range map[string][2]string{"cpu": {"50m", "1"}, "memory": {"32Mi", "256Mi"}} {
		p, err := f.client.CreateScalingPolicy(t.Context(), api.CreateScalingPolicyRequest{
			DefinitionID: d.ID, Environment: "staging", PolicyName: metric, ScalingType: api.ScalingVertical, TriggerMetric: metric,
			MinLimit: limits[0], MaxLimit: limits[1], CooldownPeriod: new(0),
		})
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p.ID)
	}
	holds := func(millicores, memory int64) func() bool {
		return func() bool {
			for _, id := range containers(t, d.ID) {
				if m, b := groupOf(t, id).limits(t); m != millicores || b != memory {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "all containers have 120m and 115Mi: what they used and 15 % more", holds(120, 115<<20))
	for _, x := range f.resized(t) {
		if x.Reason == "" || len(x.Inputs) != 1 || x.Inputs[0].Value == nil {
			t.Errorf("decision %+v does not say why", x)
		}
	}
	after := f.deploy(t, d.ID, 3)
	if now := containers(t, d.ID); len(now) != 3 || !subset(before, now) {
		t.Errorf("containers %v, want those of before, %v, and another", now, before)
	}
	if !holds(120, 115<<20)() {
		t.Error("the new replica has other limits")
	}
	f.settled(t, d.ID, after.ID, 3)
	for _, i := range f.instances(t, d.ID) {
		if i.ResourceLimits == nil || i.ResourceLimits.Memory != "115Mi" || i.ResourceLimits.CPU != "120m" {
			t.Errorf("instance %s may use %+v by the API", i.InstanceName, i.ResourceLimits)
		}
	}
	for _, id := range policies {
		if err := f.client.DeleteScalingPolicy(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all containers have the definition's limits again", holds(500, 64<<20))
	f.settled(t, d.ID, after.ID, 3)
}
