package health

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	herd = 1000
	// parts of an interval in which probes are counted.
	parts     = 100
	intervals = 20
)

// paces are intervals, in seconds, and the most probes that may fall into one part
// of each. At 10 s there are ten and a half on average. From there on checks begin
// once a second, and a part of 30 s holds those of one second: 35 on average. That
// chance alone makes as many as are refused is less likely than one in a million.
var paces = map[int]int{10: 40, 30: 80}

// TestProbesSpread: 1,000 instances that begin at the same moment are not checked
// in step. The quick checks of a rollout are left out, since somebody waits for each.
func TestProbesSpread(t *testing.T) {
	settled := target(healthy, 0)
	settled.CheckedAt = start.Add(5 * s)
	tests := []struct {
		name   string
		target fleet.HealthTarget
		passes func(at time.Duration) bool
	}{
		{"started at the same moment", target(unknown, never), func(time.Duration) bool { return true }},
		{"adopted after a restart of the daemon", settled, func(time.Duration) bool { return true }},
		{"adopted while all of them are unhealthy", target(unhealthy, never), func(time.Duration) bool { return false }},
		{"turned unhealthy at the same moment", settled, func(at time.Duration) bool { return at < 60*s }},
	}
	for _, tt := range tests {
		for interval, most := range paces {
			t.Run(fmt.Sprintf("%s, every %d s", tt.name, interval), func(t *testing.T) {
				target := tt.target
				target.Check.Interval = interval
				var probes []time.Duration
				for range herd {
					probes = append(probes, slowProbes(target, tt.passes)...)
				}
				if least := herd * intervals / 2; len(probes) < least {
					t.Errorf("%d probes, want at least %d", len(probes), least)
				}
				crowd, at := densest(probes, time.Duration(interval)*s/parts)
				if crowd > most {
					t.Errorf("%d of %d instances are probed within a hundredth of the interval, at %s; want at most %d", crowd, herd, at, most)
				}
			})
		}
	}
}

// densest is the most probes that any stretch of time of a width has, and when it ends.
func densest(probes []time.Duration, width time.Duration) (most int, end time.Duration) {
	slices.Sort(probes)
	first := 0
	for k, at := range probes {
		for probes[first] <= at-width {
			first++
		}
		if n := k - first + 1; n > most {
			most, end = n, at
		}
	}
	return most, end
}

// slowProbes are when an instance is probed at the interval's pace.
func slowProbes(target fleet.HealthTarget, passes func(time.Duration) bool) (list []time.Duration) {
	tr := newTracker(target, known)
	for at := tr.delay(); at < intervals*tr.interval(); {
		slow := tr.slow()
		tr.record(result{at: at, ok: passes(at)}.of())
		if slow && tr.slow() {
			list = append(list, at)
		}
		at += tr.rest(start.Add(at))
	}
	return list
}
