package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// rollout plans the deployment in progress: what its strategy wants next, after
// what holds in every strategy.
func (p *planner) rollout() {
	switch {
	case len(p.out.Steps) > 0:
		return // keep first: members must belong to the target before they are judged
	case p.target.Removal:
		p.undeploy()
		return
	case p.failed():
		return
	}
	p.tend()
	switch {
	case p.target.State.PausedAt != nil:
		p.add(StepPaused, fleet.Instance{}, "")
		return
	case p.needsImage():
		p.add(StepPull, fleet.Instance{}, "")
	case p.replaces() && p.target.Strategy == fleet.StrategyBlueGreen:
		p.blueGreen()
	case p.replaces() && p.target.Strategy == fleet.StrategyCanary:
		p.canary()
	default:
		p.rolling()
	}
	p.overdue()
}

// settings are those that the target is carried out by. A rollback hurries: all at
// once, and what has been stable before need not prove itself for as long again.
// Whether it may start first is for what it undoes to say, since that has to run
// beside it; if not, so is how many may be missing at a time, since nobody serves in
// the place of one that ends its requests. What takes back a scaling starts nothing,
// and removes what is too many.
//
// It drains like every deployment: what serves may have requests, whatever is
// thought of its version.
func (p *planner) settings() grammar.Rollout {
	r := p.target.Rollout
	if p.target.Type != fleet.TypeRollback || p.target.Status != fleet.DeploymentInProgress {
		return r
	}
	if undone, ok := p.state.Deployments[p.target.RollbackOfID]; ok {
		r.StartFirst, r.MaxUnavailable = undone.Rollout.StartFirst, undone.Rollout.MaxUnavailable
	}
	r.MinHealthyTime, r.MaxSurge = 0, "0"
	if r.StartFirst {
		r.MaxSurge, r.MaxUnavailable = "100%", "0"
	}
	if p.revokes() {
		r.MaxUnavailable = "100%"
	}
	return r
}

// undeploy removes everything at the same time: nobody is left to take over from it.
func (p *planner) undeploy() {
	for _, i := range p.others {
		p.retire(i, "the definition is taken out of the environment")
	}
	if len(p.others) == 0 {
		p.add(StepComplete, fleet.Instance{}, "")
	}
}

// replaces reports whether the rollout exchanges containers for others, rather
// than to begin, or to change their number.
func (p *planner) replaces() bool {
	for _, i := range p.others {
		if !p.runs(i, &p.target) {
			return true
		}
	}
	return false
}

// needsImage reports whether containers have to be created and the image has not
// been made sure of. Nothing old is touched before it has. What takes back a scaling
// brings nothing that it could not do without.
func (p *planner) needsImage() bool {
	if p.target.State.PulledAt != nil || p.revokes() {
		return false
	}
	if len(p.missing) > 0 {
		return true
	}
	for _, i := range p.members {
		if needsContainer(i) {
			return true
		}
	}
	return false
}

func needsContainer(i fleet.Instance) bool {
	return i.Desired == fleet.StatusRunning && i.ContainerID == "" && i.Current != fleet.StatusFailed
}

// tend keeps what is in service as it should be: the members, and of the others
// those that were live, because they serve until they are replaced.
func (p *planner) tend() {
	waits := p.target.State.PausedAt != nil || p.needsImage()
	for _, i := range p.ordered() {
		if !waits || !needsContainer(i) {
			p.converge(i)
		}
	}
	if p.recounts() {
		return
	}
	for _, i := range p.others {
		if i.DrainingSince == nil && i.Desired != fleet.StatusTerminated && p.runs(i, p.state.Live) {
			p.converge(i)
		}
	}
}

// failed plans the end of a rollout one of whose own replicas failed.
func (p *planner) failed() bool {
	for _, i := range p.ordered() {
		reason := p.failure(i)
		switch {
		case p.former(i):
			continue
		case i.CreatedAt.Before(p.target.StartedAt):
			reason = keptFailure(i)
		}
		if reason != "" {
			p.fail(i, reason)
			return true
		}
	}
	return false
}

