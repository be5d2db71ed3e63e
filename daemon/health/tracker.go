package health

import (
	"math/rand/v2"
	"slices"
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
	// together is the grid on which the checks begin that come seldom: to wake once for
	// several costs less than to wake for each.
	together = time.Second
	// keptResults bounds the results kept with an instance.
	keptResults = 5
)

// moment is when a check began: by the clock on the wall, as rows have it, and by the
// tracker's own.
type moment struct {
	wall time.Time
	age  time.Duration
}

// tracker turns the results of one run of an instance into a verdict and a
// streak: the checks that have passed without a break. It does no I/O, and its only
// clock is the age of the run, which the caller takes from one that nobody can set:
// were the clock on the wall put back, no failure would count for as long.
type tracker struct {
	check    fleet.HealthCheck
	settling time.Duration

	verdict   fleet.Health
	since     *moment       // when the streak began; nil when the last check failed
	settledAt *time.Time    // the first check with which this tracker saw it settled
	last      moment        // when the last check was that had an outcome
	took      time.Duration // how long that one took
	passes    int           // checks of the streak
	failures  int           // counted failures in a row
	counted   time.Duration // when the last of them was
	quick     time.Duration
	paced     bool // the next check comes at the interval's pace, as this one did
	recent    []fleet.HealthResult
}

// newTracker goes on with what is known of a run of that age. What is later than the
// run is old was told by another clock, and is now.
func newTracker(t fleet.HealthTarget, age time.Duration) *tracker {
	known := func(at time.Time) moment { return moment{wall: at, age: min(age, at.Sub(t.StartedAt))} }
	r := &tracker{check: t.Check, settling: t.Settling, verdict: t.Health, quick: firstProbe}
	if !t.CheckedAt.IsZero() {
		r.last = known(t.CheckedAt)
	}
	if t.HealthySince != nil {
		r.since = new(known(*t.HealthySince))
		r.passes = 1 // at least; those of one that is healthy have been enough
	}
	return r
}

func (t *tracker) interval() time.Duration { return time.Duration(t.check.Interval) * time.Second }

// record takes the result of a check in that began when the run had that age. changed
// reports whether the verdict is another one; news, whether a rollout may have waited
// for this result: the verdict changed, or the streak began, was long enough, or
// broke. A check without an outcome is kept for people to read and says nothing: it
// breaks no streak and lengthens none.
func (t *tracker) record(age time.Duration, r fleet.HealthResult) (changed, news bool) {
	verdict, streak, settled := t.verdict, t.since != nil, t.settled()
	t.recent = append(t.recent, r)
	if extra := len(t.recent) - keptResults; extra > 0 {
		t.recent = t.recent[extra:]
	}
	if r.Status == fleet.HealthUnknown {
		return false, false
	}
	t.last = moment{wall: r.Timestamp, age: age}
	t.took = time.Duration(r.ResponseTime * float64(time.Millisecond))
	if r.Status == fleet.HealthHealthy {
		t.pass()
	} else {
		t.fail()
	}
	changed = t.verdict != verdict
	return changed, changed || streak != (t.since != nil) || settled != t.settled()
}

// pass lengthens the streak. The verdict follows after so many checks of it.
func (t *tracker) pass() {
	t.failures = 0
	if t.since == nil {
		t.since, t.passes = new(t.last), 0
	}
	if t.since.wall.After(t.last.wall) { // by a clock that was put back since
		t.since.wall = t.last.wall.Add(t.since.age - t.last.age)
	}
	t.passes++
	if t.passes >= t.check.Passes() {
		t.verdict = fleet.HealthHealthy
	}
	if t.settledAt == nil && t.settled() {
		t.settledAt = new(t.last.wall)
	}
}

// fail breaks the streak. The verdict follows after so many failures in a row that
// count.
func (t *tracker) fail() {
	t.since, t.passes = nil, 0
	if t.last.age < t.countsFrom() {
		return
	}
	t.failures, t.counted = t.failures+1, t.last.age
	if t.failures >= t.check.Fall() {
		t.verdict = fleet.HealthUnhealthy
	}
}

// countsFrom is from when on a failure counts: one per interval, and of an instance
// that was never healthy in this run, none before patience ends. So probing in quick
// succession condemns nobody sooner than probing at the interval's pace would. The
// engine's word counts at once: it has counted already.
func (t *tracker) countsFrom() time.Duration {
	var from time.Duration
	if t.failures > 0 {
		from = t.counted + t.interval() - t.interval()/drift
	}
	if t.verdict != fleet.HealthHealthy {
		from = max(from, t.patience())
	}
	return from
}

// patience ends with the first check that a check at the interval's pace would make
// after the start period.
func (t *tracker) patience() time.Duration {
	end := time.Duration(t.check.StartPeriod) * time.Second
	if t.check.Kind() == grammar.HealthImage {
		return end
	}
	return end + t.interval()
}

// settled reports whether the instance is healthy and a check has passed that ends
// a streak of the settling time.
func (t *tracker) settled() bool {
	return t.verdict == fleet.HealthHealthy && t.since != nil && t.checkedAt() != nil && t.last.age-t.since.age >= t.settling
}

// update is what there is to write after the last check.
func (t *tracker) update(of fleet.HealthTarget, changed bool) fleet.HealthUpdate {
	u := fleet.HealthUpdate{
		InstanceID: of.InstanceID, StartedAt: of.StartedAt,
		Health: t.verdict, Changed: changed, SettledAt: t.settledAt, CheckedAt: t.checkedAt(),
		Result: t.recent[len(t.recent)-1], Recent: slices.Clone(t.recent),
	}
	if t.since != nil {
		u.HealthySince = new(t.since.wall)
	}
	return u
}

// checkedAt is when the last check was that had an outcome; nil before the first.
func (t *tracker) checkedAt() *time.Time {
	if t.last.wall.IsZero() {
		return nil
	}
	return new(t.last.wall)
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
	switch {
	case t.since != nil && t.verdict == fleet.HealthHealthy:
		return min(pause, t.settling-(t.last.age-t.since.age))
	case t.failing():
		return t.aimed(pause)
	default:
		return pause
	}
}

// rest is the pause as it is kept: at the interval's pace it ends on the grid.
func (t *tracker) rest(now time.Time) time.Duration {
	pause := t.pause()
	if t.slow() {
		return onGrid(pause, now)
	}
	return pause
}

// onGrid has a long pause end on the grid, a step earlier at most; a short one stays
// as it is.
func onGrid(pause time.Duration, now time.Time) time.Duration {
	if pause < 10*together {
		return pause
	}
	return now.Add(pause).Truncate(together).Sub(now)
}

// failing reports whether the last check has failed.
func (t *tracker) failing() bool {
	return len(t.recent) > 0 && t.recent[len(t.recent)-1].Status == fleet.HealthUnhealthy
}

// aimed is a quick pause, or another one, so that a check begins just where a failure
// counts next. Of an instance that is in service none is begun that would last beyond
// that, if it takes as long as the one before; one that is not yet must not wait.
func (t *tracker) aimed(pause time.Duration) time.Duration {
	left, takes := max(0, t.countsFrom()-t.last.age-t.took), time.Duration(0)
	if t.verdict == fleet.HealthHealthy {
		takes = t.took
	}
	if left < pause+takes {
		return left
	}
	return pause
}

// phase is where in the interval an instance is checked.
func (t *tracker) phase() time.Duration {
	t.paced = true
	return rand.N(t.interval())
}
