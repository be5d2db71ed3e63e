package deploy

import (
	"hash/fnv"
	"strconv"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// Repair of instances that end by themselves or are unhealthy: at once the first
// time, then after a growing back-off, and no more once it is a crash loop.
const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = time.Minute
	// jitter is the part of a delay by which it may be longer or shorter.
	jitter = 5
)

// NextStart is when an instance whose runs ended badly at these times, oldest
// first, may be started again; false says that it is in a crash loop and stays as
// it is until something changes. Times count back from the last one, so that a
// verdict does not lapse by waiting, and a bad end after a good run as long as the
// window starts afresh. Delays differ between instances, but are always the same
// for the same facts. After an end that has yet to come, as the clock was put back,
// nothing is waited for.
func NextStart(instanceID string, exits []time.Time, now time.Time) (time.Time, bool) {
	recent := fleet.RecentExits(exits)
	n := len(recent)
	switch {
	case n >= fleet.CrashLimit:
		return time.Time{}, false
	case n <= 1 || recent[n-1].After(now):
		return now, true
	default:
		return recent[n-1].Add(jittered(min(firstDelay<<(n-2), maxDelay), instanceID, n)), true
	}
}

// jittered is a delay that is up to a fifth longer or shorter.
func jittered(d time.Duration, instanceID string, n int) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(instanceID + "/" + strconv.Itoa(n)))
	most := uint32(d / jitter / time.Millisecond)
	return d + time.Duration(int64(h.Sum32()%(2*most+1))-int64(most))*time.Millisecond
}

// ill reports whether a run has to be ended because it is unhealthy: nobody has
// asked for a stop or a restart, and it is not on its way out anyway.
func ill(i fleet.Instance) bool {
	return i.Current == fleet.StatusRunning && i.Desired == fleet.StatusRunning && i.ContainerID != "" &&
		i.Health == fleet.HealthUnhealthy && i.UnhealthySince != nil && i.DrainingSince == nil && !restartDue(i)
}

// struck reports whether the run's being unhealthy counts already, because its end
// has begun.
func struck(i fleet.Instance) bool {
	n := len(i.RecentExits)
	return n > 0 && i.UnhealthySince != nil && i.RecentExits[n-1].Equal(*i.UnhealthySince)
}

// strike counts the run's being unhealthy as a bad end, once.
func strike(i *fleet.Instance) {
	if !struck(*i) {
		i.RecentExits = remembered(i.RecentExits, *i.UnhealthySince)
	}
}

// remembered adds a bad end to those that an instance remembers.
func remembered(exits []time.Time, at time.Time) []time.Time {
	exits = append(exits, at)
	if extra := len(exits) - keptExits; extra > 0 {
		exits = exits[extra:]
	}
	return exits
}
