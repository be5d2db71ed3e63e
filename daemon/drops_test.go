package daemon_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
)

var (
	dropRounds   = flag.Int("drop-rounds", 1, "how often TestDrops goes through all strategies, for each service")
	dropServices = flag.Int("drop-services", 1, "how many services TestDrops rolls out beside each other")
	kills        = flag.Int("kills", 3, "how many instances TestKilledInstance kills")
	dropRequests = flag.Int("drop-requests", 0, "how many requests TestDrops must have made")
)

// drops counts what goes on while a load must lose nothing.
type drops struct {
	*fixture
	load *load

	mu   sync.Mutex
	done map[string]int
}

func (d *drops) count(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done[what]++
}

// TestDrops rolls services out, restarts, stops and starts their instances, and
// scales them up and down, in every strategy, while requests of every kind go to
// them without a break: none of them fails.
//
// "make drops" does that a hundred times for each strategy.
func TestDrops(t *testing.T) {
	t.Parallel()
	began := time.Now()
	f := start(t)
	d := &drops{fixture: f, load: newLoad(t, f.Traffic), done: make(map[string]int)}
	var working sync.WaitGroup
	for n := range *dropServices { // at the same time, however many tests may be: they spend theirs waiting
		working.Go(func() {
			name := fmt.Sprintf("shop-%d", n+1)
			t.Run(name, func(t *testing.T) { d.service(t, name) })
		})
	}
	working.Wait()
	d.load.end()
	t.Log(d.table(time.Since(began)))
	made, failed := d.load.total()
	if failed > 0 {
		t.Errorf("%d of %d requests failed; the first:%s", failed, made, d.load.failures())
	}
	if made < *dropRequests {
		t.Errorf("%d requests were made, fewer than %d", made, *dropRequests)
	}
	for _, k := range loadKinds {
		if d.load.made[k.name] == 0 {
			t.Errorf("no request of the kind %s was made", k.name)
		}
	}
}

// service takes one service through all rounds.
func (d *drops) service(t *testing.T, name string) {
	definition := d.define(t, name, "v1")
	d.completed(t, d.ask(t, definition.ID, d.lossless("", 2)))
	s := &caller{load: d.load, host: name + ".staging.localhost"}
	d.load.on(t, s.host)
	version := "v1"
	for round := range *dropRounds {
		for _, strategy := range []string{api.StrategyRollingUpdate, api.StrategyBlueGreen, api.StrategyCanary} {
			version = map[string]string{"v1": "v2", "v2": "v1"}[version]
			d.update(t, definition.ID, tag(t, version))
			d.completed(t, d.ask(t, definition.ID, d.lossless(strategy, 2)))
			if now := s.version(t); now != version {
				t.Errorf("after a %s to %s, %q answers", strategy, version, now)
			}
			d.count("rollouts, " + strategy)
			d.restart(t, definition.ID)
			d.stopAndStart(t, definition.ID)
			d.scale(t, definition.ID, 3)
			d.count("scaled up")
			d.scale(t, definition.ID, 2)
			d.count("scaled down")
		}
		made, failed := d.load.total()
		t.Logf("round %d of %d is over: %d requests so far, %d failed", round+1, *dropRounds, made, failed)
	}
	d.load.mu.Lock()
	defer d.load.mu.Unlock()
	for _, v := range []string{"v1", "v2"} {
		if d.load.served[s.host+" "+v] == 0 {
			t.Errorf("%s has answered no request; there were %v", v, d.load.served)
		}
	}
}

// lossless asks for a rollout that lets requests end, however slow they are.
func (d *drops) lossless(strategy string, replicas int) api.DeployRequest {
	r := quick(strategy, replicas)
	r.RolloutConfig.MinHealthyTime = new(1)
	r.RolloutConfig.DrainTime = new(int(d.load.slow.Seconds()) + 15)
	r.RolloutConfig.CanarySteps = &[]api.CanaryStep{{Weight: 10, Pause: 1}, {Weight: 50, Pause: 1}}
	return r
}

// restart restarts the definition's first instance.
func (d *drops) restart(t *testing.T, definitionID string) {
	t.Helper()
	before := d.first(t, definitionID)
	if _, err := d.client.Act(t.Context(), before.ID, api.ActionRequest{Action: api.ActionRestart}); err != nil {
		t.Fatal(err)
	}
	d.serves(t, before.ID, func(now api.Instance) bool { return now.StartedAt.After(*before.StartedAt) })
	d.count("restarts")
}

// stopAndStart stops the definition's first instance and starts it again.
func (d *drops) stopAndStart(t *testing.T, definitionID string) {
	t.Helper()
	i := d.first(t, definitionID)
	for _, action := range []string{api.ActionStop, api.ActionStart} {
		if _, err := d.client.Act(t.Context(), i.ID, api.ActionRequest{Action: action}); err != nil {
			t.Fatal(err)
		}
		if action == api.ActionStop {
			eventually(t, "the instance is stopped", func() bool { return d.instance(t, i.ID).CurrentStatus == api.InstanceStopped })
		}
	}
	d.serves(t, i.ID, func(api.Instance) bool { return true })
	d.count("stopped and started")
}

