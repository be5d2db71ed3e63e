package autoscale

import (
	"slices"
	"strings"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Tolerance is how far, in parts of the target, a metric may be off before
// anything is changed.
const Tolerance = 0.1

// FailureHold is how long nothing is tried after a scaling has failed. It doubles with
// each further one that fails in a row, up to LongestFailureHold, so that what can
// never succeed is not tried for ever.
const (
	FailureHold        = time.Minute
	LongestFailureHold = 30 * time.Minute
)

// Verdict is what an evaluation came to: rows to write and changes to make. Its
// decisions lack the identifiers that the store gives them.
type Verdict struct {
	// Decision is about the number of replicas; nil if no policy decides on it.
	Decision *fleet.ScalingDecision
	// Scale says that Replicas is to become the number of replicas.
	Scale    bool
	Replicas int
	// Recommendations are to be kept for the next evaluation. Recommended says that
	// they are others than those in the state.
	Recommendations []fleet.Recommendation
	Recommended     bool
	// Resizes are about the limits of each replica: one decision for each resource
	// that a policy resizes.
	Resizes []fleet.ScalingDecision
	// Resize is what a replica may use from now on; nil to leave it as it is.
	Resize *fleet.Resources
}

// Decide is what becomes of a workload. It returns the same for the same state and
// changes nothing of it.
func Decide(now time.Time, s fleet.ScalingState) Verdict {
	v := decideReplicas(now, s)
	decideLimits(now, s, &v)
	return v
}

// newDecision is a decision on a workload that holds nothing but that.
func newDecision(now time.Time, s fleet.ScalingState, unit string) fleet.ScalingDecision {
	return fleet.ScalingDecision{
		DefinitionID: s.DefinitionID, DefinitionName: s.DefinitionName, Environment: s.Environment,
		Unit: unit, Evaluations: 1, DecidedAt: now, LastEvaluatedAt: now,
	}
}

// wish is what one policy wants.
type wish struct {
	policy   fleet.ScalingPolicy
	replicas int
	// known is false for a policy that can't say: it has no metric, or its window is closed.
	known bool
	// partial says that metrics are missing, so that fewer replicas must not follow.
	partial bool
	reading fleet.ScalingReading
	// because says what led to it.
	because string
}

// decideReplicas is the part of Decide that is about the number of replicas.
func decideReplicas(now time.Time, s fleet.ScalingState) Verdict {
	v := Verdict{Replicas: s.Replicas, Recommendations: s.Recommendations}
	var horizontal, scheduled []fleet.ScalingPolicy
	for _, p := range s.Policies {
		switch p.Rules.Type {
		case grammar.Horizontal:
			horizontal = append(horizontal, p)
		case grammar.Scheduled:
			scheduled = append(scheduled, p)
		}
	}
	if len(horizontal)+len(scheduled) == 0 {
		return v
	}
	windows := windowsAt(now, scheduled)
	bounds := boundsOf(s.Range, horizontal, windows)
	wishes := make([]wish, 0, len(s.Policies))
	for _, p := range horizontal {
		wishes = append(wishes, wishOf(p, s))
	}
	for _, w := range windows {
		wishes = append(wishes, w.wish(s.Range))
	}
	if len(horizontal) == 0 && !slices.ContainsFunc(windows, func(w window) bool { return w.open }) {
		wishes = append(wishes, restWish(bounds))
	}
	trails := trailsOf(s, wishes, bounds.most)
	v.Recommendations, v.Recommended = remember(now, s, largest(trails).value, longestWindow(horizontal))
	for _, t := range trails {
		t.stabilize(now, v.Recommendations)
		t.ratesAndCooldowns(now, s.Changes)
	}
	t := largest(trails)
	for _, other := range trails {
		if other != t && other.limit != "" {
			other.reading.Note = strings.Join(other.reasons[1:], "; ")
		}
	}
	t.bound(bounds)
	t.failed(now, s.Failure)
	t.busy(s)
	v.Decision = t.decision(now, s, wishes)
	v.Replicas, v.Scale = t.value, t.value != s.Replicas
	return v
}

// longestWindow is the longest stabilization window of the policies.
func longestWindow(policies []fleet.ScalingPolicy) int {
	longest := 0
	for _, p := range policies {
		longest = max(longest, p.Rules.StabilizationWindow)
	}
	return longest
}
