package fleet

import "time"

// MetricTarget is a running instance whose use is to be measured.
type MetricTarget struct {
	InstanceID     string
	Environment    string
	DefinitionName string
	ServiceName    string
	ContainerID    string
	Health         Health
	Restarts       int
	// CPULimit, in processors, and MemoryLimit, in bytes, are those in force; zero for none.
	CPULimit    float64
	MemoryLimit int64
}

// WorkloadCount is how many replicas a workload wants and has.
type WorkloadCount struct {
	Environment, DefinitionName, ServiceName string
	// Wanted is the number that its deployment asks for, Running and Healthy are those
	// that are.
	Wanted, Running, Healthy int
}

// ContainerStats are what a container has used, as its engine or its machine tells.
type ContainerStats struct {
	// Known is false when nothing could be read; then the rest says nothing.
	Known bool
	// At is when it was read.
	At time.Time
	// Run names the run of the container: counters of another run began anew.
	Run string
	// Started is when the run began, by the clock of At; zero when that is not known.
	Started time.Time
	// CPU is the processor time since the run began.
	CPU time.Duration
	// MemoryBytes is the memory in use without what the kernel could take back at once.
	MemoryBytes int64
	// HasNetwork is false for a container on the machine's own network, or none.
	HasNetwork bool
	// NetworkRx and NetworkTx are the bytes received and sent since the run began,
	// over all its interfaces but the loopback.
	NetworkRx, NetworkTx int64
}

// Machine is what all containers share where no limit bounds them.
type Machine struct {
	Processors  int
	MemoryBytes int64
}

// Sample is what an instance used at one moment. What is nil is not known.
type Sample struct {
	InstanceID  string
	Environment string
	At          time.Time
	// CPUPercent is of the instance's limit, or of all processors of the machine.
	CPUPercent *float64
	// CPUCores is processor seconds per second, since the sample before.
	CPUCores *float64
	// MemoryMB is in MiB, MemoryPercent of the limit, or of the machine's memory.
	MemoryMB, MemoryPercent *float64
	// DiskMB is the size of the writable layer in MiB.
	DiskMB *float64
	// NetworkRx and NetworkTx are the bytes since the container started.
	NetworkRx, NetworkTx *int64
	Restarts             *int
	// RequestRate is requests per second, over all balancers; nil when none knows the instance.
	RequestRate *float64
	// ResponseTime is the 95th percentile in milliseconds, of the slowest balancer;
	// zero when there were no requests.
	ResponseTime *float64
}

// Types of metrics that are posted.
const (
	MetricTypeCPU     = "cpu"
	MetricTypeMemory  = "memory"
	MetricTypeDisk    = "disk"
	MetricTypeNetwork = "network"
	MetricTypeCustom  = "custom"
)

// Names of posted metrics that stand in for what is measured, of their own types.
const (
	MetricNameCPUPercent    = "cpu_percent"
	MetricNameMemoryPercent = "memory_percent"
)

// MaxMetricLead is how far ahead of the clock the time of a posted metric may be.
const MaxMetricLead = 5 * time.Minute

// PostedMetric is a value that somebody posted about an instance.
type PostedMetric struct {
	Type   string
	Name   string
	Value  float64
	Unit   string
	Labels map[string]string
	At     time.Time
}

// MetricRange asks for an instance's metrics. Each step has one point, where there is
// something to tell; where only roll-ups are kept that are coarser, points are rarer.
type MetricRange struct {
	InstanceID string
	From, To   time.Time
	Step       time.Duration
	// PostedName leaves out all posted metrics of other names; empty for none.
	PostedName string
}

// MetricPoint is what an instance used in the step that begins At: means, but
// counters and DiskMB as they were last.
type MetricPoint = Sample

// PostedPoint is the mean of a posted metric in the step that begins At.
type PostedPoint struct {
	At    time.Time
	Value float64
}

// PostedSeries is one posted metric over time.
type PostedSeries struct {
	Type, Name, Unit string
	Points           []PostedPoint
}

// InstanceMetrics is all that is known of an instance's use in a span of time.
type InstanceMetrics struct {
	Points []MetricPoint
	Posted []PostedSeries
	// PostedStep is the step of what was posted: a multiple of the one that was asked
	// for where so many metrics were.
	PostedStep time.Duration
}

// WorkloadPoint is what the replicas of a workload did in the step that begins At.
type WorkloadPoint struct {
	At time.Time
	// Instances is the number of them that ran on average, one at least: one that took
	// another's place within the step makes no two of them.
	Instances int
	// Values are by metric; those that nobody reported are missing.
	Values map[MetricKey]WorkloadValue
}

// WorkloadValue is one metric over the instances that reported it: of each instance
// its mean within the step, weighted by the part of the step that it ran for.
type WorkloadValue struct {
	Instances int
	Sum, Mean float64
}

// MetricRetention is from when on metrics are kept: samples and what was posted,
// and roll-ups.
type MetricRetention struct {
	Samples, Rollups5m, Rollups1h time.Time
}
