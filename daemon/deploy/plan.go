package deploy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// StepKind is what a step does.
type StepKind string

// Kinds of steps that change something.
const (
	// StepPull makes the image available.
	StepPull StepKind = "pull"
	// StepKeep takes an instance that already runs what the target wants over into
	// the target, and back into service.
	StepKeep StepKind = "keep"
	// StepAdd writes the intent to run a replica.
	StepAdd StepKind = "add"
	// StepCreate creates an instance's container and starts it.
	StepCreate StepKind = "create"
	// StepStart starts an instance's container.
	StepStart StepKind = "start"
	// StepRestart stops and starts an instance's container.
	StepRestart StepKind = "restart"
	// StepResize changes what an instance's running container may use.
	StepResize StepKind = "resize"
	// StepStop stops an instance's container and keeps it.
	StepStop StepKind = "stop"
	// StepSetWeight gives the new replicas another share of the requests.
	StepSetWeight StepKind = "set_weight"
	// StepDrain takes an instance out of service.
	StepDrain StepKind = "drain"
	// StepRemove stops and removes an instance's container.
	StepRemove StepKind = "remove"
	// StepComplete ends the deployment well.
	StepComplete StepKind = "complete"
	// StepFail ends the deployment as failed.
	StepFail StepKind = "fail"
)

// Kinds of steps that wait; they cost nothing and block nobody.
const (
	// StepAwaitHealthy waits until an instance has been healthy for long enough.
	StepAwaitHealthy StepKind = "await_healthy"
	// StepAwaitPromotion waits for a user.
	StepAwaitPromotion StepKind = "await_promotion"
	// StepWatchCanary waits until a canary step is over.
	StepWatchCanary StepKind = "watch_canary"
	// StepKeepWarm waits, after a cut-over, while the old replicas could take over again.
	StepKeepWarm StepKind = "keep_warm"
	// StepAwaitDrain waits until an instance has been out of service for long enough.
	StepAwaitDrain StepKind = "await_drain"
	// StepPaused waits until a user resumes the rollout.
	StepPaused StepKind = "paused"
)

// waits reports whether a step changes nothing.
func (k StepKind) waits() bool {
	switch k {
	case StepAwaitHealthy, StepAwaitPromotion, StepWatchCanary, StepKeepWarm, StepAwaitDrain, StepPaused:
		return true
	default:
		return false
	}
}

// Step is one thing to do.
type Step struct {
	Kind StepKind
	// Instance is what the step is about; for StepAdd only its replica number is set.
	Instance fleet.Instance
	// Weight is the share that StepSetWeight gives, in percent.
	Weight int
	// Reason says why, where the kind does not.
	Reason string
}

// String is the step in words, for progress reports and golden files.
func (s Step) String() string {
	switch {
	case s.Kind == StepAdd:
		return fmt.Sprintf("%s replica %d", s.Kind, s.Instance.Replica)
	case s.Kind == StepSetWeight, s.Kind == StepWatchCanary:
		return fmt.Sprintf("%s %d", s.Kind, s.Weight)
	case s.Instance.Name != "":
		return fmt.Sprintf("%s %s", s.Kind, s.Instance.Name)
	default:
		return string(s.Kind)
	}
}

// Outline is what to do next. All its steps may be done at the same time; then
// the state is read anew and planned again.
type Outline struct {
	Steps []Step
	// Recheck is when to plan again although nothing happened; zero for never.
	Recheck time.Time
	// Progress is how far a deployment in progress has come.
	Progress Progress
}

// Plan decides the next steps for a workload. It is pure: the same state at the
// same time gives the same steps.
func Plan(s fleet.WorkloadState, now time.Time) Outline {
	if s.Target == nil {
		return Outline{Steps: removeAll(s.Instances, "nothing is deployed")}
	}
	p := newPlanner(s, now)
	if s.Target.Status == fleet.DeploymentInProgress {
		p.rollout()
		p.out.Progress = p.progress()
	} else {
		p.steady()
	}
	return p.out
}

type planner struct {
	state fleet.WorkloadState
	// target is that of the state, with the settings that it is carried out by.
	target fleet.Deployment
	now    time.Time
	// members are the instances that the target counts as its replicas, by number;
	// others are the rest, by number too.
	members map[int]fleet.Instance
	others  []fleet.Instance
	missing []int
	out     Outline
}

// newPlanner knows which instances the target of s, which is not nil, counts as its own.
func newPlanner(s fleet.WorkloadState, now time.Time) *planner {
	p := &planner{state: s, target: *s.Target, now: now}
	p.target.Rollout = p.settings()
	p.match()
	return p
}

