package autoscale

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// trail is the way from what a policy wanted to what the limits leave of it.
type trail struct {
	current, wanted, value int
	// limit is the last limit that led away from what was wanted.
	limit string
	// kept says that a change was held back altogether.
	kept    bool
	policy  fleet.ScalingPolicy
	reasons []string
	// reading is what the policy saw; nil where no policy can say what it wants.
	reading *fleet.ScalingReading
}

// trailsOf are the ways of all policies that can say what they want, below the upper
// bound and with missing metrics seen to; the one that wants what there is, if none can.
func trailsOf(s fleet.ScalingState, wishes []wish, most bound) []*trail {
	var trails []*trail
	partial, reasons := false, []string(nil)
	for k, w := range wishes {
		partial = partial || w.partial
		if w.known {
			trails = append(trails, &trail{
				current: s.Replicas, wanted: w.replicas, value: w.replicas,
				policy: w.policy, reasons: []string{w.because}, reading: &wishes[k].reading,
			})
		} else if w.because != "" {
			reasons = append(reasons, w.because)
		}
	}
	if len(trails) == 0 {
		trails = []*trail{{current: s.Replicas, wanted: s.Replicas, value: s.Replicas, reasons: reasons}}
	}
	for _, t := range trails {
		if t.value > most.replicas {
			t.to(most.replicas, most.limit, atMost(most))
		}
		if partial && t.value < t.current {
			t.to(t.current, fleet.LimitMissingMetrics, "none is removed while a replica's metric is missing")
		}
	}
	return trails
}

// largest is the way that leads to the most replicas; of several, the one whose
// policy wanted the most, and of these the first.
func largest(trails []*trail) *trail {
	return slices.MaxFunc(trails, func(a, b *trail) int {
		return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.wanted, b.wanted))
	})
}

// to leads to another value because of a limit.
func (t *trail) to(value int, limit, reason string) {
	if value == t.value {
		return
	}
	away := distance(value, t.wanted) > distance(t.value, t.wanted)
	switch {
	case away:
		t.limit = limit
	case value != t.wanted: // a part of the way back
	case value == t.current: // held where a bound would have led away
		t.limit, t.kept = limit, true
	default:
		t.limit = ""
	}
	t.value = value
	t.reasons = append(t.reasons, reason)
}

func distance(a, b int) int { return max(a-b, b-a) }

func atMost(b bound) string { return fmt.Sprintf("at most %d, %s", b.replicas, b.whose) }

// stabilize removes only what nobody recommended within the window.
func (t *trail) stabilize(now time.Time, list []fleet.Recommendation) {
	window := t.policy.Rules.StabilizationWindow
	if t.value >= t.current || window <= 0 {
		return
	}
	most := highest(now, list, window)
	t.to(max(t.value, min(t.current, most)), fleet.LimitStabilization,
		fmt.Sprintf("up to %d recommended within the last %d s", most, window))
}

// ratesAndCooldowns slow down what changes the number of replicas again.
func (t *trail) ratesAndCooldowns(now time.Time, changes []fleet.ReplicaChange) {
	r := t.policy.Rules
	period := time.Duration(r.ScalePeriod) * time.Second
	if period <= 0 {
		period = time.Minute
	}
	added, removed, last := recent(now, changes, period, t.value > t.current)
	rate := func(verb string, most, done int) string {
		return fmt.Sprintf("at most %d %s within %s, of which %d are", most, verb, seconds(period), done)
	}
	switch up, down := r.MaxScaleUp, r.MaxScaleDown; {
	case t.value > t.current && up > 0:
		t.to(min(t.value, t.current+max(0, up-added)), fleet.LimitMaxScaleUp, rate("added", up, min(added, up)))
	case t.value < t.current && down > 0:
		t.to(max(t.value, t.current-max(0, down-removed)), fleet.LimitMaxScaleDown, rate("removed", down, min(removed, down)))
	}
	if last == nil {
		return
	}
	cooldown, limit := time.Duration(r.ScaleUpCooldown)*time.Second, fleet.LimitScaleUpCooldown
	if t.value < t.current {
		cooldown, limit = time.Duration(r.ScaleDownCooldown)*time.Second, fleet.LimitScaleDownCooldown
	}
	if since, _ := distanceTo(now, *last, false); since < cooldown {
		t.to(t.current, limit, fmt.Sprintf("%s holds for another %s, after the change %s", limit, seconds(cooldown-now.Sub(*last)), ago(now, *last)))
	}
}

// distanceTo is how far a time is away from now, and whether what was then slows
// down adding, or removing. What lies in the future was dated before the clock was
// put back: it never slows down adding, and removing for as long on either side of
// its time, not for as long as the clock takes to catch up.
func distanceTo(now, at time.Time, adding bool) (since time.Duration, counts bool) {
	if since = now.Sub(at); since >= 0 {
		return since, true
	}
	return -since, !adding
}

