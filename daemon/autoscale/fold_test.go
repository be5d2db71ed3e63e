package autoscale

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// at is what the rows say of a moment: the newest that began before and had not ended.
func (r *rows) at(moment time.Time) (found []fleet.ScalingDecision) {
	for k, d := range r.decisions {
		replaced := k+1 < len(r.decisions) && !r.decisions[k+1].DecidedAt.After(moment)
		if !d.DecidedAt.After(moment) && !d.LastEvaluatedAt.Before(moment) && !replaced {
			found = append(found, d)
		}
	}
	return found
}

// TestEachMomentHasOneDecision: from the first evaluation to the last, each moment is
// in exactly one row, also between an evaluation and a different next one.
func TestEachMomentHasOneDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tracked(50)
		driven(t, r, 30*time.Second, 10, func(k int) {
			switch k {
			case 4:
				r.load(2, 80)
			case 6:
				r.load(r.state.Replicas, 50)
			}
		})
		if len(r.decisions) != 3 {
			t.Fatalf("%d rows: %+v; want one before the change, the change, and one after it", len(r.decisions), r.decisions)
		}
		evaluations := 0
		for _, d := range r.decisions {
			evaluations += d.Evaluations
		}
		if evaluations != len(r.evaluated) {
			t.Errorf("the rows stand for %d evaluations, there were %d", evaluations, len(r.evaluated))
		}
		for at, last := r.evaluated[0], r.evaluated[len(r.evaluated)-1]; !at.After(last); at = at.Add(time.Second) {
			if found := r.at(at); len(found) != 1 {
				t.Errorf("%d rows answer for %s: %+v", len(found), at.Format(time.TimeOnly), found)
			}
		}
	})
}

// TestAlternatingDecisions: a load at the edge of the tolerance is not a row each time.
func TestAlternatingDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tracked(50)
		driven(t, r, time.Second, 3600, func(k int) { r.load(2, []float64{24, 26}[k%2]) }) // one would do, or not
		if most := mostCredit + int(time.Hour/creditEvery); r.state.Replicas != 2 || len(r.decisions) < mostCredit || len(r.decisions) > most {
			t.Fatalf("%d rows of one hour, %d replicas; want at most %d rows", len(r.decisions), r.state.Replicas, most)
		}
		evaluations := 0
		for _, d := range r.decisions {
			evaluations += d.Evaluations
		}
		if unwritten := len(r.evaluated) - evaluations; unwritten < 0 || unwritten > int(prolongEvery/time.Second) {
			t.Errorf("the rows stand for %d evaluations of %d", evaluations, len(r.evaluated))
		}
		last := r.decisions[len(r.decisions)-1]
		if last.Outcome != fleet.OutcomeLimited || last.Limit != fleet.LimitStabilization || strings.Count(last.Reason, mixed) != 1 {
			t.Errorf("a row of both says %+v; want what was limited, and that there was more", last)
		}
	})
}

// TestFoldKeepsTheNewest: a row says what its last evaluation saw.
func TestFoldKeepsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tracked(200)
		r.state.Range.MaxReplicas = 2
		driven(t, r, 30*time.Second, 5, func(k int) { r.load(2, 200+50*float64(k)) })
		d := r.decisions[0]
		if len(r.decisions) != 1 || d.Evaluations != 5 || d.Wanted != 16 || *d.Inputs[0].Value != 400 || !strings.HasPrefix(d.Reason, "cpu is 400 %") {
			t.Errorf("%d rows, the first of them %+v", len(r.decisions), d)
		}
	})
}

// TestGapEndsARow: a row does not claim what nobody has evaluated, by the same daemon or
// by another; a short pause, such as a restart, is none.
func TestGapEndsARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tracked(50)
		controlled(t, r, time.Minute)
		time.Sleep(50 * time.Second)
		controlled(t, r, time.Minute)
		if len(r.decisions) != 1 {
			t.Fatalf("%d rows after a short pause: %+v", len(r.decisions), r.decisions)
		}
		ended := time.Now()
		time.Sleep(time.Hour)
		policies := r.state.Policies
		driven(t, r, time.Second, 180, func(k int) {
			if r.state.Policies = policies; k >= 60 && k < 150 {
				r.state.Policies = nil
			}
		})
		if len(r.decisions) != 3 {
			t.Fatalf("%d rows after an hour without a daemon, and more than a minute without a policy: %+v", len(r.decisions), r.decisions)
		}
		for k, d := range r.decisions[:2] {
			if pause := r.decisions[k+1].DecidedAt.Sub(d.LastEvaluatedAt); pause < time.Minute {
				t.Errorf("row %d ends %s before the next begins", k, pause)
			}
		}
		if first := r.decisions[0]; first.LastEvaluatedAt.After(ended) {
			t.Errorf("the first ended at %s, the last evaluation was before %s", first.LastEvaluatedAt, ended)
		}
	})
}

// TestFoldAfterTheClockWasPutBack: a row never ends before it begins.
func TestFoldAfterTheClockWasPutBack(t *testing.T) {
	now := time.Date(2026, time.June, 6, 12, 0, 0, 0, time.UTC)
	d := fleet.ScalingDecision{Unit: fleet.UnitReplicas, Outcome: fleet.OutcomeNoChange}
	var r fleet.ScalingRecord
	f := (*fold)(nil).next(&r, d, now, time.Minute)
	f = f.next(&r, d, now.Add(5*time.Second), time.Minute)
	f = f.next(&r, d, now.Add(-time.Hour), time.Minute)
	if len(r.Decisions) != 2 || f.decision.ID != r.Decisions[1].ID || !r.Decisions[1].DecidedAt.Equal(now.Add(-time.Hour)) {
		t.Fatalf("rows %+v", r.Decisions)
	}
	if !slices.ContainsFunc(r.Prolonged, func(p fleet.ProlongedDecision) bool {
		return p.ID == r.Decisions[0].ID && p.More == 1 && p.Until.Equal(now.Add(5*time.Second))
	}) {
		t.Errorf("prolonged %+v", r.Prolonged)
	}
}
