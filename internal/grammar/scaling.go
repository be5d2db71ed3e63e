package grammar

// Types of scaling policies.
const (
	// Horizontal changes the number of replicas after a metric.
	Horizontal = "horizontal"
	// Vertical changes what one replica may use after what it has used.
	Vertical = "vertical"
	// Scheduled bounds the number of replicas at times that are known beforehand.
	Scheduled = "scheduled"
)

// Metrics that policies go by.
const (
	// MetricCPU is the processor time used, in percent of the instance's limit.
	MetricCPU = "cpu"
	// MetricMemory is the memory used, in percent of the instance's limit.
	MetricMemory = "memory"
	// MetricRequestRate is requests per second to one instance.
	MetricRequestRate = "request_rate"
	// MetricResponseTime is the time that 95 % of an instance's answers take at most, in milliseconds.
	MetricResponseTime = "response_time"
	// MetricCustom is a metric that somebody posts, by its name.
	MetricCustom = "custom"
)

// Scaling is what a scaling policy says. Times are whole seconds. Which of the
// fields have a meaning depends on the type.
type Scaling struct {
	// Type is Horizontal, Vertical or Scheduled.
	Type string
	// Metric is what Horizontal goes by, and what Vertical resizes: cpu or memory.
	Metric string
	// MetricName is the name of a custom metric.
	MetricName string
	// Target is what Horizontal keeps the mean over all replicas at. Without it and
	// without thresholds the target is the definition's, target_cpu or target_memory.
	Target *float64
	// ScaleUpThreshold and ScaleDownThreshold are, for Horizontal, the means above
	// and below which ScaleUpAdjustment replicas are added and ScaleDownAdjustment
	// removed; all four or none.
	ScaleUpThreshold, ScaleDownThreshold   *float64
	ScaleUpAdjustment, ScaleDownAdjustment *int
	// MinReplicas and MaxReplicas bound the number of replicas; nil is the
	// definition's. Of a Scheduled policy they hold within its window.
	MinReplicas, MaxReplicas *int
	// ScaleUpCooldown and ScaleDownCooldown are how long after a change of the
	// number of replicas (of the limit) no other is made, upwards and downwards.
	ScaleUpCooldown, ScaleDownCooldown int
	// StabilizationWindow is how far back the highest recommendation counts before
	// replicas are removed.
	StabilizationWindow int
	// MaxScaleUp and MaxScaleDown bound how many replicas are added or removed
	// within ScalePeriod; zero for no bound.
	MaxScaleUp, MaxScaleDown, ScalePeriod int
	// MinLimit and MaxLimit bound the limit that Vertical sets, such as "250m" for
	// cpu and "256Mi" for memory.
	MinLimit, MaxLimit string
	// ScheduleStart and ScheduleEnd are cron expressions of five fields: the window
	// of a Scheduled policy is open from each start to the next end, in TimeZone, a
	// name such as "Europe/London".
	ScheduleStart, ScheduleEnd, TimeZone string
}

// Tracks reports whether the policy keeps a metric at a target rather than
// between thresholds.
func (s Scaling) Tracks() bool { return s.Type == Horizontal && s.ScaleUpThreshold == nil }

// OwnsReplicas reports whether the policy decides on the number of replicas.
func (s Scaling) OwnsReplicas() bool { return s.Type == Horizontal || s.Type == Scheduled }
