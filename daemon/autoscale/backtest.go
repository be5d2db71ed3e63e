package autoscale

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// MaxBacktestPoints bounds the work of one backtest.
const MaxBacktestPoints = 25_000

// Replay is what a backtest is about: policies, saved or not, and what was measured.
type Replay struct {
	// Policies decide; vertical ones are left out.
	Policies []fleet.ScalingPolicy
	// Range is the definition's.
	Range fleet.Scaling
	// Replicas is how many there are at the beginning; zero for as many as reported first.
	Replicas int
	// Settling is how long after it was wanted a replica takes its share and counts.
	Settling time.Duration
	// Points are the measurements, oldest first. Each counts until the next one; the
	// last one lasts as long as the one before it.
	Points []fleet.WorkloadPoint
}

// Replayed is what would have happened.
type Replayed struct {
	Actions []Action
	// ReplicaHours are those that the policies would have used, ActualReplicaHours
	// those that ran.
	ReplicaHours, ActualReplicaHours float64
	// OverTarget is how long the metric of any horizontal policy would have been over
	// its target by more than the tolerance, or over its upper threshold;
	// ActualOverTarget is how long it was.
	OverTarget, ActualOverTarget time.Duration
	// Highest and Lowest are numbers of replicas.
	Highest, Lowest int
	Evaluations     int
}

// Action is one change of the number of replicas.
type Action struct {
	At       time.Time
	From, To int
	Policy   string
	Limit    string
	Reason   string
}

// Backtest replays measurements through [Decide], once for each point, with the
// state that its own decisions lead to.
//
// What other numbers of replicas would have measured is a guess: cpu, memory,
// request rate and custom metrics are shared out, the sum over all replicas by the
// number of those that would have served; the response time is taken to be in
// inverse proportion to their number. Where replicas were at their limit, more was
// wanted of them than was measured, so that the guess is too low there.
func Backtest(r Replay) (Replayed, error) {
	if err := r.check(); err != nil {
		return Replayed{}, err
	}
	w := workload{Replay: r, wanted: r.Replicas}
	if w.wanted == 0 && len(r.Points) > 0 {
		w.wanted = r.Points[0].Instances
	}
	w.state = fleet.ScalingState{Range: r.Range, Policies: r.Policies}
	result := Replayed{Highest: w.wanted, Lowest: w.wanted}
	var used, ran float64 // seconds of replicas, which as durations could overflow
	for k, p := range r.Points {
		lasts := r.lasts(k)
		settled := w.settle(p.At)
		values := shared(p, settled)
		if r.over(values) {
			result.OverTarget += lasts
		}
		if r.over(shared(p, p.Instances)) {
			result.ActualOverTarget += lasts
		}
		ran += float64(p.Instances) * lasts.Seconds()
		before := w.wanted
		if d := w.evaluate(p.At, settled, values); d != nil {
			result.Evaluations++
			if w.wanted != before {
				result.Actions = append(result.Actions, Action{At: p.At, From: before, To: w.wanted, Policy: d.PolicyName, Limit: d.Limit, Reason: d.Reason})
			}
		}
		result.Highest, result.Lowest = max(result.Highest, w.wanted), min(result.Lowest, w.wanted)
		used += float64(w.wanted) * lasts.Seconds()
	}
	result.ReplicaHours, result.ActualReplicaHours = used/3600, ran/3600
	return result, nil
}

// check refuses what has no meaning or is too much.
func (r Replay) check() error {
	switch {
	case len(r.Points) > MaxBacktestPoints:
		return fmt.Errorf("replay %d points: at most %d are replayed at once; choose a shorter time or a longer step", len(r.Points), MaxBacktestPoints)
	case r.Replicas < 0 || r.Replicas > grammar.MaxReplicas:
		return fmt.Errorf("replay from %d replicas: use 0 to %d", r.Replicas, grammar.MaxReplicas)
	case !slices.IsSortedFunc(r.Points, func(a, b fleet.WorkloadPoint) int { return a.At.Compare(b.At) }):
		return errors.New("replay points: they are not in the order of their times")
	}
	return nil
}

// lasts is how long a point counts.
func (r Replay) lasts(k int) time.Duration {
	switch {
	case len(r.Points) == 1:
		return 0
	case k == len(r.Points)-1:
		return r.Points[k].At.Sub(r.Points[k-1].At)
	default:
		return r.Points[k+1].At.Sub(r.Points[k].At)
	}
}

// over reports whether a metric is over what some policy keeps it at.
func (r Replay) over(values map[fleet.MetricKey]float64) bool {
	for _, p := range r.Policies {
		if p.Rules.Type != grammar.Horizontal {
			continue
		}
		most := targetOf(p, r.Range) * (1 + Tolerance + hair)
		if !p.Rules.Tracks() {
			most = *p.Rules.ScaleUpThreshold
		}
		if value, ok := values[p.Key()]; ok && most > 0 && value > most {
			return true
		}
	}
	return false
}

// shared are the metrics that each of so many replicas would have had.
func shared(p fleet.WorkloadPoint, replicas int) map[fleet.MetricKey]float64 {
	values := make(map[fleet.MetricKey]float64, len(p.Values))
	if replicas == 0 {
		return values
	}
	for key, m := range p.Values {
		value := m.Sum / float64(replicas)
		if key.Metric == grammar.MetricResponseTime {
			value = m.Mean * float64(p.Instances) / float64(replicas)
		}
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			values[key] = value
		}
	}
	return values
}

// workload is the one that is simulated.
type workload struct {
	Replay
	state  fleet.ScalingState
	wanted int
	// coming are replicas that have not settled, by the time at which they will.
	coming []batch
}

type batch struct {
	settles  time.Time
	replicas int
}

// settle lets those settle whose time has come, and is how many have.
func (w *workload) settle(now time.Time) int {
	w.coming = slices.DeleteFunc(w.coming, func(b batch) bool { return !b.settles.After(now) })
	settled := w.wanted
	for _, b := range w.coming {
		settled -= b.replicas
	}
	return max(0, settled)
}

// evaluate decides, and does what was decided.
func (w *workload) evaluate(now time.Time, settled int, values map[fleet.MetricKey]float64) *fleet.ScalingDecision {
	s := &w.state
	s.Replicas, s.Instances = w.wanted, s.Instances[:0]
	for k := range w.wanted {
		s.Instances = append(s.Instances, fleet.ScalingInstance{Settled: k < settled, Values: values})
	}
	s.Busy, s.Scaling = "", false
	if len(w.coming) > 0 {
		s.Busy, s.Scaling = "that adds replicas", true
	}
	s.Changes = slices.DeleteFunc(s.Changes, func(c fleet.ReplicaChange) bool { return now.Sub(c.At) > w.remembers() })
	v := Decide(now, *s)
	s.Recommendations = v.Recommendations
	if v.Scale {
		s.Changes = append(s.Changes, fleet.ReplicaChange{At: now, Before: w.wanted, After: v.Replicas})
		if more := v.Replicas - w.wanted; more > 0 && w.Settling > 0 {
			w.coming = append(w.coming, batch{settles: now.Add(w.Settling), replicas: more})
		} else if more < 0 {
			w.coming = nil // nothing is removed before all have settled
		}
		w.wanted = v.Replicas
	}
	return v.Decision
}

// remembers is how far back changes count.
func (w *workload) remembers() time.Duration {
	longest := 60
	for _, p := range w.Policies {
		longest = max(longest, p.Rules.ScaleUpCooldown, p.Rules.ScaleDownCooldown, p.Rules.ScalePeriod)
	}
	return time.Duration(longest) * time.Second
}