func (d *drops) scale(t *testing.T, definitionID string, replicas int) {
	t.Helper()
	accepted, err := d.client.Scale(t.Context(), api.ManualScaleRequest{DefinitionID: definitionID, Environment: "staging", TargetReplicas: replicas})
	if err != nil {
		t.Fatal(err)
	}
	d.completed(t, accepted.DeploymentID)
}

// first is the definition's instance with the lowest replica number.
func (f *fixture) first(t testing.TB, definitionID string) api.Instance {
	t.Helper()
	return slices.MinFunc(f.instances(t, definitionID), func(a, b api.Instance) int { return cmp.Compare(a.ReplicaNumber, b.ReplicaNumber) })
}

func (f *fixture) instance(t testing.TB, id string) api.Instance {
	t.Helper()
	i, err := f.client.GetInstance(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// serves waits until an instance runs and is healthy, and a condition holds.
func (f *fixture) serves(t testing.TB, id string, holds func(api.Instance) bool) {
	t.Helper()
	eventually(t, "the instance serves again", func() bool {
		i := f.instance(t, id)
		return i.CurrentStatus == api.InstanceRunning && i.HealthStatus == api.HealthHealthy && i.DrainingSince == nil && holds(i)
	})
}

// table is what went on, and what came of the requests meanwhile.
func (d *drops) table(took time.Duration) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d services, %s\n", *dropServices, took.Round(time.Second))
	for _, what := range slices.Sorted(maps.Keys(d.done)) {
		fmt.Fprintf(&b, "%-26s %5d\n", what, d.done[what])
	}
	b.WriteString(d.load.table())
	return b.String()
}

// killing is the end of an instance.
type killing struct {
	hostname     string
	answering    int       // requests that it had begun to answer
	began, ended time.Time // of the kill: the instance died in between
}

// TestKilledInstance kills instances by SIGKILL under a constant load, one of three
// at a time. What one was answering may fail; nothing else does, before or after.
// What it had not begun to answer, and may be repeated, another one answers.
func TestKilledInstance(t *testing.T) {
	f := start(t)
	definition := f.define(t, "shop", "v1")
	f.deploy(t, definition.ID, 3)
	l := newLoad(t, f.Traffic)
	l.on(t, "shop.staging.localhost")
	var all []*killing
	for n := range *kills {
		victim := f.instances(t, definition.ID)[n%3]
		hostname := victim.ContainerID[:12] // the engine's default
		eventually(t, "the instance answers streams", func() bool { return l.answeredBy(hostname) >= 2 })
		k := &killing{hostname: hostname, answering: l.answeredBy(hostname), began: time.Now()}
		docker(t, "kill", "--signal", "KILL", victim.ContainerID)
		k.ended = time.Now()
		there := l.underWay()
		all = append(all, k)
		f.serves(t, victim.ID, func(now api.Instance) bool { return now.StartedAt.After(*victim.StartedAt) })
		eventually(t, "what was under way has ended: nothing meets with two ends", func() bool { return !l.anyOf(there) })
	}
	l.end()
	t.Log("\n" + l.table())
	if _, failed := l.total(); failed > len(l.failed) {
		t.Errorf("%d requests failed, of which the first are%s", failed, l.failures())
	}
	for _, call := range l.failed {
		if !slices.ContainsFunc(all, func(k *killing) bool { return k.explains(call) }) {
			t.Errorf("no killed instance explains: %s", call)
		}
	}
	for _, k := range all {
		t.Log(k.outcome(l.failed))
	}
}

// answeredBy is how many requests under way an instance is answering.
func (l *load) answeredBy(hostname string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for call := range l.active {
		if call.instance == hostname {
			n++
		}
	}
	return n
}

// anyOf reports whether any of some requests is still under way.
func (l *load) anyOf(calls map[*loadCall]bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for call := range calls {
		if l.active[call] {
			return true
		}
	}
	return false
}

// explains reports whether a request may have failed because the instance was
// killed: it was there, or could not be sent to another one.
func (k *killing) explains(call *loadCall) bool {
	switch {
	case !call.began.Before(k.ended) || call.ended.Before(k.began):
		return false
	case call.instance == "":
		return !strings.Contains(call.kind, "GET") // which may be repeated
	default:
		return call.instance == k.hostname
	}
}

// outcome tells what became of the requests there.
func (k *killing) outcome(failed []*loadCall) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, killed within %s while it was answering %d requests; failed:", k.hostname, k.ended.Sub(k.began).Round(time.Millisecond), k.answering)
	for _, call := range failed {
		if k.explains(call) {
			fmt.Fprintf(&b, "\n\t%s", call)
		}
	}
	return b.String()
}