// fail plans the end of the deployment and nothing else.
func (p *planner) fail(i fleet.Instance, reason string) {
	p.out = Outline{}
	p.add(StepFail, i, reason)
}

// failure is why a new replica fails its deployment; empty when it does not.
func (p *planner) failure(i fleet.Instance) string {
	deadline := seconds(p.target.Rollout.HealthyDeadline)
	switch {
	case i.Desired != fleet.StatusRunning:
		return ""
	case i.Current == fleet.StatusFailed:
		return cmp.Or(i.Error, "failed")
	case i.StartedAt == nil && !p.now.Before(p.healthyBy(i)):
		return fmt.Sprintf("could not be started within %s: %s", deadline, cmp.Or(i.Error, "the engine did not get to it"))
	case i.Current != fleet.StatusRunning || p.settled(i):
		return ""
	case i.Health == fleet.HealthUnhealthy:
		return illness(i)
	case !p.now.Before(p.healthyBy(i)):
		return fmt.Sprintf("has not been healthy for %s within %s of its start%s", seconds(p.target.Rollout.MinHealthyTime), deadline, lastCheck(i))
	default:
		return ""
	}
}

// keptFailure is why a replica that was kept from before fails the deployment: it
// is repaired like in a steady state, but a crash loop is not.
func keptFailure(i fleet.Instance) string {
	if !givenUp(i) || i.Desired != fleet.StatusRunning {
		return ""
	}
	return cmp.Or(i.Error, "is in a crash loop")
}

// illness is that an instance is unhealthy, and the last failed check, which
// others may have followed that could not be made.
func illness(i fleet.Instance) string {
	for _, c := range slices.Backward(i.Checks) {
		if c.Status == fleet.HealthUnhealthy {
			return "is unhealthy: " + c.Details
		}
	}
	return "is unhealthy" + lastCheck(i)
}

