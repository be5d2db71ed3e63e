package deploy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// HealthyDeadline is how long a new replica may take from its start until it is healthy.
const HealthyDeadline = 5 * time.Minute

// StepKind is what a step does.
type StepKind string

// Kinds of steps.
const (
	// StepPull makes the image available.
	StepPull StepKind = "pull"
	// StepKeep takes an instance that already runs what the target wants over into the target.
	StepKeep StepKind = "keep"
	// StepAdd writes the intent to run a replica.
	StepAdd StepKind = "add"
	// StepCreate creates an instance's container and starts it.
	StepCreate StepKind = "create"
	// StepStart starts an instance's container.
	StepStart StepKind = "start"
	// StepRestart stops and starts an instance's container.
	StepRestart StepKind = "restart"
	// StepStop stops an instance's container and keeps it.
	StepStop StepKind = "stop"
	// StepRemove stops and removes an instance's container.
	StepRemove StepKind = "remove"
	// StepAwaitHealthy waits for an instance's health; it costs nothing and blocks nobody.
	StepAwaitHealthy StepKind = "await_healthy"
	// StepComplete ends the deployment well.
	StepComplete StepKind = "complete"
	// StepFail ends the deployment as failed.
	StepFail StepKind = "fail"
)

// Step is one thing to do.
type Step struct {
	Kind StepKind
	// Instance is what the step is about; for StepAdd only its replica number is set.
	Instance fleet.Instance
	// Reason says why, where the kind does not.
	Reason string
}

// String is the step in words, for progress reports and golden files.
func (s Step) String() string {
	switch {
	case s.Kind == StepAdd:
		return fmt.Sprintf("%s replica %d", s.Kind, s.Instance.Replica)
	case s.Instance.Name != "":
		return fmt.Sprintf("%s %s", s.Kind, s.Instance.Name)
	default:
		return string(s.Kind)
	}
}

// Outline is what to do next. All its steps may be done at the same time, but
// pull and keep come first; then the state is read anew and planned again.
type Outline struct {
	Steps []Step
	// Recheck is when to plan again although nothing happened; zero for never.
	Recheck time.Time
}

// Plan decides the next steps for a workload. It is pure: the same state at the
// same time gives the same steps.
func Plan(s fleet.WorkloadState, now time.Time) Outline {
	if s.Target == nil {
		return Outline{Steps: removeAll(s.Instances, "nothing is deployed")}
	}
	p := planner{state: s, target: *s.Target, now: now}
	p.match()
	if s.Target.Status == fleet.DeploymentInProgress {
		p.rollout()
	} else {
		p.steady()
	}
	return p.out
}

