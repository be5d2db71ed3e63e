package autoscale

import (
	"strings"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// prolongEvery is how often a decision that goes on is written.
	prolongEvery = 10 * time.Second
	// mostCredit rows that change nothing may begin at any time, and one more each
	// creditEvery: what alternates at the edge of a tolerance is not a row each time.
	mostCredit, creditEvery = 10, 5 * time.Minute
	// mixed ends the reason of a row that stands for evaluations of other reasons too.
	mixed = "; other evaluations in between changed nothing either"
)

// Folds reports whether next says what previous said: that nothing changes, for the
// same reason. Such decisions are one row, whatever was wanted.
func Folds(previous, next fleet.ScalingDecision) bool {
	return nothingChanged(previous, next) && previous.Outcome == next.Outcome &&
		previous.PolicyID == next.PolicyID && previous.PolicyName == next.PolicyName && previous.Limit == next.Limit
}

// nothingChanged reports whether both decisions leave the same as it is.
func nothingChanged(previous, next fleet.ScalingDecision) bool {
	return !previous.Outcome.Changes() && !next.Outcome.Changes() &&
		previous.DefinitionID == next.DefinitionID && previous.Environment == next.Environment &&
		previous.Unit == next.Unit && previous.Current == next.Current && previous.Limited == next.Limited
}

// subject is what decisions follow each other about.
type subject struct {
	fleet.Workload
	unit string
}

func subjectOf(d fleet.ScalingDecision) subject {
	return subject{fleet.Workload{DefinitionID: d.DefinitionID, Environment: d.Environment}, d.Unit}
}

// fold is a row, and the evaluations that it stands for. The rows of a subject follow
// each other without a gap as long as it is evaluated: each moment has one.
type fold struct {
	// decision is what the row says: what its last evaluation came to.
	decision fleet.ScalingDecision
	// more are evaluations that are not written yet.
	more          int
	last, written time.Time
	mixed         bool
	credit        float64
}

// newFold is a row that a daemon before this one has begun.
func newFold(d fleet.ScalingDecision) *fold {
	return &fold{decision: d, last: d.LastEvaluatedAt, written: d.LastEvaluatedAt, credit: mostCredit}
}

// next is the fold after one more evaluation; f is nil before the first. It adds to a
// record what has to be written of it. After a gap nothing is known of what was in
// between, so that a new row begins.
func (f *fold) next(r *fleet.ScalingRecord, d fleet.ScalingDecision, now time.Time, gap time.Duration) *fold {
	if f == nil {
		return begin(r, d, now, mostCredit)
	}
	since := now.Sub(f.last)
	credit := min(mostCredit, f.credit+float64(since)/float64(creditEvery))
	ends := f.last
	if since >= 0 && since <= gap { // or else the clock was put back
		if Folds(f.decision, d) || credit < 1 && nothingChanged(f.decision, d) {
			return f.prolong(r, d, now, credit)
		}
		ends = now
	}
	if f.more > 0 || ends.After(f.written) {
		r.Prolonged = append(r.Prolonged, f.prolonged(ends))
	}
	return begin(r, d, now, credit)
}

// begin is a new row.
func begin(r *fleet.ScalingRecord, d fleet.ScalingDecision, now time.Time, credit float64) *fold {
	d.ID, d.Evaluations, d.DecidedAt, d.LastEvaluatedAt = newID(), 1, now, now
	r.Decisions = append(r.Decisions, d)
	if !d.Outcome.Changes() {
		credit = max(0, credit-1)
	}
	return &fold{decision: d, last: now, written: now, credit: credit}
}

// prolong is the same row with one more evaluation. It says what the newest one came
// to; of different ones, what the newest came to that was limited.
func (f *fold) prolong(r *fleet.ScalingRecord, d fleet.ScalingDecision, now time.Time, credit float64) *fold {
	next := *f
	same := Folds(f.decision, d)
	next.more, next.last, next.credit, next.mixed = f.more+1, now, credit, f.mixed || !same
	if same || d.Outcome == fleet.OutcomeLimited {
		d.ID, d.DecidedAt = f.decision.ID, f.decision.DecidedAt
		next.decision = d
	}
	if now.Sub(next.written) >= prolongEvery {
		r.Prolonged = append(r.Prolonged, next.prolonged(now))
		next.more, next.written = 0, now
	}
	return &next
}

// prolonged is what has to be written of a row that has held until then.
func (f *fold) prolonged(until time.Time) fleet.ProlongedDecision {
	d := f.decision
	if f.mixed && !strings.HasSuffix(d.Reason, mixed) {
		d.Reason += mixed
	}
	return fleet.ProlongedDecision{ScalingDecision: d, More: f.more, Until: until}
}
