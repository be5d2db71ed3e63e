package httpapi

import (
	"time"

	"github.com/wedsync/terraform-provider-wedsync/client/api"
	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// postedMetricsFromAPI are the metrics of a request; those without a time are of now.
func postedMetricsFromAPI(r api.PostMetricsRequest, now time.Time) []fleet.PostedMetric {
	metrics := r.Metrics
	if metrics == nil {
		metrics = []api.PostedMetric{{
			MetricType: r.MetricType, MetricName: r.MetricName, MetricValue: valueOf(r.MetricValue), MetricUnit: r.MetricUnit, Labels: r.Labels, Timestamp: r.Timestamp,
		}}
	}
	return list(metrics, func(m api.PostedMetric) fleet.PostedMetric {
		p := fleet.PostedMetric{Type: m.MetricType, Name: m.MetricName, Value: m.MetricValue, Unit: m.MetricUnit, Labels: m.Labels, At: now}
		if m.Timestamp != nil {
			p.At = *m.Timestamp
		}
		return p
	})
}

func instanceMetricsToAPI(r fleet.MetricRange, m fleet.InstanceMetrics) api.InstanceMetrics {
	return api.InstanceMetrics{
		Metrics: api.MetricSeries{
			CPU:           pointsToAPI(m.Points, "%", func(p fleet.MetricPoint) *float64 { return p.CPUPercent }),
			CPUCores:      pointsToAPI(m.Points, "cores", func(p fleet.MetricPoint) *float64 { return p.CPUCores }),
			Memory:        pointsToAPI(m.Points, "mb", func(p fleet.MetricPoint) *float64 { return p.MemoryMB }),
			MemoryPercent: pointsToAPI(m.Points, "%", func(p fleet.MetricPoint) *float64 { return p.MemoryPercent }),
			Disk:          pointsToAPI(m.Points, "mb", func(p fleet.MetricPoint) *float64 { return p.DiskMB }),
			Network:       bytesToAPI(m.Points),
			Restarts:      pointsToAPI(m.Points, "restarts", restarts),
			RequestRate:   pointsToAPI(m.Points, "requests/sec", func(p fleet.MetricPoint) *float64 { return p.RequestRate }),
			ResponseTime:  pointsToAPI(m.Points, "ms", func(p fleet.MetricPoint) *float64 { return p.ResponseTime }),
			Custom:        list(m.Posted, postedSeriesToAPI),
		},
		TimeRange:  api.TimeRange{From: r.From, To: r.To},
		Step:       int(r.Step / time.Second),
		CustomStep: int(m.PostedStep / time.Second),
	}
}

// pointsToAPI are the points that have the value.
func pointsToAPI(points []fleet.MetricPoint, unit string, of func(fleet.MetricPoint) *float64) []api.MetricPoint {
	out := make([]api.MetricPoint, 0, len(points))
	for _, p := range points {
		if v := of(p); v != nil {
			out = append(out, api.MetricPoint{Timestamp: p.At, Value: *v, Unit: unit})
		}
	}
	return out
}

func restarts(p fleet.MetricPoint) *float64 {
	if p.Restarts == nil {
		return nil
	}
	return new(float64(*p.Restarts))
}

func bytesToAPI(points []fleet.MetricPoint) []api.NetworkPoint {
	out := make([]api.NetworkPoint, 0, len(points))
	for _, p := range points {
		if p.NetworkRx != nil && p.NetworkTx != nil {
			out = append(out, api.NetworkPoint{Timestamp: p.At, RxBytes: *p.NetworkRx, TxBytes: *p.NetworkTx})
		}
	}
	return out
}

func postedSeriesToAPI(s fleet.PostedSeries) api.CustomMetric {
	return api.CustomMetric{
		MetricType: s.Type, MetricName: s.Name,
		Values: list(s.Points, func(p fleet.PostedPoint) api.MetricPoint {
			return api.MetricPoint{Timestamp: p.At, Value: p.Value, Unit: s.Unit}
		}),
	}
}
