package deploy_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/deploy"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// world is a store, an engine and a health monitor in which every step succeeds
// at once and a container is healthy two seconds after its start, unless it is
// told otherwise. It plays a rollout from its request to its end, and writes down
// what there was and what was planned.
type world struct {
	t     *testing.T
	state fleet.WorkloadState
	now   time.Time
	trace strings.Builder
	// broken versions never become healthy: their containers exit after this time.
	broken map[string]time.Duration
	// events happen at their time, whatever is planned.
	events []occurrence
	// failing, if it is not nil, is called when a deployment is about to fail.
	failing func()
	least   int // fewest that ever served since the last request
}

type occurrence struct {
	at   time.Duration
	what string
	do   func(*world)
}

const timeToHealthy = 2 * time.Second

// newWorld has version v1 live, as deployment d1, with a number of replicas; none with zero.
func newWorld(t *testing.T, replicas int) *world {
	t.Helper()
	w := &world{t: t, now: noon, broken: make(map[string]time.Duration)}
	w.state.Workload = fleet.Workload{DefinitionID: "api", Environment: "staging"}
	w.state.Deployments = make(map[string]fleet.Deployment)
	if replicas == 0 {
		return w
	}
	d := w.deployment("v1", replicas, fleet.StrategyRollingUpdate)
	d.Status = fleet.DeploymentCompleted
	w.state.Deployments[d.ID] = d
	w.state.Target, w.state.Live = &d, &d
	hourAgo := noon.Add(-time.Hour)
	for n := range replicas {
		name := fmt.Sprintf("%s/%d", d.ID, n+1)
		w.state.Instances = append(w.state.Instances, fleet.Instance{
			ID: name, Name: name, DeploymentID: d.ID, Replica: n + 1, ContainerID: "c-" + name, ImageTag: "v1",
			Current: fleet.StatusRunning, Desired: fleet.StatusRunning, Health: fleet.HealthHealthy,
			CreatedAt: hourAgo, StartedAt: &hourAgo, HealthySince: &hourAgo,
		})
	}
	return w
}

// deployment is the next deployment: of a version, with the default settings.
func (w *world) deployment(tag string, replicas int, strategy fleet.Strategy) fleet.Deployment {
	d := fleet.Deployment{
		ID: fmt.Sprintf("d%d", len(w.state.Deployments)+1), DefinitionID: "api", Environment: "staging", Type: fleet.TypeDeploy,
		ImageTag: tag, ImageDigest: "sha256:" + tag, Spec: fleet.Spec{Name: "api", ImageTag: tag, HealthCheck: &fleet.HealthCheck{}}, After: replicas,
		Status: fleet.DeploymentInProgress, Strategy: strategy, Rollout: grammar.DefaultRollout(true), StartedAt: w.now,
	}
	if strategy.Weights() {
		d.State.Weight = new(0)
	}
	return d
}

// request begins a deployment, in the place of what is in progress.
func (w *world) request(d fleet.Deployment) {
	if t := w.state.Target; t != nil && t.Status == fleet.DeploymentInProgress {
		d.Supersede(*t, w.live())
		w.change(func(old *fleet.Deployment) { old.Status = fleet.DeploymentFailed })
		w.note("%s is superseded", t.ID)
	}
	d.StartedAt = w.now
	if w.state.Live != nil {
		d.Before = w.state.Live.After
	}
	w.state.Deployments[d.ID] = d
	w.state.Target = &d
	w.least = w.serving()
	w.note("%s: %s of %s, %d replicas, %s", d.ID, d.Type, d.ImageTag, d.After, d.Strategy)
}

// live is the identifier of what is live.
func (w *world) live() string {
	if w.state.Live == nil {
		return ""
	}
	return w.state.Live.ID
}

func (w *world) note(format string, args ...any) {
	fmt.Fprintf(&w.trace, "%-7s ", w.now.Sub(noon))
	fmt.Fprintf(&w.trace, format+"\n", args...)
}

// change changes the target.
func (w *world) change(f func(*fleet.Deployment)) {
	d := *w.state.Target
	f(&d)
	w.state.Deployments[d.ID] = d
	w.state.Target = &d
	if w.state.Live != nil && w.state.Live.ID == d.ID {
		w.state.Live = &d
	}
}

