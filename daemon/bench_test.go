package daemon_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	engine "github.com/docker/docker/client"
	"github.com/google/uuid"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/internal/testenv"
)

const (
	// benchRounds is how often everybody takes a turn; the fastest counts.
	benchRounds = 3
	// benchSurge is how many replicas a rolling update exchanges at the same time.
	benchSurge = 5
)

// benchName is in the names of all that the contestants make, so that what a run
// that was killed has left stands in nobody's way.
var benchName = "wedsync-bench-" + uuid.NewString()[:8]

// contestant runs replicas of the demo application on the engine. All get the
// same limits, log settings and stop timeout, and a bridge network; none has a
// health check or publishes a port, and the demo application ends at once when it
// is told to stop.
type contestant interface {
	// name is a unit of a benchmark's metric.
	name() string
	// label is that of its containers, by which the observer knows them.
	label() string
	// start asks for replicas of version v1. It may return before they run.
	start(b *testing.B, replicas int)
	// update asks for version v2 in their place, benchSurge replicas at a time as far
	// as that can be set. It may return before that is done.
	update(b *testing.B, replicas int)
	// remove ends them and returns when they are gone.
	remove(b *testing.B)
}

// BenchmarkStartReplicas is the time from the request until the engine has told
// that all replicas run.
//
//   - wedsync: the deploy request, to a daemon on its own Postgres, which is durable.
//   - raw: create and start calls to the engine, at the best of several parallelisms.
//   - compose: docker-compose up --scale, with the start of that program.
//   - swarm: a service in the mode dnsrr on a bridge of scope swarm. Its image is
//     named by its id, so that no node asks a registry for it.
//
// They take turns in one run. Reported are the fastest round of each, in seconds,
// and its ratio to that of raw.
func BenchmarkStartReplicas(b *testing.B) {
	b.Run("20", func(b *testing.B) { benchmarkStart(b, 20, true) })
	b.Run("100", func(b *testing.B) { benchmarkStart(b, 100, false) })
}

func benchmarkStart(b *testing.B, replicas int, peers bool) {
	o := newObserver(b)
	race(b, contestants(b, o, replicas, peers), func(b *testing.B, c contestant) time.Duration {
		took := o.timed(b, c, replicas, func() { c.start(b, replicas) })
		c.remove(b)
		return took
	})
}

// BenchmarkRollingUpdate is the time from the request until the engine has told
// that ten replicas of another version run and none of the old one does.
//
//   - wedsync: change of the definition and rolling update, max_surge 5,
//     max_unavailable 0, min_healthy_time 0, drain_time 0.
//   - raw: five at a time create and start a new container, then stop and remove an old one.
//   - compose: docker-compose up with the other image. It cannot roll: it stops
//     all old containers at the same time, so that for a while nothing serves.
//   - swarm: update parallelism 5, delay 0, order start-first, and the shortest
//     time of monitoring that it takes, a nanosecond.
func BenchmarkRollingUpdate(b *testing.B) {
	const replicas = 10
	o := newObserver(b)
	race(b, contestants(b, o, replicas, true), func(b *testing.B, c contestant) time.Duration {
		o.timed(b, c, replicas, func() { c.start(b, replicas) })
		took := o.timed(b, c, replicas, func() { c.update(b, replicas) })
		c.remove(b)
		return took
	})
}

// contestants are wedsync and raw, and with peers all others.
func contestants(b *testing.B, o *observer, replicas int, peers bool) []contestant {
	b.Helper()
	ours := newOurs(b, replicas)
	like := ours.example(b, o)
	raw := newRaw(b, o, like)
	list := []contestant{ours, raw}
	if peers {
		list = append(list, newCompose(b, raw), newSwarm(b, raw))
	}
	raw.findWidth(b, min(replicas, 20))
	return list
}

// race has the contestants take turns.
func race(b *testing.B, list []contestant, turn func(*testing.B, contestant) time.Duration) {
	b.Helper()
	times := make(map[string][]time.Duration)
	for b.Loop() {
		for range benchRounds {
			for _, c := range list {
				times[c.name()] = append(times[c.name()], turn(b, c))
			}
		}
	}
	b.ReportMetric(0, "ns/op") // a loop holds them all, so its time says nothing
	raw := slices.Min(times["raw"]).Seconds()
	for _, c := range list {
		fastest := slices.Min(times[c.name()]).Seconds()
		b.ReportMetric(fastest, c.name()+"-s")
		if c.name() != "raw" {
			b.ReportMetric(fastest/raw, c.name()+"/raw")
		}
		b.Logf("%s: %v", c.name(), times[c.name()])
	}
}

// observer hears from the engine what becomes of containers.
type observer struct{ client *engine.Client }

func newObserver(b *testing.B) *observer {
	b.Helper()
	testenv.Docker(b)
	c, err := engine.NewClientWithOpts(engine.FromEnv, engine.WithAPIVersionNegotiation())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return &observer{client: c}
}

