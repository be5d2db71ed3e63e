package daemon_test

import (
	"context"
	"flag"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"
)

var recoveries = flag.Int("recoveries", 50, "how many containers BenchmarkRecovery kills for each contestant")

// ranWell is how long a container has to have run before it is killed, so that
// nobody answers with a back-off: the engine's own forgets after ten seconds.
const ranWell = 11 * time.Second

// BenchmarkRecovery is the time from the kill of a container's first process until
// the engine has told that it, or the one in its place, has started.
//
//   - wedsync: as many replicas as there are kills, so that none is killed twice.
//   - always: containers of the engine's restart policy "always", as many too.
//   - swarm: a service of one replica; swarm waits five seconds before it restarts.
//   - swarm0: the same, told not to wait.
//   - start: the engine's own time to start an equal container that was killed
//     before, from the request to start it.
//
// They take turns in one run. Reported are the median and the 99th percentile of
// each, in milliseconds, and those of wedsync beyond the median of start.
func BenchmarkRecovery(b *testing.B) {
	o := newObserver(b)
	ours := newOurs(b, *recoveries)
	like := newRaw(b, o, ours.example(b, o))
	like.width = 4
	swarmed := newSwarm(b, like)
	list := []victim{
		&replicas{ours: ours, seen: o}, &always{like.variant("always")}, &task{service: swarmed, called: "swarm"},
		&task{service: swarmed, called: "swarm0", policy: &swarm.RestartPolicy{Condition: swarm.RestartPolicyConditionAny, Delay: new(time.Duration)}},
		&stopped{like.variant("start")},
	}
	for _, v := range list {
		defer v.remove(b)
		v.run(b)
	}
	times := make(map[string][]time.Duration)
	for b.Loop() {
		for round := range *recoveries {
			for _, v := range list {
				id := v.next(b, round)
				pid := o.awaitAge(b, id, ranWell)
				times[v.name()] = append(times[v.name()], o.recovery(b, v.label(), func() { v.strike(b, id, pid) }))
				v.settle(b)
			}
		}
	}
	b.ReportMetric(0, "ns/op") // a loop holds them all, so its time says nothing
	own := percentile(times["start"], 50)
	for _, v := range list {
		b.ReportMetric(milliseconds(percentile(times[v.name()], 50)), v.name()+"-p50-ms")
		b.ReportMetric(milliseconds(percentile(times[v.name()], 99)), v.name()+"-p99-ms")
		b.Logf("%s: %v", v.name(), times[v.name()])
	}
	b.ReportMetric(milliseconds(percentile(times["wedsync"], 50)-own), "beyond-p50-ms")
	b.ReportMetric(milliseconds(percentile(times["wedsync"], 99)-own), "beyond-p99-ms")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// percentile is the least time that p of a hundred do not exceed.
func percentile(times []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[(len(sorted)*p+99)/100-1]
}

// recovery does something and returns how long it took from then until the engine
// told that a container with a label had started.
func (o *observer) recovery(b *testing.B, label string, do func()) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	messages, errs := o.client.Events(ctx, events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("type", string(events.ContainerEventType)), filters.Arg("label", label), filters.Arg("event", string(events.ActionStart)))})
	began := time.Now()
	do()
	select {
	case m := <-messages:
		return time.Unix(0, m.TimeNano).Sub(began)
	case err := <-errs:
		b.Fatalf("%s does not run again: %v", label, err)
		return 0
	}
}

// awaitAge waits until a container has run for that long, and returns its first
// process; one that does not run is left alone.
func (o *observer) awaitAge(b *testing.B, id string, age time.Duration) (pid int) {
	b.Helper()
	eventually(b, "the container has run for "+age.String(), func() bool {
		found, err := o.client.ContainerInspect(b.Context(), id)
		if err != nil {
			return false
		}
		pid = found.State.Pid
		started, err := time.Parse(time.RFC3339Nano, found.State.StartedAt)
		return err == nil && (!found.State.Running || time.Since(started) >= age)
	})
	return pid
}

// kill ends a process as its crash would. An engine that is asked for a kill takes
// that for a stop, after which its restart policy does nothing.
func kill(b *testing.B, pid int) {
	b.Helper()
	if pid <= 1 {
		b.Fatal("the container to kill does not run")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		b.Fatal(err)
	}
}

// victim is one whose containers are killed.
type victim interface {
	name() string
	// label is that of its containers.
	label() string
	// run has as many of them run as it needs.
	run(b *testing.B)
	// next is the container whose turn it is.
	next(b *testing.B, round int) string
	// strike does what a container starts after.
	strike(b *testing.B, id string, pid int)
	// settle returns when the recovery is over for it too.
	settle(b *testing.B)
	// remove ends them.
	remove(b *testing.B)
}

