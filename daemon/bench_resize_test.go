package daemon_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

// BenchmarkResize measures how soon a running container has its other limit after
// that was decided: from the commit of the decision until the kernel holds the
// container to it, beside the Engine's own call, in turn. The container must not
// have been started again.
func BenchmarkResize(b *testing.B) {
	f := start(b)
	d := f.define(b, "api", "v1")
	f.deploy(b, d.ID, 1)
	// It grants what is in the row, and being disabled decides nothing itself.
	_, err := f.client.CreateScalingPolicy(b.Context(), api.CreateScalingPolicyRequest{
		DefinitionID: d.ID, Environment: "staging", PolicyName: "memory", ScalingType: api.ScalingVertical, TriggerMetric: "memory",
		MinLimit: "32Mi", MaxLimit: "1Gi", IsEnabled: new(false),
	})
	if err != nil {
		b.Fatal(err)
	}
	engine, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = engine.Close() })
	conn, id := f.connect(b), containers(b, d.ID)[0]
	group := groupOf(b, id)
	notice, err := json.Marshal(map[string]string{"definition_id": d.ID, "environment": "staging"})
	if err != nil {
		b.Fatal(err)
	}
	until := func(mebibytes int64) {
		for began := time.Now(); ; {
			if _, memory := group.limits(b); memory == mebibytes<<20 {
				return
			}
			if time.Since(began) > patience {
				b.Fatalf("the container does not get %d MiB", mebibytes)
			}
		}
	}
	ours, raw := make([]time.Duration, 0, b.N), make([]time.Duration, 0, b.N)
	for n := range int64(b.N) {
		mine, theirs := 96+n%2*32, 80+n%2*32
		if _, err := conn.Exec(b.Context(), `UPDATE workloads SET resource_limits = $1`, fmt.Sprintf(`{"memory": "%dMi"}`, mine)); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		if _, err := conn.Exec(b.Context(), `SELECT pg_notify('wedsync_workloads', $1)`, string(notice)); err != nil {
			b.Fatal(err)
		}
		until(mine)
		ours = append(ours, time.Since(began))
		eventually(b, "the row says so too", func() bool {
			l := f.instances(b, d.ID)[0].ResourceLimits
			return l != nil && l.Memory == fmt.Sprintf("%dMi", mine)
		})
		began = time.Now()
		_, err := engine.ContainerUpdate(b.Context(), id, container.UpdateConfig{Resources: container.Resources{Memory: theirs << 20, MemorySwap: theirs << 20}})
		if err != nil {
			b.Fatal(err)
		}
		until(theirs)
		raw = append(raw, time.Since(began))
	}
	if i := f.instances(b, d.ID)[0]; i.RestartCount != 0 || i.ContainerID != id {
		b.Errorf("the container was started again %d times, and is %s", i.RestartCount, i.ContainerID)
	}
	slices.Sort(ours)
	slices.Sort(raw)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(ours[len(ours)/2]), "ms/p50")
	b.ReportMetric(ms(ours[len(ours)-1]), "ms/worst")
	b.ReportMetric(ms(raw[len(raw)/2]), "raw-ms/p50")
	b.ReportMetric(ms(raw[len(raw)-1]), "raw-ms/worst")
	version := 1
	if group.cpu == group.memory {
		version = 2
	}
	b.ReportMetric(float64(version), "cgroup-version")
}
