package health

import (
	"slices"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const (
	herd = 1000
	// slices of an interval in which probes are counted, and the most that may fall
	// into one. On average there are ten and a half; that chance alone makes forty of
	// them is less likely than one in a thousand million.
	parts     = 100
	mostInOne = 40
	intervals = 20
)

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
		t.Run(tt.name, func(t *testing.T) {
			var probes []time.Duration
			for range herd {
				probes = append(probes, slowProbes(tt.target, tt.passes)...)
			}
			slices.Sort(probes)
			width := 10 * s / parts
			first := 0
			for k, at := range probes {
				for probes[first] <= at-width {
					first++
				}
				if n := k - first + 1; n > mostInOne {
					t.Fatalf("%d of %d instances are probed within the %s before %s, want at most %d", n, herd, width, at, mostInOne)
				}
			}
			if least := herd * intervals / 2; len(probes) < least {
				t.Errorf("%d probes, want at least %d", len(probes), least)
			}
		})
	}
}

// slowProbes are when an instance is probed at the interval's pace.
func slowProbes(target fleet.HealthTarget, passes func(time.Duration) bool) (list []time.Duration) {
	tr := newTracker(target)
	for at := tr.delay(); at < intervals*10*s; {
		slow := tr.slow()
		tr.record(result{at: at, ok: passes(at)}.of())
		if slow && tr.slow() {
			list = append(list, at)
		}
		at += tr.pause()
	}
	return list
}
