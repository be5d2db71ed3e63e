package health

import (
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

func TestTracker(t *testing.T) {
	start := time.Date(2026, time.June, 6, 12, 0, 0, 0, time.UTC)
	type result struct {
		at      time.Duration
		ok      bool
		verdict fleet.Health
		changed bool
	}
	const s = time.Second
	tests := []struct {
		name    string
		period  int
		initial fleet.Health
		results []result
	}{
		{"first pass is healthy", 0, fleet.HealthUnknown, []result{{s, true, fleet.HealthHealthy, true}, {2 * s, true, fleet.HealthHealthy, false}}},
		{"quick failures count once per interval", 0, fleet.HealthUnknown, []result{
			{0, false, fleet.HealthUnknown, false}, {s, false, fleet.HealthUnknown, false}, {2 * s, false, fleet.HealthUnknown, false},
			{10 * s, false, fleet.HealthUnknown, false}, {20 * s, false, fleet.HealthUnhealthy, true},
		}},
		{"start period forgives", 60, fleet.HealthUnknown, []result{
			{10 * s, false, fleet.HealthUnknown, false}, {30 * s, false, fleet.HealthUnknown, false}, {50 * s, false, fleet.HealthUnknown, false},
			{60 * s, false, fleet.HealthUnknown, false}, {70 * s, false, fleet.HealthUnknown, false}, {80 * s, false, fleet.HealthUnhealthy, true},
		}},
		{"one failure is forgiven", 0, fleet.HealthHealthy, []result{
			{10 * s, false, fleet.HealthHealthy, false}, {20 * s, false, fleet.HealthHealthy, false}, {30 * s, true, fleet.HealthHealthy, false},
			{40 * s, false, fleet.HealthHealthy, false}, {50 * s, false, fleet.HealthHealthy, false}, {60 * s, false, fleet.HealthUnhealthy, true},
		}},
		{"recovers", 0, fleet.HealthUnhealthy, []result{{s, true, fleet.HealthHealthy, true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTracker(fleet.HealthTarget{
				Check:     fleet.HealthCheck{Interval: 10, Timeout: 1, Retries: 3, StartPeriod: tt.period},
				StartedAt: start, Health: tt.initial,
			})
			for _, r := range tt.results {
				status := fleet.HealthUnhealthy
				if r.ok {
					status = fleet.HealthHealthy
				}
				changed, _ := tr.record(fleet.HealthResult{Timestamp: start.Add(r.at), Status: status})
				if changed != r.changed || tr.verdict != r.verdict {
					t.Fatalf("after %s: %s (changed %v), want %s (%v)", r.at, tr.verdict, changed, r.verdict, r.changed)
				}
			}
			if len(tr.recent) > keptResults {
				t.Errorf("keeps %d results, want at most %d", len(tr.recent), keptResults)
			}
		})
	}
}

func TestTrackerPausesGrowUntilTheFirstPass(t *testing.T) {
	tr := newTracker(fleet.HealthTarget{Check: fleet.HealthCheck{Interval: 30, Timeout: 1, Retries: 3}, Health: fleet.HealthUnknown})
	last := time.Duration(0)
	for range 20 {
		pause := tr.pause(time.Time{})
		if pause < last || pause > slowestQuickProbe {
			t.Fatalf("pause %s after %s, want it to grow up to %s", pause, last, slowestQuickProbe)
		}
		last = pause
	}
	tr.record(fleet.HealthResult{Status: fleet.HealthHealthy})
	if pause := tr.pause(time.Time{}); pause != 30*time.Second {
		t.Errorf("pause %s once healthy, want the interval", pause)
	}
}
