package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

// raw is plain calls to the engine, as fast as they can be made.
type raw struct {
	*observer
	config *container.Config
	host   *container.HostConfig
	bridge string
	images map[string]string // id by version
	width  int               // how many calls at the same time are fastest

	mu  sync.Mutex
	ids []string // of its containers
}

// newRaw takes over the configuration of a container that wedsyncd has made.
func newRaw(b *testing.B, o *observer, like container.InspectResponse) *raw {
	b.Helper()
	r := &raw{observer: o, config: like.Config, host: like.HostConfig, bridge: benchName, images: make(map[string]string)}
	for _, v := range []string{"v1", "v2"} {
		found, err := o.client.ImageInspect(b.Context(), testenv.DemoImage(b, v))
		if err != nil {
			b.Fatal(err)
		}
		r.images[v] = found.ID
	}
	r.config.Hostname = ""
	r.config.Labels = map[string]string{benchName: "raw"}
	// A bridge of its own, as the daemon's environments have: the engine's default
	// one does without name resolution and is cheaper to join.
	if _, err := o.client.NetworkCreate(b.Context(), r.bridge, network.CreateOptions{Driver: "bridge"}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { o.removeNetwork(b, r.bridge) })
	r.host.NetworkMode = container.NetworkMode(r.bridge)
	return r
}

func (*raw) name() string  { return "raw" }
func (*raw) label() string { return benchName + "=raw" }

// findWidth tries several numbers of calls at once, the likeliest last.
func (r *raw) findWidth(b *testing.B, replicas int) {
	b.Helper()
	best := time.Duration(0)
	for _, w := range []int{1, 2, runtime.NumCPU() * 2, 8, 16} {
		before := r.width
		r.width = w
		took := r.timed(b, r, replicas, func() { r.start(b, replicas) })
		r.remove(b)
		if best != 0 && took >= best {
			r.width = before
			continue
		}
		best = took
	}
	b.Logf("raw: %d calls at the same time are fastest", r.width)
}

// run creates and starts a container.
func (r *raw) run(ctx context.Context, version string) error {
	config := *r.config
	config.Image = r.images[version]
	c, err := r.client.ContainerCreate(ctx, &config, r.host, nil, nil, benchName+"-"+uuid.NewString())
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.ids = append(r.ids, c.ID)
	r.mu.Unlock()
	return r.client.ContainerStart(ctx, c.ID, container.StartOptions{})
}

func (r *raw) start(b *testing.B, replicas int) {
	b.Helper()
	each(b, replicas, r.width, func(ctx context.Context, _ int) error { return r.run(ctx, "v1") })
}

func (r *raw) update(b *testing.B, replicas int) {
	b.Helper()
	old := r.ids
	r.ids = nil
	each(b, replicas, benchSurge, func(ctx context.Context, k int) error {
		if err := r.run(ctx, "v2"); err != nil {
			return err
		}
		if err := r.client.ContainerStop(ctx, old[k], container.StopOptions{}); err != nil {
			return err
		}
		return r.client.ContainerRemove(ctx, old[k], container.RemoveOptions{RemoveVolumes: true})
	})
}

func (r *raw) remove(b *testing.B) {
	b.Helper()
	each(b, len(r.ids), 8, func(ctx context.Context, k int) error {
		return r.client.ContainerRemove(ctx, r.ids[k], container.RemoveOptions{Force: true, RemoveVolumes: true})
	})
	r.ids = nil
}

// each calls do for 0 to n-1, width at a time.
func each(b *testing.B, n, width int, do func(ctx context.Context, k int) error) {
	b.Helper()
	var group sync.WaitGroup
	slots, errs := make(chan struct{}, width), make([]error, n)
	for k := range n {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			errs[k] = do(b.Context(), k)
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		b.Fatal(fmt.Errorf("call the engine: %w", err))
	}
}