// recent is how many replicas were added and removed within the period, and the
// change of their number that is nearest to now; nil for none.
func recent(now time.Time, changes []fleet.ReplicaChange, period time.Duration, adding bool) (added, removed int, last *time.Time) {
	nearest := time.Duration(math.MaxInt64)
	for _, c := range changes {
		since, counts := distanceTo(now, c.At, adding)
		if !counts || c.Before == c.After {
			continue
		}
		if since <= nearest {
			nearest, last = since, &c.At
		}
		if since < period {
			added += max(0, c.After-c.Before)
			removed += max(0, c.Before-c.After)
		}
	}
	return added, removed, last
}

// bound brings the value into the bounds that hold at once, whatever the limits
// before said: the lower ones, and the definition's.
func (t *trail) bound(b bounds) {
	switch {
	case t.value < b.least.replicas:
		t.to(b.least.replicas, b.least.limit, fmt.Sprintf("at least %d, %s", b.least.replicas, b.least.whose))
	case t.value > b.ceiling.replicas:
		t.to(b.ceiling.replicas, b.ceiling.limit, atMost(b.ceiling))
	}
}

// failed keeps everything for a while after a scaling has failed, and for longer the
// more have failed in a row.
func (t *trail) failed(now time.Time, f *fleet.ScalingFailure) {
	if f == nil {
		return
	}
	hold := holdAfter(f.InARow)
	if since, counts := distanceTo(now, f.At, t.value > t.current); !counts || since >= hold {
		return
	}
	what := fmt.Sprintf("scaling %s has failed", f.DeploymentID)
	if f.InARow > 1 {
		what = fmt.Sprintf("%d scalings in a row have failed, %s the last", f.InARow, f.DeploymentID)
	}
	t.keep(fleet.LimitFailedScaling, fmt.Sprintf("%s, and none is tried until %s", what, f.At.Add(hold).UTC().Format("15:04:05 MST")))
}

// holdAfter is how long nothing is tried after so many scalings in a row have failed.
func holdAfter(failures int) time.Duration {
	hold := FailureHold
	for range failures - 1 {
		hold = min(2*hold, LongestFailureHold)
	}
	return hold
}

// busy keeps everything while a deployment is in progress; to one that adds
// replicas on the autoscaler's own account more may be added.
func (t *trail) busy(s fleet.ScalingState) {
	if s.Busy == "" || s.Scaling && t.value > t.current {
		return
	}
	t.keep(fleet.LimitDeploymentInProgress, fmt.Sprintf("deployment %s is in progress", s.Busy))
}

// keep leaves all as it is.
func (t *trail) keep(limit, reason string) {
	if t.value == t.current {
		return
	}
	t.value, t.limit, t.kept = t.current, limit, true
	t.reasons = append(t.reasons, reason)
}

// refused is a decision to scale that could not be begun.
func refused(d fleet.ScalingDecision, err error) fleet.ScalingDecision {
	d.Outcome, d.Limited, d.Limit, d.DeploymentID = fleet.OutcomeLimited, d.Current, fleet.LimitRefused, ""
	d.Reason += fmt.Sprintf("; refused: %v; it stays at %s", err, replicas(int(d.Current)))
	return d
}

// decision is what it came to.
func (t *trail) decision(now time.Time, s fleet.ScalingState, wishes []wish) *fleet.ScalingDecision {
	d := newDecision(now, s, fleet.UnitReplicas)
	d.PolicyID, d.PolicyName = t.policy.ID, t.policy.Name
	d.Current, d.Wanted, d.Limited, d.Limit = int64(t.current), int64(t.wanted), int64(t.value), t.limit
	end := ""
	switch {
	case t.value > t.current:
		d.Outcome, end = fleet.OutcomeScaledUp, fmt.Sprintf("from %d to %s", t.current, replicas(t.value))
	case t.value < t.current:
		d.Outcome, end = fleet.OutcomeScaledDown, fmt.Sprintf("from %d to %s", t.current, replicas(t.value))
	case t.wanted != t.current || t.kept:
		d.Outcome, end = fleet.OutcomeLimited, "it stays at "+replicas(t.current)
	default:
		if d.Outcome = fleet.OutcomeNoChange; t.reading == nil { // no policy can say what it wants
			end = "it stays at " + replicas(t.current)
		}
	}
	if end != "" {
		t.reasons = append(t.reasons, end)
	}
	d.Reason = strings.Join(t.reasons, "; ")
	for _, w := range wishes {
		if w.reading.PolicyName != "" || w.reading.PolicyID != "" {
			d.Inputs = append(d.Inputs, w.reading)
		}
	}
	return &d
}
