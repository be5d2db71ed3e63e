package health

import (
	"testing"
	"time"
)

// TestOnGrid: checks that come seldom begin together, others when they are due.
func TestOnGrid(t *testing.T) {
	now := time.Date(2026, 6, 6, 8, 30, 0, 300e6, time.UTC)
	for pause, want := range map[time.Duration]time.Duration{
		time.Second: time.Second, 9 * time.Second: 9 * time.Second, 30 * time.Second: 29700 * time.Millisecond, 30800 * time.Millisecond: 30700 * time.Millisecond,
	} {
		if got := onGrid(pause, now); got != want {
			t.Errorf("a pause of %s is %s, want %s", pause, got, want)
		}
	}
}