func (p *planner) add(kind StepKind, i fleet.Instance, reason string) {
	p.out.Steps = append(p.out.Steps, Step{Kind: kind, Instance: i, Reason: reason})
}

// recheck plans again at t at the latest.
func (p *planner) recheck(t time.Time) {
	if p.out.Recheck.IsZero() || t.Before(p.out.Recheck) {
		p.out.Recheck = t
	}
}

// match splits the instances into members of the target and others. An
// instance of an earlier deployment with the same containers is as good as a new
// one: it becomes a member, so that a change of the number of replicas, or a
// rollback, restarts nobody.
func (p *planner) match() {
	p.members = make(map[int]fleet.Instance)
	for _, i := range p.candidates() {
		_, taken := p.members[i.Replica]
		if taken || i.Replica > p.target.After || i.Desired == fleet.StatusTerminated || !p.fits(i) {
			p.others = append(p.others, i)
			continue
		}
		p.members[i.Replica] = i
		if i.DeploymentID != p.target.ID || i.DrainingSince != nil && !leaves(i) {
			p.add(StepKeep, i, "runs the same containers")
		}
	}
	slices.SortStableFunc(p.others, func(a, b fleet.Instance) int { return cmp.Compare(a.Replica, b.Replica) })
	for n := 1; n <= p.target.After; n++ {
		if _, ok := p.members[n]; !ok {
			p.missing = append(p.missing, n)
		}
	}
}

// candidates are the instances, those first that are to be members rather than others.
func (p *planner) candidates() []fleet.Instance {
	list := slices.Clone(p.state.Instances)
	slices.SortStableFunc(list, func(a, b fleet.Instance) int {
		return cmp.Or(cmp.Compare(p.preference(a), p.preference(b)), cmp.Compare(a.Replica, b.Replica))
	})
	switch {
	case p.target.Type == fleet.TypeScale:
		p.giveWay(list)
	case p.revokes():
		p.closeRanks(list)
	}
	return list
}

// preference orders the candidates for one replica number: the target's own, then
// those that serve. For a scaling, to which all are equal, those that serve are first.
func (p *planner) preference(i fleet.Instance) int {
	scaling := p.target.Type == fleet.TypeScale
	switch {
	case scaling && serves(i) && i.DrainingSince == nil:
		return 0
	case scaling && serves(i):
		return 1
	case i.DeploymentID == p.target.ID:
		return 2
	case serves(i):
		return 3
	default:
		return 4
	}
}

// fits reports whether an instance can be a replica of the target: one that has
// ended by itself too, as long as it may be started again; but of what a failed
// scaling has brought only what has proved itself.
func (p *planner) fits(i fleet.Instance) bool {
	if i.DeploymentID == p.target.ID {
		return true
	}
	if p.revokes() && i.Replica > p.target.Before && !p.proved(i) {
		return false
	}
	return !givenUp(i) && p.runs(i, &p.target)
}

// runs reports whether an instance's container is what a deployment wants.
func (p *planner) runs(i fleet.Instance, d *fleet.Deployment) bool {
	if d == nil || i.DeploymentID == d.ID {
		return d != nil
	}
	own, ok := p.state.Deployments[i.DeploymentID]
	return ok && own.ImageDigest == d.ImageDigest && own.Spec.SameContainers(d.Spec)
}

// steady plans a target that is live: its replicas are repaired, others removed.
func (p *planner) steady() {
	for _, n := range p.missing {
		p.add(StepAdd, fleet.Instance{Replica: n}, "")
	}
	for _, i := range p.ordered() {
		p.converge(i)
	}
	for _, i := range p.others {
		p.retire(i, "not part of the live deployment")
	}
}

// leaves reports whether a member is on its way to a stop or restart that was asked for.
func leaves(i fleet.Instance) bool {
	return i.Desired == fleet.StatusStopped && i.Current != fleet.StatusStopped || restartDue(i)
}

// retire plans the next step towards the removal of an instance: out of service,
// then, once its requests have ended, away.
func (p *planner) retire(i fleet.Instance, reason string) {
	if p.drained(i, reason) {
		p.add(StepRemove, i, reason)
	}
}

// drained reports whether an instance may be stopped. It plans what is missing:
// nothing is stopped that still gets requests, or has some, but for one that a
// user wants killed.
func (p *planner) drained(i fleet.Instance, reason string) bool {
	switch {
	case !serves(i) || i.Force:
		return true
	case i.DrainingSince == nil:
		p.add(StepDrain, i, reason)
		return false
	}
	until := i.DrainingSince.Add(seconds(p.target.Rollout.DrainTime))
	if i.Drained || !p.now.Before(until) {
		return true
	}
	p.add(StepAwaitDrain, i, "")
	p.recheck(until)
	return false
}

