package deploy

import "time"

// Repair of instances that end by themselves: at once the first time, then after
// a growing back-off, and no more once it is a crash loop.
const (
	// CrashWindow is how far back exits count.
	CrashWindow = 10 * time.Minute
	// CrashLimit is how many exits within CrashWindow are a crash loop.
	CrashLimit = 5
	firstDelay = 100 * time.Millisecond
	maxDelay   = time.Minute
)

// NextStart is when an instance with these exits, oldest first, may be started
// again; false says that it is in a crash loop and stays as it is until
// something changes. Exits count back from the last one, so that a verdict does
// not lapse by waiting, and an exit after a long good run starts afresh.
func NextStart(exits []time.Time) (time.Time, bool) {
	recent := recentExits(exits)
	switch n := len(recent); {
	case n == 0:
		return time.Time{}, true
	case n >= CrashLimit:
		return time.Time{}, false
	case n == 1:
		return recent[0], true
	default:
		return recent[n-1].Add(min(firstDelay<<(n-2), maxDelay)), true
	}
}

// recentExits are those within the window before the last one.
func recentExits(exits []time.Time) []time.Time {
	if len(exits) == 0 {
		return nil
	}
	last := exits[len(exits)-1]
	for k, at := range exits {
		if last.Sub(at) < CrashWindow {
			return exits[k:]
		}
	}
	return nil
}
