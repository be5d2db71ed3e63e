package api

import "time"

// Types of metrics.
const (
	MetricTypeCPU     = "cpu"
	MetricTypeMemory  = "memory"
	MetricTypeDisk    = "disk"
	MetricTypeNetwork = "network"
	MetricTypeCustom  = "custom"
)

// MetricPoint is a value of a metric in the step that begins at the timestamp.
type MetricPoint struct {
	Timestamp time.Time `json:"timestamp" doc:"When the step begins." example:"2026-06-06T08:30:00Z"`
	Value     float64   `json:"value" doc:"The mean within the step; of restarts and disk, the last value." example:"45.2"`
	Unit      string    `json:"unit" doc:"Unit of the value; empty for none." example:"%"`
}

// NetworkPoint is what an instance has received and sent by the end of a step.
type NetworkPoint struct {
	Timestamp time.Time `json:"timestamp" doc:"When the step begins." example:"2026-06-06T08:30:00Z"`
	RxBytes   int64     `json:"rx_bytes" doc:"Bytes received since the container was started." example:"1048576"`
	TxBytes   int64     `json:"tx_bytes" doc:"Bytes sent since the container was started." example:"524288"`
}

// CustomMetric is a metric that was posted, over time.
type CustomMetric struct {
	MetricType string        `json:"metric_type" doc:"Type that it was posted with." example:"custom" enum:"cpu,memory,disk,network,custom"`
	MetricName string        `json:"metric_name" doc:"Its name." example:"queue_length"`
	Values     []MetricPoint `json:"values" doc:"Means by step, oldest first." nullable:"false"`
}

// MetricSeries are an instance's metrics over time, each oldest first. Steps without a
// measurement have no point.
type MetricSeries struct {
	CPU           []MetricPoint  `json:"cpu" doc:"Processor use in percent of the instance's limit; without one, of all processors of the machine." nullable:"false"`
	CPUCores      []MetricPoint  `json:"cpu_cores" doc:"Processor seconds per second." nullable:"false"`
	Memory        []MetricPoint  `json:"memory" doc:"Memory in use in MiB, without what the kernel could take back at once." nullable:"false"`
	MemoryPercent []MetricPoint  `json:"memory_percent" doc:"The same in percent of the instance's limit; without one, of the machine's memory." nullable:"false"`
	Disk          []MetricPoint  `json:"disk" doc:"Size of the writable layer in MiB." nullable:"false"`
	Network       []NetworkPoint `json:"network" doc:"Bytes received and sent." nullable:"false"`
	Restarts      []MetricPoint  `json:"restarts" doc:"Restarts since the instance was created." nullable:"false"`
	RequestRate   []MetricPoint  `json:"request_rate" doc:"Requests per second, over all balancers." nullable:"false"`
	ResponseTime  []MetricPoint  `json:"response_time" doc:"95th percentile of the response time in milliseconds, in means weighted by the requests; 0 without requests." nullable:"false"`
	Custom        []CustomMetric `json:"custom" doc:"Metrics that were posted, by type and name: the first 10,000, if there are more." nullable:"false"`
}

// TimeRange is a span of time.
type TimeRange struct {
	From time.Time `json:"from" doc:"Its beginning." example:"2026-06-06T07:30:00Z"`
	To   time.Time `json:"to" doc:"Its end." example:"2026-06-06T08:30:00Z"`
}

// InstanceMetrics is what an instance used in a span of time.
type InstanceMetrics struct {
	Metrics   MetricSeries `json:"metrics" doc:"The metrics."`
	TimeRange TimeRange    `json:"time_range" doc:"The span of time that was asked for."`
	Step      int          `json:"step" doc:"Seconds between two points, at least." example:"60"`
	// CustomStep is that of posted metrics.
	CustomStep int `json:"custom_step" doc:"Seconds between two points of a posted metric, at least: a multiple of step where so many were posted that their values would be more than 20,000." example:"60"`
}

// MetricsOptions select metrics. Without times they are those of the last hour;
// without Step, one is chosen that gives a few hundred points.
type MetricsOptions struct {
	From, To time.Time
	// Step is the seconds between two points.
	Step int
	// MetricName selects posted metrics of this name; empty for all.
	MetricName string
}

// PostedMetric is a value about an instance.
type PostedMetric struct {
	MetricType  string            `json:"metric_type" doc:"Type of the metric." example:"custom" enum:"cpu,memory,disk,network,custom"`
	MetricName  string            `json:"metric_name" doc:"Name of the metric. While values of type cpu named cpu_percent, or of type memory named memory_percent, are recent, they stand in for what is measured." example:"queue_length" minLength:"1" maxLength:"128" pattern:"^[A-Za-z_][A-Za-z0-9_.:/-]*$" patternDescription:"the name of a metric; begin with a letter or underscore, and go on with letters, digits and _ . : / -"`
	MetricValue float64           `json:"metric_value" doc:"The value." example:"42"`
	MetricUnit  string            `json:"metric_unit,omitempty" doc:"Unit of the value." example:"jobs" maxLength:"32"`
	Labels      map[string]string `json:"labels,omitempty" doc:"Labels, 32 at most." example:"{\"queue\":\"mail\"}"`
	Timestamp   *time.Time        `json:"timestamp,omitempty" doc:"When it was measured: an hour ago at most, and five minutes ahead at most. Now, when left out." example:"2026-06-06T08:30:00Z"`
}

// PostMetricsRequest is the body of POST /api/containers/instances/{instance_id}/metrics:
// one metric, or a list of them.
type PostMetricsRequest struct {
	MetricType  string            `json:"metric_type,omitempty" doc:"Type of the metric, if it is one." example:"cpu" enum:"cpu,memory,disk,network,custom"`
	MetricName  string            `json:"metric_name,omitempty" doc:"Name of the metric, as in the list." example:"cpu_percent" minLength:"1" maxLength:"128" pattern:"^[A-Za-z_][A-Za-z0-9_.:/-]*$" patternDescription:"the name of a metric; begin with a letter or underscore, and go on with letters, digits and _ . : / -"`
	MetricValue *float64          `json:"metric_value,omitempty" doc:"The value, as in the list." example:"85"`
	MetricUnit  string            `json:"metric_unit,omitempty" doc:"Unit of the value, as in the list." example:"%" maxLength:"32"`
	Labels      map[string]string `json:"labels,omitempty" doc:"Labels, as in the list." example:"{\"source\":\"load test\"}"`
	Timestamp   *time.Time        `json:"timestamp,omitempty" doc:"When it was measured, as in the list." example:"2026-06-06T08:30:00Z"`
	Metrics     []PostedMetric    `json:"metrics,omitempty" doc:"A list of metrics, instead of one; all are stored, or none." maxItems:"1000"`
}

// PostMetricsResponse is the answer to it.
type PostMetricsResponse struct {
	StoredCount int `json:"stored_count" doc:"How many metrics were stored." example:"1"`
}
