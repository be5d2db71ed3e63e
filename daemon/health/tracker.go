package health

import (
	"math/rand/v2"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
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
	verdict   fleet.Health
	since     *time.Time // when the streak began; nil when the last check failed
	last      time.Time  // when the last check was
	failures  int        // counted failures in a row
	counted   time.Time  // when the last of them was
	quick     time.Duration
	recent    []fleet.HealthResult
}

func newTracker(t fleet.HealthTarget) *tracker {
	return &tracker{
		check: t.Check, startedAt: t.StartedAt, settling: t.Settling,
		verdict: t.Health, since: t.HealthySince, last: t.CheckedAt, quick: firstProbe,
	}
}

func (t *tracker) interval() time.Duration { return time.Duration(t.check.Interval) * time.Second }

// record takes a result in. changed reports whether the verdict is another one;
// news, whether a rollout may have waited for this result: the verdict changed,
// or the streak began, was long enough, or broke.
func (t *tracker) record(r fleet.HealthResult) (changed, news bool) {
	verdict, streak, settled := t.verdict, t.since != nil, t.settled()
	t.last = r.Timestamp
	t.recent = append(t.recent, r)
	if extra := len(t.recent) - keptResults; extra > 0 {
		t.recent = t.recent[extra:]
	}
	if r.Status == fleet.HealthHealthy {
		t.pass(r.Timestamp)
	} else {
		t.fail(r.Timestamp)
	}
	changed = t.verdict != verdict
	return changed, changed || streak != (t.since != nil) || settled != t.settled()
}

func (t *tracker) pass(at time.Time) {
	t.verdict, t.failures, t.counted = fleet.HealthHealthy, 0, time.Time{}
	if t.since == nil {
		t.since = &at
	}
}

// fail breaks the streak. The verdict follows after so many failures in a row, of
// which one counts per interval and none within the start period, so that probing
// in quick succession does not condemn a slow starter.
func (t *tracker) fail(at time.Time) {
	t.since = nil
	starting := t.verdict != fleet.HealthHealthy && at.Sub(t.startedAt) < time.Duration(t.check.StartPeriod)*time.Second
	if starting || !t.counted.IsZero() && at.Sub(t.counted) < t.interval()-t.interval()/drift {
		return
	}
	t.failures, t.counted = t.failures+1, at
	if t.failures >= t.check.Retries {
		t.verdict = fleet.HealthUnhealthy
	}
}

// settled reports whether a check has passed that ends a streak of the settling time.
func (t *tracker) settled() bool {
	return t.since != nil && t.last.Sub(*t.since) >= t.settling
}

// pause is the time until the next check. At the interval's pace it varies, so
// that instances drift apart.
func (t *tracker) pause() time.Duration {
	if t.verdict == fleet.HealthUnhealthy || t.settled() {
		return t.interval() - rand.N(t.interval()/drift)
	}
	pause := min(t.quick, t.interval())
	t.quick = min(2*t.quick, slowestQuickProbe)
	if t.since != nil {
		pause = min(pause, t.settling-t.last.Sub(*t.since))
	}
	return pause
}