// running are the containers with a label that run.
func (o *observer) running(b *testing.B, label string) map[string]bool {
	b.Helper()
	list, err := o.client.ContainerList(b.Context(), container.ListOptions{Filters: filters.NewArgs(filters.Arg("label", label))})
	if err != nil {
		b.Fatal(err)
	}
	ids := make(map[string]bool, len(list))
	for _, c := range list {
		ids[c.ID] = true
	}
	return ids
}

// timed does something, and returns how long it took from then until the engine
// told that this number of containers run that did not run before, and none that did.
func (o *observer) timed(b *testing.B, c contestant, replicas int, do func()) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	messages, errs := o.client.Events(ctx, events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("type", string(events.ContainerEventType)), filters.Arg("label", c.label()),
		filters.Arg("event", string(events.ActionStart)), filters.Arg("event", string(events.ActionDie)))})
	old, fresh := o.running(b, c.label()), make(map[string]bool)
	began := time.Now()
	do()
	for {
		select {
		case m := <-messages:
			switch {
			case m.Action == events.ActionStart && !old[m.Actor.ID]:
				fresh[m.Actor.ID] = true
			case m.Action == events.ActionDie:
				delete(old, m.Actor.ID)
				delete(fresh, m.Actor.ID)
			}
			if len(old) == 0 && len(fresh) == replicas {
				return time.Unix(0, m.TimeNano).Sub(began)
			}
		case err := <-errs:
			b.Fatalf("%s: %d old and %d new containers run, want 0 and %d: %v", c.name(), len(old), len(fresh), replicas, err)
		}
	}
}

// awaitGone waits until no container with a label is left, running or not.
func (o *observer) awaitGone(b *testing.B, label string) {
	b.Helper()
	eventually(b, "no container with the label "+label+" is left", func() bool {
		list, err := o.client.ContainerList(b.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", label))})
		return err == nil && len(list) == 0
	})
}

// removeNetwork removes a network, with the endpoints that the engine has
// forgotten there when it removed their containers.
func (o *observer) removeNetwork(b *testing.B, name string) {
	b.Helper()
	ctx := context.WithoutCancel(b.Context())
	var refused error
	defer func() {
		if refused != nil {
			b.Logf("the engine does not remove the network %s: %v", name, refused)
		}
	}()
	eventually(b, "the network "+name+" is removed", func() bool {
		found, err := o.client.NetworkInspect(ctx, name, network.InspectOptions{})
		if err != nil {
			return cerrdefs.IsNotFound(err)
		}
		for id := range found.Containers {
			b.Logf("the network %s still has the container %s", name, id)
			_ = o.client.NetworkDisconnect(ctx, found.ID, id, true)
		}
		refused = o.client.NetworkRemove(ctx, found.ID)
		return refused == nil
	})
}

// ours is wedsyncd.
type ours struct {
	*fixture
	definition api.Definition
	tags       map[string]string // by version
	deployment string            // the last one
}

func newOurs(b *testing.B, replicas int) *ours {
	b.Helper()
	f := &fixture{DaemonHandle: testenv.StandaloneDaemon(b)}
	f.client = f.Client(b)
	d := f.define(b, "bench", "v1", func(r *api.CreateDefinitionRequest) {
		r.HealthCheckConfig = nil
		r.ScalingConfig.MaxReplicas = replicas
		r.RuntimeConfig.StopTimeout = 1
	})
	_, next, _ := strings.Cut(testenv.DemoImage(b, "v2"), ":")
	return &ours{fixture: f, definition: d, tags: map[string]string{"v1": d.ImageTag, "v2": next}}
}

func (*ours) name() string    { return "wedsync" }
func (o *ours) label() string { return "wedsync.definition=" + o.definition.ID }

func (o *ours) ask(b *testing.B, version string, replicas int) {
	b.Helper()
	o.fixture.update(b, o.definition.ID, o.tags[version])
	request := quick(api.StrategyRollingUpdate, replicas)
	request.RolloutConfig.MaxSurge = new(fmt.Sprint(benchSurge))
	accepted, err := o.client.Deploy(b.Context(), o.definition.ID, request)
	if err != nil {
		b.Fatal(err)
	}
	o.deployment = accepted.DeploymentID
}

func (o *ours) start(b *testing.B, replicas int)  { o.ask(b, "v1", replicas) }
func (o *ours) update(b *testing.B, replicas int) { o.ask(b, "v2", replicas) }

func (o *ours) remove(b *testing.B) {
	b.Helper()
	o.completed(b, o.deployment)
	accepted, err := o.client.RemoveDeployment(b.Context(), o.definition.ID, "staging")
	if err != nil {
		b.Fatal(err)
	}
	o.completed(b, accepted.DeploymentID)
}

// example runs one replica and returns what the engine says of its container, so
// that others can be made like it.
func (o *ours) example(b *testing.B, seen *observer) container.InspectResponse {
	b.Helper()
	o.start(b, 1)
	o.completed(b, o.deployment)
	like, err := seen.client.ContainerInspect(b.Context(), o.instances(b, o.definition.ID)[0].ContainerID)
	if err != nil {
		b.Fatal(err)
	}
	o.remove(b)
	return like
}
