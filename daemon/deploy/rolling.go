package deploy

import "github.com/wedsync/terraform-provider-wedsync/daemon/fleet"

// rolling exchanges replicas a few at a time. At most the wanted number and the
// surge are there at once, not counting those that are out of service, and at
// least the wanted number less the unavailable ones serve, as far as they served
// before.
//
// What does not serve and never will goes first, then what does not serve at
// present, then what serves; each only as far as new replicas that have proved
// themselves make up for it. These bounds are those of a Kubernetes Deployment.
func (p *planner) rolling() {
	old := p.retireHopeless(p.inService())
	p.addUpTo(p.target.After, p.room(len(old)))
	p.awaitMembers()
	p.retireSpare(old)
	p.clearOut()
	p.finish()
}

// room is how many new replicas may be added now.
func (p *planner) room(old int) int {
	there := len(p.members) + old
	if !p.target.Rollout.StartFirst {
		there = len(p.members) + len(p.others) // those that drain still run
	}
	return p.target.After + p.target.Rollout.Surge(p.target.After) - there
}

// addUpTo plans the intents for missing replicas up to a number, at most room of them.
func (p *planner) addUpTo(number, room int) {
	for _, n := range p.missing {
		if n > number || room <= 0 {
			return
		}
		p.add(StepAdd, fleet.Instance{Replica: n}, "")
		room--
	}
}

// retireHopeless takes out of service what does not serve and was not live, or is too
// many, and returns the rest.
func (p *planner) retireHopeless(old []fleet.Instance) []fleet.Instance {
	var rest []fleet.Instance
	for _, i := range old {
		switch {
		case i.Desired == fleet.StatusTerminated, !serves(i) && (p.recounts() || !p.runs(i, p.state.Live)):
			p.add(StepDrain, i, "does not serve")
		default:
			rest = append(rest, i)
		}
	}
	return rest
}

// retireSpare takes old replicas out of service that new ones make up for.
func (p *planner) retireSpare(old []fleet.Instance) {
	least := p.target.After - p.target.Rollout.Unavailable(p.target.After)
	ready, serving := 0, 0
	for _, i := range p.members {
		if p.ready(i) {
			ready++
		}
	}
	for _, i := range old {
		if serves(i) {
			serving++
		}
	}
	bound := ready + len(old) - least
	spare := ready + serving - least
	for _, i := range old {
		if !serves(i) && bound > 0 {
			p.add(StepDrain, i, "replaced")
			bound--
		}
	}
	for _, i := range old {
		if serves(i) && bound > 0 && spare > 0 {
			p.add(StepDrain, i, "replaced")
			bound--
			spare--
		}
	}
}
