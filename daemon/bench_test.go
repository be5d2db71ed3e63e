package daemon_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	engine "github.com/docker/docker/client"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// BenchmarkStartReplicas starts demo replicas through the API, from the deploy
// request to a deployment that has completed, beside the same number of plain
// create and start calls to the engine at the best of several parallelisms. The
// two take turns in one run; the ratio of their fastest rounds is reported. The
// daemon works on its own Postgres, which is durable.
func BenchmarkStartReplicas(b *testing.B) {
	for _, n := range []int{20, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkStart(b, n) })
	}
}

func benchmarkStart(b *testing.B, n int) {
	f := &fixture{DaemonHandle: testenv.StandaloneDaemon(b)}
	f.client = f.Client(b)
	d := f.define(b, "bench", "v1", func(r *api.CreateDefinitionRequest) {
		r.HealthCheckConfig = nil // plain calls wait for none either
		r.ScalingConfig.MaxReplicas = n
		r.RuntimeConfig.StopTimeout = 1
	})
	raw := newRawEngine(b, f, d)
	width := raw.bestParallelism(b, n)
	var ours, plain []time.Duration
	for b.Loop() {
		ours = append(ours, f.timedDeploy(b, d.ID, n))
		plain = append(plain, raw.timedStart(b, n, width))
	}
	b.ReportMetric(0, "ns/op") // a loop holds both, so its time says nothing
	b.ReportMetric(fastest(ours).Seconds(), "wedsync-s")
	b.ReportMetric(fastest(plain).Seconds(), "raw-s")
	b.ReportMetric(fastest(ours).Seconds()/fastest(plain).Seconds(), "ratio")
	b.ReportMetric(float64(width), "raw-parallelism")
}

func fastest(d []time.Duration) time.Duration {
	least := d[0]
	for _, x := range d {
		least = min(least, x)
	}
	return least
}

// timedDeploy deploys and removes; only the deploy is timed.
func (f *fixture) timedDeploy(b *testing.B, definitionID string, n int) time.Duration {
	b.Helper()
	began := time.Now()
	f.deploy(b, definitionID, n)
	took := time.Since(began)
	accepted, err := f.client.RemoveDeployment(b.Context(), definitionID, "staging")
	if err != nil {
		b.Fatal(err)
	}
	f.completed(b, accepted.DeploymentID)
	return took
}

// rawEngine makes plain calls for containers like those of the daemon.
type rawEngine struct {
	client *engine.Client
	config *container.Config
	host   *container.HostConfig
}

// newRawEngine copies the container configuration from one that the daemon has made.
func newRawEngine(b *testing.B, f *fixture, d api.Definition) *rawEngine {
	b.Helper()
	c, err := engine.NewClientWithOpts(engine.FromEnv, engine.WithAPIVersionNegotiation())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	f.deploy(b, d.ID, 1)
	like, err := c.ContainerInspect(b.Context(), f.instances(b, d.ID)[0].ContainerID)
	if err != nil {
		b.Fatal(err)
	}
	accepted, err := f.client.RemoveDeployment(b.Context(), d.ID, "staging")
	if err != nil {
		b.Fatal(err)
	}
	f.completed(b, accepted.DeploymentID)
	r := &rawEngine{client: c, config: like.Config, host: like.HostConfig}
	r.config.Hostname = ""
	r.config.Labels = map[string]string{"wedsync-bench": "raw"}
	// A bridge of its own, as the daemon's environments have: the engine's default
	// one does without name resolution and is cheaper to join.
	const bridge = "wedsync-bench"
	if _, err := c.NetworkCreate(b.Context(), bridge, network.CreateOptions{Driver: "bridge"}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.NetworkRemove(context.Background(), bridge) })
	r.host.NetworkMode = bridge
	return r
}

// bestParallelism tries several numbers of calls at once, most promising last.
func (r *rawEngine) bestParallelism(b *testing.B, n int) int {
	b.Helper()
	best, width := time.Duration(0), 0
	for _, w := range []int{1, 2, runtime.NumCPU() * 2, 8, 16} {
		if took := r.timedStart(b, min(n, 20), w); width == 0 || took < best {
			best, width = took, w
		}
	}
	return width
}

// timedStart creates and starts n containers, width at a time, and removes them; only the start is timed.
func (r *rawEngine) timedStart(b *testing.B, n, width int) time.Duration {
	b.Helper()
	ids := make([]string, n)
	began := time.Now()
	each(b, n, width, func(ctx context.Context, k int) error {
		c, err := r.client.ContainerCreate(ctx, r.config, r.host, nil, nil, fmt.Sprintf("wedsync-bench-%d-%d", time.Now().UnixNano(), k))
		if err != nil {
			return err
		}
		ids[k] = c.ID
		return r.client.ContainerStart(ctx, c.ID, container.StartOptions{})
	})
	took := time.Since(began)
	each(b, n, 8, func(ctx context.Context, k int) error {
		return r.client.ContainerRemove(ctx, ids[k], container.RemoveOptions{Force: true, RemoveVolumes: true})
	})
	return took
}

// each calls do for 0 to n-1, width at a time.
func each(b *testing.B, n, width int, do func(ctx context.Context, k int) error) {
	b.Helper()
	var group sync.WaitGroup
	slots, errs := make(chan struct{}, width), make(chan error, n)
	for k := range n {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			errs <- do(b.Context(), k)
		})
	}
	group.Wait()
	close(errs)
	var failed []string
	for err := range errs {
		if err != nil {
			failed = append(failed, err.Error())
		}
	}
	if len(failed) > 0 {
		b.Fatalf("%d of %d calls failed: %s", len(failed), n, strings.Join(failed[:1], ""))
	}
}
