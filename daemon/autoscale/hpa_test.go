package autoscale_test

import "math"

// hpa is the algorithm of the Kubernetes horizontal pod autoscaler, autoscaling/v2,
// as its documentation publishes it, for a resource metric and with the default
// behaviour. It is written from the documentation, to compare with; none of its
// code is Kubernetes'.
//
//   - https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details:
//     desired = ceil(current × metric / target); nothing within a tolerance of 0.1;
//     pods that are not ready yet are set aside, and then taken to use 0 % when
//     scaling up; if that would turn the direction, nothing is done.
//   - …/#default-behavior: down, the highest recommendation of the last 300 s, at
//     most 100 % every 15 s; up, the larger of 4 pods and 100 % every 15 s, with no
//     stabilization.
//   - It decides every 15 s (--horizontal-pod-autoscaler-sync-period).
type hpa struct {
	target     float64 // in parts of one
	least      int
	most       int
	remembered []desire
	changes    []scaled
}

type desire struct{ at, replicas int }

type scaled struct{ at, by int }

const (
	hpaSync          = 15
	hpaTolerance     = 0.1
	hpaStabilization = 300
	hpaPeriod        = 15
)

// decide is asked once every sync period. use is the mean over those that count, in
// parts of one; counted of current pods count, the others are not ready yet.
func (h *hpa) decide(now, current, counted int, use float64) int {
	desired := h.desired(current, counted, use)
	if h.remembered == nil {
		h.remembered = []desire{{now, current}}
	}
	h.remembered = append(h.remembered, desire{now, desired})
	stable := desired
	kept := h.remembered[:0]
	for _, d := range h.remembered {
		if now-d.at <= hpaStabilization {
			stable = max(stable, d.replicas)
			kept = append(kept, d)
		}
	}
	h.remembered = kept
	result := current
	switch {
	case desired > current:
		result = min(desired, h.up(now, current))
	case stable < current: // at most 100 % of them is no bound
		result = stable
	}
	result = min(max(result, h.least), h.most)
	if result != current {
		h.changes = append(h.changes, scaled{now, result - current})
	}
	return result
}

// desired is the algorithm proper.
func (h *hpa) desired(current, counted int, use float64) int {
	if counted == 0 {
		return current
	}
	ratio := use / h.target
	unready := current - counted
	if unready == 0 || ratio < 1 {
		if math.Abs(ratio-1) <= hpaTolerance {
			return current
		}
		return int(math.Ceil(ratio * float64(counted)))
	}
	diluted := ratio * float64(counted) / float64(current)
	if math.Abs(diluted-1) <= hpaTolerance || diluted < 1 {
		return current
	}
	return max(current, int(math.Ceil(diluted*float64(current))))
}

// up is the most that the default policies allow.
func (h *hpa) up(now, current int) int {
	start := current
	for _, c := range h.changes {
		if now-c.at < hpaPeriod {
			start -= c.by
		}
	}
	return max(start+4, 2*start)
}
