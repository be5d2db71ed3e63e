package health

import (
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// firstProbe is the time between the first two checks of an instance that has not passed one yet.
	firstProbe = 50 * time.Millisecond
	// slowestQuickProbe is the longest time between two checks before the first one
	// passes, and the time between two while an instance has to prove itself.
	slowestQuickProbe = time.Second
	// keptResults bounds the results kept with an instance.
	keptResults = 5
)

// tracker turns the results of one run of an instance into a verdict. It has no
// clock and does no I/O.
type tracker struct {
	check     fleet.HealthCheck
	startedAt time.Time
	verdict   fleet.Health
	since     *time.Time    // every check has passed since then; nil when the last one failed
	settling  time.Duration // how long checks have to pass without a break
	failures  int           // counted failures in a row
	counted   time.Time     // when the last failure was counted
	quick     time.Duration
	recent    []fleet.HealthResult
}

func newTracker(t fleet.HealthTarget) *tracker {
	return &tracker{check: t.Check, startedAt: t.StartedAt, verdict: t.Health, since: t.HealthySince, settling: t.Settling, quick: firstProbe}
}

func (t *tracker) interval() time.Duration { return time.Duration(t.check.Interval) * time.Second }

// record takes a result in and reports whether the verdict has changed, and
// whether a run of passing checks has begun or ended. Failures count once per
// interval and not within the start period, so that probing in quick succession
// does not condemn a slow starter; each breaks a run of passing checks.
func (t *tracker) record(r fleet.HealthResult) (changed, turned bool) {
	t.recent = append(t.recent, r)
	if extra := len(t.recent) - keptResults; extra > 0 {
		t.recent = t.recent[extra:]
	}
	before := t.verdict
	if r.Status == fleet.HealthHealthy {
		turned = t.since == nil
		if turned {
			t.since = &r.Timestamp
		}
		t.failures, t.verdict = 0, fleet.HealthHealthy
		return before != t.verdict, turned
	}
	turned, t.since = t.since != nil, nil
	starting := t.verdict != fleet.HealthHealthy && r.Timestamp.Sub(t.startedAt) < time.Duration(t.check.StartPeriod)*time.Second
	if starting || !t.counted.IsZero() && r.Timestamp.Sub(t.counted) < t.interval() {
		return false, turned
	}
	t.failures, t.counted = t.failures+1, r.Timestamp
	if t.failures >= t.check.Retries {
		t.verdict = fleet.HealthUnhealthy
	}
	return before != t.verdict, turned
}

// settled reports whether checks have passed for long enough at a time.
func (t *tracker) settled(now time.Time) bool {
	return t.since != nil && now.Sub(*t.since) >= t.settling
}

// pause is the time until the next check, as of a time.
func (t *tracker) pause(now time.Time) time.Duration {
	switch {
	case t.verdict == fleet.HealthUnhealthy, t.verdict == fleet.HealthHealthy && t.settled(now):
		return t.interval()
	case t.verdict == fleet.HealthHealthy:
		return min(slowestQuickProbe, t.interval())
	}
	pause := min(t.quick, t.interval())
	t.quick = min(2*t.quick, slowestQuickProbe)
	return pause
}