func (w *world) instance(name string) *fleet.Instance {
	w.t.Helper()
	for k := range w.state.Instances {
		if w.state.Instances[k].Name == name {
			return &w.state.Instances[k]
		}
	}
	w.t.Fatalf("there is no instance %s:\n%s", name, w.trace.String())
	return nil
}

func (w *world) has(name string) bool {
	return slices.ContainsFunc(w.state.Instances, func(i fleet.Instance) bool { return i.Name == name })
}

func (w *world) serving() (n int) {
	for _, i := range w.state.Instances {
		if i.Current == fleet.StatusRunning && i.Health == fleet.HealthHealthy && i.DrainingSince == nil {
			n++
		}
	}
	return n
}

// play plans and does until the deployment has ended and nothing is left to do.
func (w *world) play() string {
	w.t.Helper()
	for range 1000 {
		w.happen()
		outline := deploy.Plan(w.state, w.now)
		w.write(outline)
		if !w.do(outline.Steps) {
			next, ok := w.next(outline.Recheck)
			if !ok {
				return w.trace.String()
			}
			w.now = next
		}
		w.least = min(w.least, w.serving())
	}
	w.t.Fatalf("it never ends:\n%s", w.trace.String())
	return ""
}

// write notes what there is and what is planned, unless nothing is.
func (w *world) write(o deploy.Outline) {
	if len(o.Steps) == 0 {
		return
	}
	w.note("%s", w.describe())
	var steps []string
	for _, s := range o.Steps {
		text := s.String()
		if s.Kind == deploy.StepFail || s.Kind == deploy.StepRestart {
			text += ": " + s.Reason
		}
		steps = append(steps, text)
	}
	fmt.Fprintf(&w.trace, "%-7s   → %s\n", "", strings.Join(steps, ", "))
}

// describe lists the instances by version: "v1: 1 healthy, 2 draining".
func (w *world) describe() string {
	byTag := make(map[string][]string)
	list := slices.Clone(w.state.Instances)
	slices.SortStableFunc(list, func(a, b fleet.Instance) int { return cmp.Compare(a.Replica, b.Replica) })
	for _, i := range list {
		word := string(i.Current)
		switch {
		case i.DrainingSince != nil:
			word = "draining"
		case i.Current == fleet.StatusRunning && i.Health == fleet.HealthHealthy:
			word = "healthy"
		case i.Current == fleet.StatusRunning && i.Health == fleet.HealthUnhealthy:
			word = "unhealthy"
		case i.Current == fleet.StatusRunning:
			word = "starting"
		}
		byTag[i.ImageTag] = append(byTag[i.ImageTag], fmt.Sprintf("%d %s", i.Replica, word))
	}
	var parts []string
	for _, tag := range slices.Sorted(maps.Keys(byTag)) {
		parts = append(parts, tag+": "+strings.Join(byTag[tag], ", "))
	}
	return cmp.Or(strings.Join(parts, " | "), "nothing")
}

// next is when something happens: a recheck, a container becomes healthy or exits, an event.
func (w *world) next(recheck time.Time) (time.Time, bool) {
	var times []time.Time
	if !recheck.IsZero() {
		times = append(times, recheck)
	}
	for _, i := range w.state.Instances {
		if i.Current != fleet.StatusRunning || i.Health != fleet.HealthUnknown {
			continue
		}
		if exits, ok := w.broken[i.ImageTag]; ok {
			times = append(times, i.StartedAt.Add(exits))
		} else {
			times = append(times, i.StartedAt.Add(timeToHealthy))
		}
	}
	if t := w.state.Target; t != nil && (t.Status == fleet.DeploymentInProgress || len(times) > 0) {
		for _, e := range w.events {
			times = append(times, noon.Add(e.at))
		}
	}
	if len(times) == 0 {
		return time.Time{}, false
	}
	first := slices.MinFunc(times, time.Time.Compare)
	if first.Before(w.now) {
		first = w.now
	}
	return first, true
}

