package traffic

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// refusals count the balancer's own answers by kind.
type refusals struct {
	mu     sync.Mutex
	counts map[string]uint64
}

func (r *refusals) count(kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = make(map[string]uint64)
	}
	r.counts[kind]++
}

var (
	endpointLabels = []string{"environment", "service", "instance"}

	answersDesc = prometheus.NewDesc("wedsync_balancer_answers_total",
		"Answers of instances by class of status; class 0 are attempts that no answer came to.", append(endpointLabels, "class"), nil)
	timesDesc = prometheus.NewDesc("wedsync_balancer_response_seconds",
		"Time from a request to the head of its answer.", endpointLabels, nil)
	inFlightDesc = prometheus.NewDesc("wedsync_balancer_requests_in_flight",
		"Requests under way.", endpointLabels, nil)
	retriesDesc = prometheus.NewDesc("wedsync_balancer_retries_total",
		"Requests that went on to another instance after this one.", endpointLabels, nil)
	ejectionsDesc = prometheus.NewDesc("wedsync_balancer_ejections_total",
		"How often the instance failed so much that it got no requests for a while.", endpointLabels, nil)
	handshakesDesc = prometheus.NewDesc("wedsync_balancer_handshakes_total",
		"Handshakes of TLS with clients, by how they ended.", []string{"result"}, nil)
	expiryDesc = prometheus.NewDesc("wedsync_balancer_certificate_expiry_timestamp_seconds",
		"When a certificate that was given ends, in seconds since 1970.", []string{"name"}, nil)
	unloggedDesc = prometheus.NewDesc("wedsync_balancer_access_log_dropped_total",
		"Lines of the access log that were not written, because writing was too slow or failed.", nil, nil)
	refusalsDesc = prometheus.NewDesc("wedsync_balancer_refusals_total",
		"Answers of the balancer's own, by reason.", []string{"reason"}, nil)
)

// Describe implements prometheus.Collector.
func (b *Balancer) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{answersDesc, timesDesc, inFlightDesc, retriesDesc, ejectionsDesc, refusalsDesc, handshakesDesc, expiryDesc, unloggedDesc} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (b *Balancer) Collect(metrics chan<- prometheus.Metric) {
	seen := make(map[string]bool)
	for _, m := range b.everyBackend() {
		if !seen[m.endpoint.ID] { // one that leaves may still be there beside its successor
			seen[m.endpoint.ID] = true
			m.collect(metrics)
		}
	}
	b.security.collect(metrics)
	if b.access != nil {
		metrics <- prometheus.MustNewConstMetric(unloggedDesc, prometheus.CounterValue, float64(b.access.dropped.Load()))
	}
	b.refused.mu.Lock()
	defer b.refused.mu.Unlock()
	for kind, n := range b.refused.counts {
		metrics <- prometheus.MustNewConstMetric(refusalsDesc, prometheus.CounterValue, float64(n), kind)
	}
}

func (s *security) collect(metrics chan<- prometheus.Metric) {
	if s == nil {
		return
	}
	metrics <- prometheus.MustNewConstMetric(handshakesDesc, prometheus.CounterValue, float64(s.done.Load()), "done")
	metrics <- prometheus.MustNewConstMetric(handshakesDesc, prometheus.CounterValue, float64(s.failed.Load()), "failed")
	for name, c := range s.pairs.now.Load().files {
		metrics <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, float64(c.Leaf.NotAfter.Unix()), name)
	}
}

// shownEvery is which of the buckets are shown: every third, a factor of two apart.
const shownEvery = 3

func (b *backend) collect(metrics chan<- prometheus.Metric) {
	labels := []string{b.endpoint.Environment, b.endpoint.ServiceName, b.endpoint.ID}
	r := b.read()
	for class, n := range r.answers {
		if n > 0 {
			name := []string{"0", "1xx", "2xx", "3xx", "4xx", "5xx"}[class]
			metrics <- prometheus.MustNewConstMetric(answersDesc, prometheus.CounterValue, float64(n), append(labels, name)...)
		}
	}
	bounds := make(map[float64]uint64, len(buckets)/shownEvery)
	count := uint64(0)
	for k, n := range r.times {
		count += n
		if k < len(buckets) && k%shownEvery == 0 {
			bounds[buckets[k]] = count
		}
	}
	sum := float64(b.nanoseconds.Load()) / 1e9
	metrics <- prometheus.MustNewConstHistogram(timesDesc, count, sum, bounds, labels...)
	metrics <- prometheus.MustNewConstMetric(inFlightDesc, prometheus.GaugeValue, float64(b.inFlight.Load()), labels...)
	metrics <- prometheus.MustNewConstMetric(retriesDesc, prometheus.CounterValue, float64(b.retries.Load()), labels...)
	metrics <- prometheus.MustNewConstMetric(ejectionsDesc, prometheus.CounterValue, float64(b.ejections.Load()), labels...)
}
