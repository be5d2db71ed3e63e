package autoscale_test

import (
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/autoscale"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// plant is the simulated workload that both autoscalers are tried on, second by
// second. What serves shares the load evenly; a replica does not use more than
// 100 %, which is all that is measured.
type plant struct {
	// starts is how long after it was wanted a replica serves, settles how long it has
	// served when it counts: both in seconds.
	starts, settles int
	// period is how often is decided, window of how many seconds metrics are means.
	period, window int
}

// Both get the same plant: 5 s to start, 15 s to settle, and metrics and decisions
// as the autoscaler of Kubernetes has them by default.
var samePlant = plant{starts: 5, settles: 15, period: hpaSync, window: 15}

// fastPlant has metrics and decisions every second, and settles as a rollout does by
// default (min_healthy_time).
var fastPlant = plant{starts: 5, settles: 10, period: 1, window: 3}

// autoscaler decides how many replicas there are from now on. use is the mean over
// the counted ones of the current ones, in parts of one.
type autoscaler interface {
	decide(now, current, counted int, use float64) int
}

// outcome is what a trace led to.
type outcome struct {
	hours   float64 // replica-hours
	over    int     // seconds over the target by more than the tolerance
	changes int
}

// goal is the target of both, in parts of one.
const goal = 0.7

func (p plant) run(loads []float64, began int, a autoscaler) outcome {
	var o outcome
	wanted, serving, counting := began, began, began
	type step struct{ at, replicas int }
	var starting, settling []step
	uses := make([]float64, p.window)
	for now, load := range loads {
		for len(starting) > 0 && starting[0].at <= now {
			serving = min(wanted, serving+starting[0].replicas)
			settling = append(settling, step{now + p.settles, starting[0].replicas})
			starting = starting[1:]
		}
		for len(settling) > 0 && settling[0].at <= now {
			counting = min(wanted, counting+settling[0].replicas)
			settling = settling[1:]
		}
		use := load / float64(serving)
		if use > goal*(1+autoscale.Tolerance) {
			o.over++
		}
		uses[now%p.window] = min(1, use)
		o.hours += float64(wanted) / 3600
		if now%p.period != 0 || now < p.window {
			continue
		}
		sum := 0.0
		for _, u := range uses {
			sum += u
		}
		next := a.decide(now, wanted, counting, sum/float64(p.window))
		if next == wanted {
			continue
		}
		o.changes++
		if next > wanted {
			starting = append(starting, step{now + p.starts, next - wanted})
		} else {
			serving, counting = min(serving, next), min(counting, next)
		}
		wanted = next
	}
	return o
}

// ours is Decide with the rows that a store would keep.
type ours struct {
	policies []fleet.ScalingPolicy
	bounds   fleet.Scaling
	// rows of one workload
	changes         []fleet.ReplicaChange
	recommendations []fleet.Recommendation
}

func (o *ours) decide(now, current, counted int, use float64) int {
	at := monday.Add(time.Duration(now) * time.Second)
	s := fleet.ScalingState{Range: o.bounds, Policies: o.policies, Replicas: current, Changes: o.changes, Recommendations: o.recommendations}
	values := map[fleet.MetricKey]float64{cpuKey: use * 100}
	s.Instances = make([]fleet.ScalingInstance, current)
	for k := range s.Instances {
		s.Instances[k] = fleet.ScalingInstance{Settled: k < counted, Values: values}
	}
	if counted < current {
		s.Busy, s.Scaling = "that adds replicas", true
	}
	v := autoscale.Decide(at, s)
	o.recommendations = v.Recommendations
	if v.Scale {
		o.changes = append(o.changes, fleet.ReplicaChange{At: at, Before: current, After: v.Replicas})
		o.changes = o.changes[max(0, len(o.changes)-20):]
	}
	return v.Replicas
}