// happen lets happen what is due.
func (w *world) happen() {
	for k := range w.state.Instances {
		i := &w.state.Instances[k]
		if i.Current == fleet.StatusRunning {
			i.LastCheck = new(w.now)
		}
		if i.Current != fleet.StatusRunning || i.Health != fleet.HealthUnknown {
			continue
		}
		exits, broken := w.broken[i.ImageTag]
		switch {
		case broken && !w.now.Before(i.StartedAt.Add(exits)):
			w.exit(i)
		case !broken && !w.now.Before(i.StartedAt.Add(timeToHealthy)):
			i.Health, i.HealthySince = fleet.HealthHealthy, new(w.now)
		}
	}
	var later []occurrence
	for _, e := range w.events {
		if w.now.Before(noon.Add(e.at)) {
			later = append(later, e)
			continue
		}
		if e.what != "" {
			w.note("*** %s", e.what)
		}
		e.do(w)
	}
	w.events = later
}

func (w *world) exit(i *fleet.Instance) {
	i.Current, i.Health, i.HealthySince, i.ExitCode = fleet.StatusFailed, fleet.HealthUnknown, nil, new(1)
	i.Error = fmt.Sprintf("exited with code 1 after %s", w.now.Sub(*i.StartedAt))
	i.RecentExits = append(slices.Clone(i.RecentExits), w.now)
}

// do does the steps, and reports whether any changed something.
func (w *world) do(steps []deploy.Step) (changed bool) {
	for _, s := range steps {
		changed = w.step(s) || changed
	}
	return changed
}

func (w *world) step(s deploy.Step) bool {
	switch s.Kind {
	case deploy.StepPull:
		w.change(func(d *fleet.Deployment) { d.State.PulledAt = new(w.now) })
	case deploy.StepKeep:
		i := w.instance(s.Instance.Name)
		i.DeploymentID, i.DrainingSince, i.Replica = w.state.Target.ID, nil, s.Instance.Replica
	case deploy.StepAdd:
		d := w.state.Target
		name := fmt.Sprintf("%s/%d", d.ID, s.Instance.Replica)
		for w.has(name) {
			name += "'"
		}
		w.state.Instances = append(w.state.Instances, fleet.Instance{
			ID: name, Name: name, DeploymentID: d.ID, Replica: s.Instance.Replica, ImageTag: d.ImageTag,
			Current: fleet.StatusPending, Desired: fleet.StatusRunning, Health: fleet.HealthUnknown, CreatedAt: w.now,
		})
	case deploy.StepCreate, deploy.StepStart, deploy.StepRestart:
		i := w.instance(s.Instance.Name)
		if s.Kind == deploy.StepRestart && i.UnhealthySince != nil {
			i.RecentExits = append(slices.Clone(i.RecentExits), *i.UnhealthySince)
		}
		i.UnhealthySince = nil
		i.ContainerID, i.Current, i.Health, i.HealthySince, i.StartedAt = "c-"+i.Name, fleet.StatusRunning, fleet.HealthUnknown, nil, new(w.now)
	case deploy.StepStop:
		w.instance(s.Instance.Name).Current = fleet.StatusStopped
	case deploy.StepSetWeight:
		w.change(func(d *fleet.Deployment) { d.State.Weight, d.State.WeightAt = new(s.Weight), new(w.now) })
	case deploy.StepDrain:
		w.instance(s.Instance.Name).DrainingSince = new(w.now)
	case deploy.StepRemove:
		w.state.Instances = slices.DeleteFunc(w.state.Instances, func(i fleet.Instance) bool { return i.Name == s.Instance.Name })
	case deploy.StepComplete:
		w.complete()
	case deploy.StepFail:
		w.fail()
	default:
		return false
	}
	return true
}

func (w *world) complete() {
	w.change(func(d *fleet.Deployment) { d.Status, d.CompletedAt = fleet.DeploymentCompleted, new(w.now) })
	d := w.state.Target
	if undone, ok := w.state.Deployments[d.RollbackOfID]; ok {
		undone.Status = fleet.DeploymentRolledBack
		w.state.Deployments[undone.ID] = undone
	}
	if d.Removal {
		w.state.Target, w.state.Live = nil, nil
		return
	}
	w.state.Live = d
}

func (w *world) fail() {
	if w.failing != nil {
		w.failing()
	}
	rollback := deploy.Automatic(w.state, w.now)
	w.change(func(d *fleet.Deployment) { d.Status = fleet.DeploymentFailed })
	w.state.Target = w.state.Live
	if rollback != nil {
		rollback.ID = fmt.Sprintf("d%d", len(w.state.Deployments)+1)
		w.request(*rollback)
	}
}