type planner struct {
	state  fleet.WorkloadState
	target fleet.Deployment
	now    time.Time
	// members are the instances that the target counts as its replicas, by number;
	// others are the rest.
	members map[int]fleet.Instance
	others  []fleet.Instance
	missing []int
	out     Outline
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
// failed rollout, restarts nobody.
func (p *planner) match() {
	p.members = make(map[int]fleet.Instance)
	candidates := slices.Clone(p.state.Instances)
	slices.SortStableFunc(candidates, func(a, b fleet.Instance) int {
		return cmp.Or(cmp.Compare(preference(a, p.target.ID), preference(b, p.target.ID)), cmp.Compare(a.Replica, b.Replica))
	})
	for _, i := range candidates {
		_, taken := p.members[i.Replica]
		if taken || i.Replica > p.target.After || i.Desired == fleet.StatusTerminated || !p.sameContainers(i) {
			p.others = append(p.others, i)
			continue
		}
		p.members[i.Replica] = i
		if i.DeploymentID != p.target.ID {
			p.add(StepKeep, i, "runs the same containers")
		}
	}
	for n := 1; n <= p.target.After; n++ {
		if _, ok := p.members[n]; !ok {
			p.missing = append(p.missing, n)
		}
	}
}

// preference orders the candidates for one replica number: the target's own, then those that serve.
func preference(i fleet.Instance, targetID string) int {
	switch {
	case i.DeploymentID == targetID:
		return 0
	case serves(i):
		return 1
	default:
		return 2
	}
}

func (p *planner) sameContainers(i fleet.Instance) bool {
	if i.DeploymentID == p.target.ID {
		return true
	}
	d, ok := p.state.Deployments[i.DeploymentID]
	return ok && d.ImageDigest == p.target.ImageDigest && d.Spec.SameContainers(p.target.Spec) && i.Current != fleet.StatusFailed
}

// rollout plans the deployment in progress: create the new replicas, wait until
// they are healthy, remove the others, complete. A replica that fails fails the
// deployment.
func (p *planner) rollout() {
	if len(p.out.Steps) > 0 {
		return // keep first: members must belong to the target before they are judged
	}
	if p.failed() {
		return
	}
	p.fill()
	waiting := false
	for _, i := range p.ordered() {
		switch {
		case p.converge(i):
		case serves(i) || heldBack(i):
		default:
			waiting = true
			p.await(i)
		}
	}
	if waiting || p.busy() {
		return
	}
	if len(p.others) > 0 {
		p.removeOthers("replaced")
		return
	}
	p.add(StepComplete, fleet.Instance{}, "")
}

// busy reports whether the outline holds steps that change something.
func (p *planner) busy() bool {
	return slices.ContainsFunc(p.out.Steps, func(s Step) bool { return s.Kind != StepAwaitHealthy })
}

// failed plans the end of a rollout one of whose own replicas failed.
func (p *planner) failed() bool {
	for _, i := range p.ordered() {
		if i.CreatedAt.Before(p.target.StartedAt) {
			continue // kept from before: repaired like in a steady state
		}
		if reason := p.failure(i); reason != "" {
			p.out = Outline{}
			p.add(StepFail, i, reason)
			return true
		}
	}
	return false
}

func (p *planner) failure(i fleet.Instance) string {
	switch {
	case i.Desired != fleet.StatusRunning:
		return ""
	case i.Current == fleet.StatusFailed:
		return cmp.Or(i.Error, "failed")
	case i.StartedAt == nil && !p.now.Before(i.CreatedAt.Add(HealthyDeadline)):
		return fmt.Sprintf("could not be started within %s: %s", HealthyDeadline, cmp.Or(i.Error, "the engine did not get to it"))
	case i.Current == fleet.StatusRunning && i.Health == fleet.HealthUnhealthy:
		return "is unhealthy" + lastCheck(i)
	case i.Current == fleet.StatusRunning && i.Health != fleet.HealthHealthy && i.StartedAt != nil && !p.now.Before(i.StartedAt.Add(HealthyDeadline)):
		return fmt.Sprintf("was not healthy within %s of its start%s", HealthyDeadline, lastCheck(i))
	default:
		return ""
	}
}

func lastCheck(i fleet.Instance) string {
	if len(i.Checks) == 0 {
		return ""
	}
	return ": " + i.Checks[len(i.Checks)-1].Details
}

// await notes that the rollout waits for an instance's health, and until when.
func (p *planner) await(i fleet.Instance) {
	p.add(StepAwaitHealthy, i, "")
	if i.StartedAt != nil {
		p.recheck(i.StartedAt.Add(HealthyDeadline))
	}
}

// steady plans a target that is live: its replicas are repaired, others removed.
func (p *planner) steady() {
	p.fill()
	for _, i := range p.ordered() {
		p.converge(i)
	}
	p.removeOthers("not part of the live deployment")
}

func (p *planner) fill() {
	if len(p.missing) == 0 && !slices.ContainsFunc(p.ordered(), needsContainer) {
		return
	}
	p.add(StepPull, fleet.Instance{}, "")
	for _, n := range p.missing {
		p.add(StepAdd, fleet.Instance{Replica: n}, "")
	}
}

func needsContainer(i fleet.Instance) bool {
	return i.Desired == fleet.StatusRunning && i.ContainerID == "" && i.Current != fleet.StatusFailed
}

// converge plans the step that brings a member to its desired status, and
// reports whether there is one.
func (p *planner) converge(i fleet.Instance) bool {
	switch {
	case i.Desired == fleet.StatusStopped:
		if i.Current == fleet.StatusStopped || i.ContainerID == "" && i.Current == fleet.StatusFailed {
			return false
		}
		p.add(StepStop, i, "asked to stop")
	case i.Current == fleet.StatusFailed:
		return p.repair(i)
	case i.ContainerID == "":
		p.add(StepCreate, i, "")
	case i.Current != fleet.StatusRunning:
		p.add(StepStart, i, "")
	case restartDue(i):
		p.add(StepRestart, i, "asked to restart")
	default:
		return false
	}
	return true
}

func restartDue(i fleet.Instance) bool {
	return i.RestartRequested != nil && (i.StartedAt == nil || i.RestartRequested.After(*i.StartedAt))
}

// repair plans the restart of an instance that ended by itself.
func (p *planner) repair(i fleet.Instance) bool {
	at, ok := NextStart(i.RecentExits)
	switch {
	case !ok:
		return false
	case at.After(p.now):
		p.recheck(at)
		return false
	case i.ContainerID == "":
		p.add(StepPull, fleet.Instance{}, "")
		p.add(StepCreate, i, "ended by itself")
	default:
		p.add(StepStart, i, "ended by itself")
	}
	return true
}

func (p *planner) removeOthers(reason string) {
	p.out.Steps = append(p.out.Steps, removeAll(p.others, reason)...)
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

// serves reports whether an instance is as wanted and healthy.
func serves(i fleet.Instance) bool {
	return i.Current == fleet.StatusRunning && i.Health == fleet.HealthHealthy
}

// heldBack reports whether a user keeps the instance stopped.
func heldBack(i fleet.Instance) bool {
	return i.Desired == fleet.StatusStopped && i.Current == fleet.StatusStopped
}
