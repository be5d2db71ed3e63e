package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// scrapeTimeout bounds the question about replicas of one scrape.
const scrapeTimeout = 5 * time.Second

var (
	workloadLabels = []string{"environment", "service", "definition"}
	instanceLabels = append(workloadLabels[:3:3], "instance")

	cpuDesc          = instanceDesc("cpu_cores", "Processors that the instance used since the measurement before.")
	cpuPercentDesc   = instanceDesc("cpu_percent", "The same in percent of the instance's limit, or of all processors.")
	cpuTotalDesc     = instanceDesc("cpu_seconds_total", "Processor time that this run of the instance has used.")
	memoryDesc       = instanceDesc("memory_bytes", "Memory in use, without what the kernel could take back at once.")
	memoryShareDesc  = instanceDesc("memory_percent", "The same in percent of the instance's limit, or of the machine's memory.")
	diskDesc         = instanceDesc("disk_bytes", "Size of the writable layer.")
	receivedDesc     = instanceDesc("network_receive_bytes_total", "Bytes that this run of the instance has received.")
	sentDesc         = instanceDesc("network_transmit_bytes_total", "Bytes that this run of the instance has sent.")
	restartsDesc     = instanceDesc("restarts_total", "Restarts of the instance.")
	healthyDesc      = instanceDesc("healthy", "1 while the instance's checks pass, else 0.")
	rateDesc         = instanceDesc("request_rate", "Requests per second to the instance, over all balancers.")
	responseTimeDesc = instanceDesc("response_time_seconds", "95th percentile of the instance's response time, of the slowest balancer.")

	wantedDesc  = workloadDesc("wanted", "Replicas that the workload's deployment asks for.")
	runningDesc = workloadDesc("running", "Replicas that run.")
	liveDesc    = workloadDesc("healthy", "Replicas whose checks pass.")

	cyclesDesc = ownDesc("cycles_total", "Measurements of all instances.")
	failedDesc = ownDesc("cycles_failed_total", "Measurements that could not be made or written.")
	missedDesc = ownDesc("cycles_missed_total", "Measurements that were due while another took too long.")
	rowsDesc   = ownDesc("rows_total", "Rows of metrics written.")
	tookDesc   = ownDesc("cycle_duration_seconds", "How long the last measurement took.")

	leaderDesc = prometheus.NewDesc("wedsync_leader", "1 on the daemon that leads, else 0.", nil, nil)
)

func instanceDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("wedsync_instance_"+name, help, instanceLabels, nil)
}

func workloadDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("wedsync_workload_replicas_"+name, help, workloadLabels, nil)
}

func ownDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("wedsync_metrics_"+name, help, nil, nil)
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		cpuDesc, cpuPercentDesc, cpuTotalDesc, memoryDesc, memoryShareDesc, diskDesc, receivedDesc, sentDesc, restartsDesc, healthyDesc, rateDesc, responseTimeDesc,
		wantedDesc, runningDesc, liveDesc, cyclesDesc, failedDesc, missedDesc, rowsDesc, tookDesc, leaderDesc,
	} {
		descs <- d
	}
}

// Collect implements prometheus.Collector: instances as the last cycle found them,
// those that run and no others, and only where this daemon leads.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	show, leads, h := c.shown, c.leads, c.health
	c.mu.Unlock()
	gauge(out, leaderDesc, oneIf(leads))
	counter(out, cyclesDesc, float64(h.Cycles))
	counter(out, failedDesc, float64(h.Failed))
	counter(out, missedDesc, float64(h.Missed))
	counter(out, rowsDesc, float64(h.Rows))
	gauge(out, tookDesc, h.Duration.Seconds())
	if !leads {
		return
	}
	for _, t := range show.targets {
		show.collect(out, t)
	}
	c.collectWorkloads(out)
}

func (s shown) collect(out chan<- prometheus.Metric, t fleet.MetricTarget) {
	labels := []string{t.Environment, t.ServiceName, t.DefinitionName, t.InstanceID}
	counter(out, restartsDesc, float64(t.Restarts), labels...)
	gauge(out, healthyDesc, oneIf(t.Health == fleet.HealthHealthy), labels...)
	sample := s.samples[t.InstanceID]
	for _, g := range []struct {
		desc  *prometheus.Desc
		value *float64
		scale float64
	}{
		{cpuDesc, sample.CPUCores, 1}, {cpuPercentDesc, sample.CPUPercent, 1}, {memoryDesc, sample.MemoryMB, mebibyte},
		{memoryShareDesc, sample.MemoryPercent, 1}, {diskDesc, sample.DiskMB, mebibyte}, {rateDesc, sample.RequestRate, 1},
		{responseTimeDesc, sample.ResponseTime, 0.001},
	} {
		if g.value != nil {
			gauge(out, g.desc, *g.value*g.scale, labels...)
		}
	}
	if stats, ok := s.stats[t.InstanceID]; ok {
		counter(out, cpuTotalDesc, stats.CPU.Seconds(), labels...)
		if stats.HasNetwork {
			counter(out, receivedDesc, float64(stats.NetworkRx), labels...)
			counter(out, sentDesc, float64(stats.NetworkTx), labels...)
		}
	}
}

func (c *Collector) collectWorkloads(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(fleet.AsSystem(context.Background()), scrapeTimeout)
	defer cancel()
	counts, err := c.Store.WorkloadCounts(ctx)
	if err != nil {
		c.Logger.Warn("cannot count replicas for Prometheus", "error", err)
		return
	}
	for _, w := range counts {
		labels := []string{w.Environment, w.ServiceName, w.DefinitionName}
		gauge(out, wantedDesc, float64(w.Wanted), labels...)
		gauge(out, runningDesc, float64(w.Running), labels...)
		gauge(out, liveDesc, float64(w.Healthy), labels...)
	}
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(out chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
