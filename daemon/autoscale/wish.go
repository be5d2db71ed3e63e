package autoscale

import (
	"fmt"
	"math"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// mostWanted bounds what is wanted, so that no metric overflows a number.
const mostWanted = 1_000_000

// hair is what a quotient may be above a whole number by the way it was computed.
const hair = 1e-9

// wishOf is what a horizontal policy wants.
//
// Upwards, replicas that lack the metric or have not settled count with a metric of
// zero, as if they took their share of the load a moment later; where nothing would
// be added then, nothing is. Downwards they do not count at all, and a settled one
// that lacks the metric forbids it. At least one replica is wanted: nothing would
// measure the load that calls it back. What is down takes no share and keeps its
// place: as many are wanted besides.
func wishOf(p fleet.ScalingPolicy, s fleet.ScalingState) wish {
	m := measure(p, s)
	w := wish{policy: p, replicas: s.Replicas, known: m.counted > 0, partial: m.missing > 0 || m.counted == 0, reading: reading(p, m)}
	target := targetOf(p, s.Range)
	switch {
	case s.Replicas == 0:
		w.known, w.partial = false, false
		w.reading.Note = "no replica runs, so that nothing is measured"
		w.because = "no replica runs, so that nothing is measured"
	case m.counted == 0:
		w.reading.Note = beside("no settled replica has a recent sample", absent(m))
		w.because = beside(fmt.Sprintf("no settled replica has a recent sample of %s", metricName(p)), absent(m))
	case !p.Rules.Tracks():
		w.threshold(m)
	case !(target > 0) || math.IsInf(target, 0):
		w.known, w.partial = false, true
		w.reading.Note = "has no target"
		w.because = fmt.Sprintf("policy %q has no target for %s", p.Name, metricName(p))
	default:
		w.reading.Target = &target
		w.track(m, target)
	}
	w.reading.Wanted = int64(w.replicas)
	return w
}

// targetOf is what a policy keeps its metric at, zero for nothing.
func targetOf(p fleet.ScalingPolicy, r fleet.Scaling) float64 {
	switch {
	case p.Rules.Target != nil:
		return *p.Rules.Target
	case p.Rules.Metric == grammar.MetricCPU:
		return float64(r.TargetCPU)
	case p.Rules.Metric == grammar.MetricMemory:
		return float64(r.TargetMemory)
	default:
		return 0
	}
}

// measured is a metric over the replicas of a workload.
type measured struct {
	mean float64
	// counted have the metric, missing should have it, unsettled do not count yet, and
	// down will not by themselves.
	counted, missing, unsettled, down int
}

// all are the replicas that share the load, or soon will.
func (m measured) all() int { return m.counted + m.missing + m.unsettled }

// diluted is the mean over all replicas, where those without a metric have zero.
func (m measured) diluted() float64 { return m.mean * float64(m.counted) / float64(m.all()) }

func measure(p fleet.ScalingPolicy, s fleet.ScalingState) measured {
	var m measured
	var values []float64
	for _, i := range s.Instances {
		value, ok := i.Values[p.Key()]
		switch {
		case i.Down:
			m.down++
		case !i.Settled:
		case !ok || math.IsNaN(value) || math.IsInf(value, 0):
			m.missing++
		default:
			values = append(values, value)
		}
	}
	m.counted, m.mean = len(values), mean(values)
	m.unsettled = max(s.Replicas, len(s.Instances)) - m.counted - m.missing - m.down
	return m
}

// mean does not overflow where its result would not.
func mean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sum, parts := 0.0, 0.0
	for _, v := range values {
		sum += v
		parts += v / float64(len(values))
	}
	if math.IsInf(sum, 0) {
		return min(max(parts, -math.MaxFloat64), math.MaxFloat64)
	}
	return sum / float64(len(values))
}

// track sets what target tracking wants.
func (w *wish) track(m measured, target float64) {
	current := w.replicas
	name, unit := metricName(w.policy), unitOf(w.policy)
	ratio, diluted := m.mean/target, m.diluted()/target
	over := beside(fmt.Sprintf("%s is %s%s on average over %s", name, number(m.mean), unit, replicas(m.counted)), absent(m))
	goal := fmt.Sprintf("the target of %s%s", number(target), unit)
	switch {
	case math.Abs(ratio-1) <= Tolerance+hair:
		w.because = fmt.Sprintf("%s, within %g %% of %s", over, Tolerance*100, goal)
	case ratio > 1 && diluted <= 1+Tolerance+hair:
		w.because = fmt.Sprintf("%s, above %s, but not with %d more at zero", over, goal, m.all()-m.counted)
	case ratio > 1:
		w.replicas = max(current, ceil(diluted*float64(m.all()))+m.down)
		w.because = fmt.Sprintf("%s, above %s%s: %s wanted", over, goal, alike(m), replicas(w.replicas))
	default:
		w.replicas = min(current, max(1, ceil(ratio*float64(m.all())))+m.down)
		w.because = fmt.Sprintf("%s, below %s: %s wanted", over, goal, replicas(w.replicas))
	}
}

// threshold sets what thresholds and adjustments want.
func (w *wish) threshold(m measured) {
	r := w.policy.Rules
	w.reading.ScaleUpThreshold, w.reading.ScaleDownThreshold = r.ScaleUpThreshold, r.ScaleDownThreshold
	current := w.replicas
	name, unit := metricName(w.policy), unitOf(w.policy)
	over := beside(fmt.Sprintf("%s is %s%s on average over %s", name, number(m.mean), unit, replicas(m.counted)), absent(m))
	switch {
	case m.mean > *r.ScaleUpThreshold && !(m.diluted() > *r.ScaleUpThreshold):
		w.because = fmt.Sprintf("%s, above scale_up_threshold %s%s, but not with %d more at zero",
			over, number(*r.ScaleUpThreshold), unit, m.all()-m.counted)
	case m.mean > *r.ScaleUpThreshold:
		w.replicas = min(mostWanted, current+adjustment(r.ScaleUpAdjustment))
		w.because = fmt.Sprintf("%s, above scale_up_threshold %s%s%s: %s wanted", over, number(*r.ScaleUpThreshold), unit, alike(m), replicas(w.replicas))
	case r.ScaleDownThreshold != nil && m.mean < *r.ScaleDownThreshold:
		w.replicas = min(current, max(1+m.down, current-adjustment(r.ScaleDownAdjustment)))
		w.because = fmt.Sprintf("%s, below scale_down_threshold %s%s: %s wanted", over, number(*r.ScaleDownThreshold), unit, replicas(w.replicas))
	default:
		w.because = fmt.Sprintf("%s, between the thresholds", over)
	}
}

// adjustment is how many replicas a step is.
func adjustment(n *int) int {
	if n == nil {
		return 1
	}
	return min(max(*n, 0), mostWanted)
}

// ceil rounds up to a number of replicas.
func ceil(x float64) int {
	return int(math.Ceil(min(max(x, 0), mostWanted) * (1 - hair)))
}

// reading is what a policy saw.
func reading(p fleet.ScalingPolicy, m measured) fleet.ScalingReading {
	r := fleet.ScalingReading{
		PolicyID: p.ID, PolicyName: p.Name, Metric: p.Rules.Metric, MetricName: p.Rules.MetricName,
		Counted: m.counted, Missing: m.missing, Unsettled: m.unsettled,
	}
	r.Note = absent(m)
	if m.counted > 0 {
		r.Value = &m.mean
	}
	return r
}
