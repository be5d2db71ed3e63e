package deploy

import (
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// all is the weight of a set that gets every request.
const all = 100

// blueGreen makes a whole new set beside the old one, cuts over at once when it
// has proved itself, and keeps the old one warm for a while.
func (p *planner) blueGreen() {
	p.retireSuperseded()
	p.shift(all)
}

// canary lets a growing share of the requests, and of the replicas, go to the
// new version, while the old set stays whole.
func (p *planner) canary() {
	p.retireSuperseded()
	weight := p.weight()
	next := all
	if p.target.State.PromotedAt == nil {
		next = p.nextWeight(weight)
	}
	if next == weight && weight < all {
		p.addUpTo(p.canaries(weight), p.target.After)
		p.awaitMembers()
		p.out.Steps = append(p.out.Steps, Step{Kind: StepWatchCanary, Weight: weight})
		return
	}
	p.shift(next)
}

func (p *planner) weight() int {
	if w := p.target.State.Weight; w != nil {
		return *w
	}
	return 0
}

// weightSince is since when the weight is as it is.
func (p *planner) weightSince() time.Time {
	if at := p.target.State.WeightAt; at != nil {
		return *at
	}
	return p.target.StartedAt
}

// nextWeight is the weight to go for: the present one while its step lasts.
func (p *planner) nextWeight(weight int) int {
	for _, s := range p.target.Rollout.CanarySteps {
		if s.Weight == weight {
			if until := p.weightSince().Add(seconds(s.Pause)); p.now.Before(until) {
				p.recheck(until)
				return weight
			}
		}
		if s.Weight > weight {
			return s.Weight
		}
	}
	return all
}

// canaries is how many replicas a weight needs.
func (p *planner) canaries(weight int) int {
	return max((p.target.After*weight+all-1)/all, min(1, p.target.After))
}

// shift makes the replicas that a weight needs, waits until they have proved
// themselves, and then shifts the requests; all of them only when that is
// promoted. Once all are shifted it follows the old set to its end.
func (p *planner) shift(weight int) {
	p.addUpTo(p.canaries(weight), p.target.After)
	waiting := p.awaitMembers()
	switch {
	case p.weight() == all:
		p.leaveOld(waiting)
	case waiting || len(p.members) < p.canaries(weight):
	case weight == all && !p.target.Rollout.AutoPromote && p.target.State.PromotedAt == nil:
		p.add(StepAwaitPromotion, fleet.Instance{}, "")
	default:
		p.out.Steps = append(p.out.Steps, Step{Kind: StepSetWeight, Weight: weight})
	}
}

// leaveOld takes the old set out of service after the cut-over, keeps it warm
// for its time, and removes it, unless the new one has become doubtful meanwhile.
func (p *planner) leaveOld(doubtful bool) {
	for _, i := range p.inService() {
		p.add(StepDrain, i, "cut over")
	}
	if until := p.weightSince().Add(seconds(p.target.Rollout.KeepWarmTime)); p.now.Before(until) {
		p.add(StepKeepWarm, fleet.Instance{}, "")
		p.recheck(until)
		return
	}
	if doubtful {
		return
	}
	p.clearOut()
	p.finish()
}

// retireSuperseded takes out of service what an unfinished deployment has left,
// unless it serves and the live set alone would be too small.
func (p *planner) retireSuperseded() {
	live := 0
	for _, i := range p.inService() {
		if serves(i) && p.runs(i, p.state.Live) {
			live++
		}
	}
	whole := p.state.Live != nil && live >= p.state.Live.After
	for _, i := range p.inService() {
		if !p.runs(i, p.state.Live) && (whole || !serves(i)) || i.Desired == fleet.StatusTerminated {
			p.add(StepDrain, i, "superseded")
		}
	}
	if p.weight() < all {
		p.clearOut()
	}
}
