package health

import (
	"math/rand/v2"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

const (
	// firstProbe is the time between the first two checks of an instance that has not settled.
	firstProbe = 50 * time.Millisecond
	// slowestQuickProbe is the longest time between two checks until it has.
	slowestQuickProbe = time.Second
	// drift is the part of the interval by which checks may come early.
	drift = 10
	// keptResults bounds the results kept with an instance.
	keptResults = 5
)

// tracker turns the results of one run of an instance into a verdict and a
// streak: the checks that have passed without a break. It has no clock and does
// no I/O.
type tracker struct {
	check     fleet.HealthCheck
	startedAt time.Time
	settling  time.Duration

	verdict  fleet.Health
	since    *time.Time // when the streak began; nil when the last check failed
	last     time.Time  // when the last check was that had an outcome
	passes   int        // checks of the streak
	failures int        // counted failures in a row
	counted  time.Time  // when the last of them was
	quick    time.Duration
	paced    bool // the next check comes at the interval's pace, as this one did
	recent   []fleet.HealthResult
}

func newTracker(t fleet.HealthTarget) *tracker {
	r := &tracker{
		check: t.Check, startedAt: t.StartedAt, settling: t.Settling,
		verdict: t.Health, since: t.HealthySince, last: t.CheckedAt, quick: firstProbe,
	}
	if r.since != nil {
		r.passes = 1 // at least; those of one that is healthy have been enough
	}
	return r
}

func (t *tracker) interval() time.Duration { return time.Duration(t.check.Interval) * time.Second }

// record takes a result in. changed reports whether the verdict is another one;
// news, whether a rollout may have waited for this result: the verdict changed,
// or the streak began, was long enough, or broke. A check without an outcome is
// kept for people to read and says nothing: it breaks no streak and lengthens none.
func (t *tracker) record(r fleet.HealthResult) (changed, news bool) {
	verdict, streak, settled := t.verdict, t.since != nil, t.settled()
	t.recent = append(t.recent, r)
	if extra := len(t.recent) - keptResults; extra > 0 {
		t.recent = t.recent[extra:]
	}
	switch r.Status {
	case fleet.HealthHealthy:
		t.last = r.Timestamp
		t.pass(r.Timestamp)
	case fleet.HealthUnhealthy:
		t.last = r.Timestamp
		t.fail(r.Timestamp)
	default:
		return false, false
	}
	changed = t.verdict != verdict
	return changed, changed || streak != (t.since != nil) || settled != t.settled()
}

// pass lengthens the streak. The verdict follows after so many checks of it.
func (t *tracker) pass(at time.Time) {
	t.failures, t.counted = 0, time.Time{}
	if t.since == nil {
		t.since, t.passes = &at, 0
	}
	t.passes++
	if t.passes >= t.check.Passes() {
		t.verdict = fleet.HealthHealthy
	}
}

// fail breaks the streak. The verdict follows after so many failures in a row that
// count.
func (t *tracker) fail(at time.Time) {
	t.since, t.passes = nil, 0
	if !t.counts(at) {
		return
	}
	t.failures, t.counted = t.failures+1, at
	if t.failures >= t.check.Fall() {
		t.verdict = fleet.HealthUnhealthy
	}
}

// counts reports whether a failure does: one per interval, and of an instance that
// was never healthy in this run, none before patience ends. So probing in quick
// succession condemns nobody sooner than probing at the interval's pace would. The
// engine's word counts at once: it has counted already.
func (t *tracker) counts(at time.Time) bool {
	if t.verdict != fleet.HealthHealthy && at.Before(t.patience()) {
		return false
	}
	return t.counted.IsZero() || at.Sub(t.counted) >= t.interval()-t.interval()/drift
}

// patience ends with the first check that a check at the interval's pace would make
// after the start period.
func (t *tracker) patience() time.Time {
	end := t.startedAt.Add(time.Duration(t.check.StartPeriod) * time.Second)
	if t.check.Kind() == grammar.HealthImage {
		return end
	}
	return end.Add(t.interval())
}

// settled reports whether the instance is healthy and a check has passed that ends
// a streak of the settling time.
func (t *tracker) settled() bool {
	return t.verdict == fleet.HealthHealthy && t.since != nil && t.last.Sub(*t.since) >= t.settling
}

// checkedAt is when the last check was that had an outcome; nil before the first.
func (t *tracker) checkedAt() *time.Time {
	if t.last.IsZero() {
		return nil
	}
	return new(t.last)
}

// slow reports whether nobody waits for the next check.
func (t *tracker) slow() bool { return t.verdict == fleet.HealthUnhealthy || t.settled() }

// delay is the time until the first check that this daemon makes: none, if somebody
// may wait for it, and otherwise any part of the interval.
func (t *tracker) delay() time.Duration {
	if !t.slow() {
		return 0
	}
	return t.phase()
}

// pause is the time until the next check. The first one at the interval's pace
// comes after any part of the interval, since many instances may have settled, or
// failed, at the same moment; those after it vary, so that instances that came to
// be in step drift apart again.
func (t *tracker) pause() time.Duration {
	if t.slow() {
		if !t.paced {
			return t.phase()
		}
		return t.interval() - rand.N(t.interval()/drift)
	}
	t.paced = false
	pause := min(t.quick, t.interval())
	t.quick = min(2*t.quick, slowestQuickProbe)
	if left := t.patience().Sub(t.last); t.verdict != fleet.HealthHealthy && left > 0 {
		pause = min(pause, left)
	}
	if t.since != nil && t.verdict == fleet.HealthHealthy {
		pause = min(pause, t.settling-t.last.Sub(*t.since))
	}
	return pause
}

// phase is where in the interval an instance is checked.
func (t *tracker) phase() time.Duration {
	t.paced = true
	return rand.N(t.interval())
}