// replicas are wedsyncd's.
type replicas struct {
	*ours
	seen  *observer
	ids   []string
	ended int
}

func (r *replicas) run(b *testing.B) {
	b.Helper()
	r.start(b, *recoveries)
	r.completed(b, r.deployment)
	for _, i := range r.instances(b, r.definition.ID) {
		r.ids = append(r.ids, i.ContainerID)
	}
}

func (r *replicas) next(_ *testing.B, round int) string { return r.ids[round] }

func (r *replicas) strike(b *testing.B, _ string, pid int) {
	b.Helper()
	r.ended++
	kill(b, pid)
}

// settle waits until the rows say that every killed instance runs again.
func (r *replicas) settle(b *testing.B) {
	b.Helper()
	eventually(b, "wedsyncd has written that the instance runs", func() bool {
		restarts := 0
		for _, i := range r.instances(b, r.definition.ID) {
			restarts += i.RestartCount
		}
		return restarts == r.ended
	})
}

// variant makes containers like raw's, with a label of their own.
func (r *raw) variant(name string) *raw {
	config, host := *r.config, *r.host
	config.Labels = map[string]string{benchName: name}
	return &raw{observer: r.observer, config: &config, host: &host, bridge: r.bridge, images: r.images, width: r.width}
}

// always are containers that the engine itself restarts.
type always struct{ *raw }

func (*always) name() string  { return "always" }
func (*always) label() string { return benchName + "=always" }

func (a *always) run(b *testing.B) {
	b.Helper()
	a.host.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyAlways}
	a.start(b, *recoveries)
}

func (a *always) next(_ *testing.B, round int) string { return a.ids[round] }

func (a *always) strike(b *testing.B, _ string, pid int) {
	b.Helper()
	kill(b, pid)
}

func (*always) settle(*testing.B) {}

// remove has the engine restart none of them first.
func (a *always) remove(b *testing.B) {
	b.Helper()
	never := container.UpdateConfig{RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled}}
	for _, id := range a.ids {
		if _, err := a.client.ContainerUpdate(b.Context(), id, never); err != nil {
			b.Error(err)
		}
	}
	a.raw.remove(b)
}

// stopped is a container that is started by hand after each kill.
type stopped struct{ *raw }

func (*stopped) name() string  { return "start" }
func (*stopped) label() string { return benchName + "=start" }

func (s *stopped) run(b *testing.B) {
	b.Helper()
	s.start(b, 1)
	s.settle(b)
}

func (s *stopped) next(*testing.B, int) string { return s.ids[0] }

func (s *stopped) strike(b *testing.B, id string, _ int) {
	b.Helper()
	if err := s.client.ContainerStart(b.Context(), id, container.StartOptions{}); err != nil {
		b.Fatal(err)
	}
}

// settle ends the container for the next round. The engine answers the question for
// it once it has cleared up behind it.
func (s *stopped) settle(b *testing.B) {
	b.Helper()
	kill(b, s.awaitAge(b, s.ids[0], 0))
	eventually(b, "the container has ended", func() bool {
		found, err := s.client.ContainerInspect(b.Context(), s.ids[0])
		return err == nil && !found.State.Running
	})
}

// task is a service of swarm with one replica.
type task struct {
	*service
	called string
	policy *swarm.RestartPolicy
	id     string
}

func (t *task) name() string  { return t.called }
func (t *task) full() string  { return benchName + "-" + t.called }
func (t *task) label() string { return "com.docker.swarm.service.name=" + t.full() }

func (t *task) run(b *testing.B) {
	b.Helper()
	spec := t.spec("v1", 1)
	spec.Name, spec.TaskTemplate.RestartPolicy = t.full(), t.policy
	made, err := t.client.ServiceCreate(b.Context(), spec, swarm.ServiceCreateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	t.id = made.ID
}

// next is the container that runs now: after a kill there is another one.
func (t *task) next(b *testing.B, _ int) (id string) {
	b.Helper()
	eventually(b, "the task's container runs", func() bool {
		ids := slices.Collect(maps.Keys(t.running(b, t.label())))
		if len(ids) == 1 {
			id = ids[0]
		}
		return len(ids) == 1
	})
	return id
}

func (t *task) strike(b *testing.B, _ string, pid int) {
	b.Helper()
	kill(b, pid)
}

func (*task) settle(*testing.B) {}

func (t *task) remove(b *testing.B) {
	b.Helper()
	if t.id == "" {
		return
	}
	if err := t.client.ServiceRemove(b.Context(), t.id); err != nil {
		b.Error(err)
	}
	t.awaitGone(b, t.label())
}
