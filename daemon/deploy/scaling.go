package deploy

import (
	"fmt"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// A scaling changes nothing but a number. The replicas that there were before are of
// the same version and settings, so they are no matter of its own; and when it
// fails, those of its own that have proved themselves are as good as these, and stay.

// revokes reports whether the target takes back a scaling that did not complete.
func (p *planner) revokes() bool {
	undone := p.state.Deployments[p.target.RollbackOfID]
	return p.target.Type == fleet.TypeRollback && p.state.Live != nil && p.target.RollbackTargetID == p.state.Live.ID &&
		undone.Type == fleet.TypeScale && undone.Status == fleet.DeploymentFailed
}

// recounts reports whether the target changes nothing but the number of replicas.
// Others are then not replaced but too many: they are not repaired, and those that do
// not serve go at once.
func (p *planner) recounts() bool { return p.target.Type == fleet.TypeScale || p.revokes() }

// former reports whether a member is none that the target had to bring: for a
// scaling those up to the number that is live, for the rollback of one all. They are
// repaired like in a steady state, and their failure is not the target's.
func (p *planner) former(i fleet.Instance) bool {
	return p.target.Type == fleet.TypeScale && i.Replica <= p.target.Before || p.revokes()
}

// giveWay gives the numbers that stay to replicas that serve, so that a scaling down
// removes first what does not. What a user has asked to stop keeps its number.
func (p *planner) giveWay(candidates []fleet.Instance) {
	taken := make(map[int]bool)
	for _, i := range candidates {
		taken[i.Replica] = taken[i.Replica] || p.fits(i) && (i.Desired == fleet.StatusStopped || i.Desired == fleet.StatusRunning && serves(i))
	}
	next := 1
	for k, i := range candidates {
		if i.Replica <= p.target.After || !serves(i) || i.Desired != fleet.StatusRunning || !p.fits(i) {
			continue
		}
		for taken[next] {
			next++
		}
		if next > p.target.After {
			return
		}
		candidates[k].Replica = next
		taken[next] = true
	}
}

// closeRanks gives what a failed scaling leaves the numbers that follow those of the
// live replicas, as a gap is left where one failed. What belongs to the target has its number.
func (p *planner) closeRanks(candidates []fleet.Instance) {
	taken := make(map[int]bool)
	for _, i := range candidates {
		taken[i.Replica] = taken[i.Replica] || i.DeploymentID == p.target.ID
	}
	next := p.target.Before
	for k, i := range candidates {
		if i.DeploymentID == p.target.ID || i.Replica <= p.target.Before || i.Desired == fleet.StatusTerminated || !p.fits(i) {
			continue
		}
		next++
		for taken[next] {
			next++
		}
		candidates[k].Replica = next
	}
}

// remaining is how many replicas stay when the target, a scaling, fails, and why in
// a sentence: those that are live, and of the new ones those that have proved themselves.
func remaining(s fleet.WorkloadState, now time.Time) (replicas int, why string) {
	p := newPlanner(s, now)
	proved := 0
	for _, i := range p.members {
		if i.Replica > s.Live.After && p.proved(i) {
			proved++
		}
	}
	if proved == 0 {
		return s.Live.After, ""
	}
	return s.Live.After + proved, fmt.Sprintf("%d of %d replicas remain: %d from before, and %d new, healthy for long enough to count",
		s.Live.After+proved, s.Target.After, s.Live.After, proved)
}