func lastCheck(i fleet.Instance) string {
	if len(i.Checks) == 0 {
		return ""
	}
	return ": " + i.Checks[len(i.Checks)-1].Details
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// settled reports whether a replica has proved itself: every check has passed for
// the minimum time, with one that began after it. Time alone proves nothing of a
// replica that is checked: its next check may be hanging.
func (p *planner) settled(i fleet.Instance) bool { return p.passes(i, p.target.Rollout) }

// proved reports whether a replica that serves has proved itself once in its run,
// though a check may have failed since, by the settings that the target has in its row.
func (p *planner) proved(i fleet.Instance) bool {
	return serves(i) && i.SettledAt != nil || p.passes(i, p.state.Target.Rollout)
}

// passes reports whether a replica has proved itself by the settings of a rollout.
func (p *planner) passes(i fleet.Instance, r grammar.Rollout) bool {
	at, ok := settlesAt(i, seconds(r.MinHealthyTime))
	if !ok || p.now.Before(at) {
		return false
	}
	return p.target.Spec.HealthCheck == nil || i.LastCheck != nil && !i.LastCheck.Before(at)
}

// settlesAt is when a replica will have been healthy for long enough if no check
// fails; false while it is not healthy.
func settlesAt(i fleet.Instance, least time.Duration) (time.Time, bool) {
	switch {
	case !serves(i):
		return time.Time{}, false
	case least == 0:
		return time.Time{}, true
	case i.HealthySince == nil:
		return time.Time{}, false
	default:
		return i.HealthySince.Add(least), true
	}
}

// ready reports whether nothing has to be waited for with a member any more.
func (p *planner) ready(i fleet.Instance) bool {
	return p.settled(i) || heldBack(i) || p.former(i) && serves(i)
}

// awaits reports whether the target waits for a member.
func (p *planner) awaits(i fleet.Instance) bool { return !p.ready(i) && !p.former(i) }

// awaitMembers plans to wait for members, and reports whether it has to.
func (p *planner) awaitMembers() bool {
	waiting := false
	for _, i := range p.ordered() {
		if !p.awaits(i) {
			continue
		}
		waiting = true
		p.add(StepAwaitHealthy, i, "")
		if at, ok := settlesAt(i, seconds(p.target.Rollout.MinHealthyTime)); ok {
			p.recheck(at)
		}
		if deadline := p.healthyBy(i); p.now.Before(deadline) {
			p.recheck(deadline)
		}
	}
	return waiting
}

// healthyBy is when a replica has to have proved itself.
func (p *planner) healthyBy(i fleet.Instance) time.Time {
	from := i.CreatedAt
	if i.StartedAt != nil {
		from = *i.StartedAt
	}
	return from.Add(seconds(p.target.Rollout.HealthyDeadline))
}

// overdue fails a rollout that waits for replicas, or for the image, and has
// seen no progress until its deadline. A replica that could be added at last is some:
// what there was to wait for before, as a drain or a canary's pause, has its own time.
func (p *planner) overdue() {
	var waiting []string
	var first fleet.Instance
	since := p.target.StartedAt
	if at := p.target.State.ProgressAt; at != nil && at.After(since) {
		since = *at
	}
	for _, s := range p.out.Steps {
		if s.Kind == StepAwaitHealthy || s.Kind == StepPull {
			waiting = append(waiting, s.String())
			if first.ID == "" {
				first = s.Instance
			}
			if s.Instance.CreatedAt.After(since) {
				since = s.Instance.CreatedAt
			}
		}
	}
	if len(waiting) == 0 {
		return
	}
	deadline := seconds(p.target.Rollout.ProgressDeadline)
	if p.now.Before(since.Add(deadline)) {
		p.recheck(since.Add(deadline))
		return
	}
	reason := fmt.Sprintf("no progress within %s; it waited for: %s", deadline, strings.Join(waiting, ", "))
	if p.target.State.Trouble != "" {
		reason += "; " + p.target.State.Trouble
	}
	p.fail(first, reason)
}

// inService are the others that have not been taken out of service.
func (p *planner) inService() []fleet.Instance {
	var list []fleet.Instance
	for _, i := range p.others {
		if i.DrainingSince == nil {
			list = append(list, i)
		}
	}
	return list
}

// clearOut plans what becomes of the others that are out of service: they are
// removed once they are drained.
func (p *planner) clearOut() {
	for _, i := range p.others {
		if i.DrainingSince != nil {
			p.retire(i, "replaced")
		}
	}
}

// finish completes the deployment when it waits for no replica and nothing else is left.
func (p *planner) finish() {
	for _, i := range p.members {
		if p.awaits(i) {
			return
		}
	}
	if len(p.missing) == 0 && len(p.others) == 0 {
		p.add(StepComplete, fleet.Instance{}, "")
	}
}

// Progress counts a deployment's steps: each new replica is created and becomes
// healthy, each old one is removed, and the deployment is completed.
type Progress struct {
	Total, Done int
	// Settled is how many of the replicas have proved themselves.
	Settled int
	// Current is what is being done, or waited for.
	Current string
}

func (p *planner) progress() Progress {
	created, settled := 0, 0
	for _, i := range p.members {
		if i.ContainerID != "" || heldBack(i) {
			created++
		}
		if p.ready(i) {
			settled++
		}
	}
	old := max(p.target.Before, len(p.others))
	done := created + settled
	if settled == p.target.After || p.target.Strategy == fleet.StrategyRollingUpdate {
		done += old - len(p.others)
	}
	return Progress{Total: 2*p.target.After + old + 1, Done: done, Settled: settled, Current: p.current()}
}

// current is the step that says best what goes on.
func (p *planner) current() string {
	for _, waits := range []bool{false, true} {
		for _, s := range p.out.Steps {
			if s.Kind.waits() == waits {
				return s.String()
			}
		}
	}
	return ""
}
