package health

import (
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	// firstProbe is the time between the first two checks of an instance that has not passed one yet.
	firstProbe = 50 * time.Millisecond
	// slowestQuickProbe is the longest time between two checks before the first one passes.
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
	failures  int       // counted failures in a row
	counted   time.Time // when the last failure was counted
	quick     time.Duration
	recent    []fleet.HealthResult
}

func newTracker(t fleet.HealthTarget) *tracker {
	return &tracker{check: t.Check, startedAt: t.StartedAt, verdict: t.Health, quick: firstProbe}
}

func (t *tracker) interval() time.Duration { return time.Duration(t.check.Interval) * time.Second }

// record takes a result in and reports whether the verdict has changed. Failures
// count once per interval and not within the start period, so that probing in
// quick succession does not condemn a slow starter.
func (t *tracker) record(r fleet.HealthResult) (changed bool) {
	t.recent = append(t.recent, r)
	if extra := len(t.recent) - keptResults; extra > 0 {
		t.recent = t.recent[extra:]
	}
	before := t.verdict
	if r.Status == fleet.HealthHealthy {
		t.failures, t.verdict = 0, fleet.HealthHealthy
		return before != t.verdict
	}
	starting := t.verdict != fleet.HealthHealthy && r.Timestamp.Sub(t.startedAt) < time.Duration(t.check.StartPeriod)*time.Second
	if starting || !t.counted.IsZero() && r.Timestamp.Sub(t.counted) < t.interval() {
		return false
	}
	t.failures, t.counted = t.failures+1, r.Timestamp
	if t.failures >= t.check.Retries {
		t.verdict = fleet.HealthUnhealthy
	}
	return before != t.verdict
}

// pause is the time until the next check.
func (t *tracker) pause() time.Duration {
	if t.verdict != fleet.HealthUnknown {
		return t.interval()
	}
	pause := min(t.quick, t.interval())
	t.quick = min(2*t.quick, slowestQuickProbe)
	return pause
}
