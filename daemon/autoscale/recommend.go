package autoscale

import (
	"cmp"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// slots is how many parts a stabilization window has; what is remembered is the
// highest recommendation of each.
const slots = 30

// remember adds a recommendation to those of a workload, and reports whether they
// are others now. A recommendation holds from its time on until the next one: one
// that repeats the last is not written, so that nothing is in the steady state, and
// what follows within a slot only raises it. The first of all recommends what there
// is, so that a new policy waits for a whole window before it removes anything.
func remember(now time.Time, s fleet.ScalingState, replicas, window int) ([]fleet.Recommendation, bool) {
	if window <= 0 {
		return nil, len(s.Recommendations) > 0
	}
	slot := max(time.Duration(window)*time.Second/slots, time.Second)
	list := withoutFuture(now, s.Recommendations)
	switch last := len(list) - 1; {
	case last < 0:
		list = append(list, fleet.Recommendation{At: now.UTC().Round(0), Replicas: max(replicas, s.Replicas)})
	case now.Sub(list[last].At) < slot:
		list[last].Replicas = max(list[last].Replicas, replicas)
	case replicas != list[last].Replicas:
		list = append(list, fleet.Recommendation{At: now.UTC().Round(0), Replicas: replicas})
	}
	list = list[firstWithin(now, list, window):]
	return list, !slices.EqualFunc(list, s.Recommendations, func(a, b fleet.Recommendation) bool {
		return a.At.Equal(b.At) && a.Replicas == b.Replicas
	})
}

// withoutFuture is the list where what is dated in the future, before the clock was put
// back, was recommended now: it holds for one window more, not until the clock has
// caught up.
func withoutFuture(now time.Time, list []fleet.Recommendation) []fleet.Recommendation {
	list = slices.Clone(list)
	k := slices.IndexFunc(list, func(r fleet.Recommendation) bool { return r.At.After(now) })
	if k < 0 {
		return list
	}
	most := slices.MaxFunc(list[k:], func(a, b fleet.Recommendation) int { return cmp.Compare(a.Replicas, b.Replicas) })
	return append(list[:k], fleet.Recommendation{At: now.UTC().Round(0), Replicas: most.Replicas})
}

// firstWithin is the index of the first recommendation that held within the window.
func firstWithin(now time.Time, list []fleet.Recommendation, window int) int {
	from := now.Add(-time.Duration(window) * time.Second)
	for i := range list {
		if i == len(list)-1 || list[i+1].At.After(from) {
			return i
		}
	}
	return 0
}

// highest is the highest recommendation within the window.
func highest(now time.Time, list []fleet.Recommendation, window int) int {
	most := 0
	for _, r := range list[firstWithin(now, list, window):] {
		most = max(most, r.Replicas)
	}
	return most
}