// converge plans the step that brings an instance to its desired status, if one is needed.
func (p *planner) converge(i fleet.Instance) {
	switch {
	case i.Desired == fleet.StatusStopped:
		if i.Current != fleet.StatusStopped && (i.ContainerID != "" || i.Current != fleet.StatusFailed) && p.drained(i, "asked to stop") {
			p.add(StepStop, i, "asked to stop")
		}
	case i.Current == fleet.StatusFailed:
		p.repair(i)
	case i.ContainerID == "":
		p.add(StepCreate, i, "")
	case i.Current != fleet.StatusRunning:
		p.add(StepStart, i, "")
	case restartDue(i):
		if p.drained(i, "asked to restart") {
			p.add(StepRestart, i, "asked to restart")
		}
	case ill(i):
		p.cure(i)
	case limits(p.state, i) != granted(p.state, i):
		p.add(StepResize, i, "")
	}
}

// limits are what an instance may use at present.
func limits(state fleet.WorkloadState, i fleet.Instance) fleet.Resources {
	if i.Limits != nil {
		return *i.Limits
	}
	return state.Deployments[i.DeploymentID].Spec.Resources
}

// granted are what an instance ought to be allowed: what its deployment says, but for
// what a vertical policy has set. Memory is not lowered to less than the instance uses
// and a tenth more: the kernel would kill it, or the engine refuse. Once it uses less,
// or has been replaced, it is.
func granted(state fleet.WorkloadState, i fleet.Instance) fleet.Resources {
	r := state.Deployments[i.DeploymentID].Spec.Resources.With(state.Limits)
	if i.Current != fleet.StatusRunning {
		return r
	}
	present := limits(state, i)
	before, after := present.MemoryBytes(), r.MemoryBytes()
	lowered := after > 0 && (before == 0 || after < before)
	if lowered && float64(after) < 1.1*i.Usage.MemoryMB*(1<<20) {
		r.Memory = present.Memory
	}
	return r
}

func restartDue(i fleet.Instance) bool {
	return i.RestartRequested != nil && (i.StartedAt == nil || i.RestartRequested.After(*i.StartedAt))
}

// repair plans the restart of an instance that ended by itself, when its time has come.
func (p *planner) repair(i fleet.Instance) {
	at, ok := NextStart(i.ID, i.RecentExits, p.now)
	switch {
	case !ok:
	case at.After(p.now):
		p.recheck(at)
	case i.ContainerID == "":
		p.add(StepCreate, i, "ended by itself")
	default:
		p.add(StepStart, i, "ended by itself")
	}
}

// cure plans the restart of an instance that runs and is unhealthy, when its time
// has come, or its stop when that is a crash loop. It is out of service already.
func (p *planner) cure(i fleet.Instance) {
	after := i
	after.RecentExits = slices.Clone(i.RecentExits)
	strike(&after)
	at, ok := NextStart(i.ID, after.RecentExits, p.now)
	reason := illness(i)
	switch {
	case !ok:
		p.add(StepStop, i, reason)
	case at.After(p.now):
		p.recheck(at)
	default:
		p.add(StepRestart, i, reason)
	}
}

func removeAll(instances []fleet.Instance, reason string) []Step {
	var steps []Step
	for _, i := range instances {
		steps = append(steps, Step{Kind: StepRemove, Instance: i, Reason: reason})
	}
	return steps
}

// ordered is the members by replica number.
func (p *planner) ordered() []fleet.Instance {
	numbers := slices.Sorted(maps.Keys(p.members))
	members := make([]fleet.Instance, len(numbers))
	for k, n := range numbers {
		members[k] = p.members[n]
	}
	return members
}

// serves reports whether an instance runs and is healthy.
func serves(i fleet.Instance) bool {
	return i.Current == fleet.StatusRunning && i.Health == fleet.HealthHealthy
}

// givenUp reports whether an instance is down in a crash loop.
func givenUp(i fleet.Instance) bool {
	return i.Current == fleet.StatusFailed && fleet.CrashLoop(i.RecentExits)
}

// heldBack reports whether a user keeps the instance stopped.
func heldBack(i fleet.Instance) bool {
	return i.Desired == fleet.StatusStopped && i.Current == fleet.StatusStopped
}
