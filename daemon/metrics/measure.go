package metrics

import (
	"math"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

const mebibyte = 1 << 20

// sampleOf is the sample of an instance, of two readings of its counters and what the
// balancers tell; ok is false when nothing is known of it. A rate needs two readings
// of the same run, or one of a run that began since the last cycle, whose counters
// were zero then.
func sampleOf(at time.Time, t fleet.MetricTarget, m fleet.Machine, before, now fleet.ContainerStats, cycle time.Duration, l *load) (s fleet.Sample, ok bool) {
	s = fleet.Sample{InstanceID: t.InstanceID, Environment: t.Environment, At: at, Restarts: &t.Restarts}
	if now.Known {
		s.MemoryMB = new(float64(now.MemoryBytes) / mebibyte)
		s.MemoryPercent = percent(float64(now.MemoryBytes), float64(t.MemoryLimit), float64(m.MemoryBytes))
		if cores, ok := coresOf(before, now, cycle); ok {
			s.CPUCores = finite(cores)
			s.CPUPercent = percent(cores, t.CPULimit, float64(m.Processors))
		}
		if now.HasNetwork {
			s.NetworkRx, s.NetworkTx = new(now.NetworkRx), new(now.NetworkTx)
		}
	}
	if l != nil {
		s.RequestRate, s.ResponseTime = finite(l.rate()), finite(l.responseTime())
	}
	return s, now.Known || l != nil
}

// coresOf is the processor time per time between two readings. Counters of one run
// never fall; where they do, or the run is another, they say nothing.
func coresOf(before, now fleet.ContainerStats, cycle time.Duration) (float64, bool) {
	if !before.Known || before.Run != now.Run {
		if now.Started.IsZero() || now.At.Sub(now.Started) > 2*cycle {
			return 0, false
		}
		before = fleet.ContainerStats{At: now.Started}
	}
	elapsed := now.At.Sub(before.At)
	if elapsed <= 0 || now.CPU < before.CPU {
		return 0, false
	}
	return float64(now.CPU-before.CPU) / float64(elapsed), true
}

// percent is a share of the limit, or without one of what there is; nil when neither
// is known.
func percent(used, limit, whole float64) *float64 {
	if limit <= 0 {
		limit = whole
	}
	if limit <= 0 {
		return nil
	}
	return finite(100 * used / limit)
}

// finite leaves out what is no number, or none that a row can hold: it has single
// precision.
func finite(v float64) *float64 {
	switch size := math.Abs(v); {
	case math.IsNaN(v), size > math.MaxFloat32:
		return nil
	case size < math.SmallestNonzeroFloat32:
		return new(0.0)
	}
	return &v
}

// load is what the balancers told of an endpoint since the last cycle: readings of a
// second each.
type load struct {
	readings int
	// requests is the sum of the rates, weighted that of the response times by rate.
	requests, weighted float64
}

func (l *load) rate() float64 { return l.requests / float64(max(1, l.readings)) }

// responseTime is the mean of the readings, by their requests; zero without any.
func (l *load) responseTime() float64 {
	if l.requests == 0 {
		return 0
	}
	return l.weighted / l.requests
}

// loads are by endpoint.
type loads map[string]*load

// add takes one reading of all balancers: rates add up, and the slowest balancer's
// response time counts.
func (all loads) add(readings []fleet.Load) {
	type sum struct{ rate, slowest float64 }
	sums := make(map[string]sum, len(readings))
	for _, r := range readings {
		s := sums[r.EndpointID]
		s.rate += r.RequestRate
		if r.RequestRate > 0 {
			s.slowest = max(s.slowest, r.P95)
		}
		sums[r.EndpointID] = s
	}
	for id, s := range sums {
		l := all[id]
		if l == nil {
			l = &load{}
			all[id] = l
		}
		l.readings++
		l.requests += s.rate
		l.weighted += s.rate * s.slowest
	}
}

// usageOf is what an instance is shown to use, in hundredths.
func usageOf(s fleet.Sample) fleet.Usage {
	return fleet.Usage{CPUPercent: hundredths(s.CPUPercent), MemoryMB: hundredths(s.MemoryMB), DiskMB: hundredths(s.DiskMB)}
}

func hundredths(v *float64) float64 {
	if v == nil {
		return 0
	}
	return math.Round(*v*100) / 100
}

// differs reports whether the difference is worth writing: half a percent of
// processor, or half a mebibyte.
func differs(a, b fleet.Usage) bool {
	return math.Abs(a.CPUPercent-b.CPUPercent) >= 0.5 || math.Abs(a.MemoryMB-b.MemoryMB) >= 0.5 || math.Abs(a.DiskMB-b.DiskMB) >= 0.5
}
