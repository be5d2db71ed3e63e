package grammar

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	_ "time/tzdata" // the provider checks time zones where no list of them is installed
)

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

// Defaults of a policy's times, in seconds.
const (
	DefaultCooldown      = 300
	DefaultStabilization = 300
	DefaultScalePeriod   = 60
)

// Bounds of a policy.
const (
	// MaxScalingSeconds bounds every time of a policy: one day.
	MaxScalingSeconds = 24 * 60 * 60
	// MaxScalingPercent bounds what cpu and memory are compared with. Above 100 % is
	// possible where there is no limit to be a percentage of.
	MaxScalingPercent = 1000
)

// DefaultScaling is a policy of the type that says nothing but that. thresholds says
// that it will have some: without them the formula knows how many replicas are
// enough, and nothing is won by waiting before they are added.
func DefaultScaling(kind string, thresholds bool) Scaling {
	s := Scaling{Type: kind, ScalePeriod: DefaultScalePeriod}
	switch kind {
	case Horizontal:
		s.ScaleDownCooldown, s.StabilizationWindow = DefaultCooldown, DefaultStabilization
		if thresholds {
			s.ScaleUpCooldown = DefaultCooldown
		}
	case Vertical:
		s.ScaleUpCooldown, s.ScaleDownCooldown = DefaultCooldown, DefaultCooldown
	}
	return s
}

// Faults checks every field of a policy and the rules between them.
func (s Scaling) Faults() []Fault {
	var faults []Fault
	refuse := func(field string, err error) {
		if err != nil {
			faults = append(faults, Fault{Field: field, Err: err})
		}
	}
	if s.Type != Horizontal && s.Type != Vertical && s.Type != Scheduled {
		refuse("scaling_type", fmt.Errorf("%q is not a type of policy; use %s, %s or %s", s.Type, Horizontal, Vertical, Scheduled))
		return faults
	}
	s.checkFit(refuse)
	s.checkTimes(refuse)
	switch s.Type {
	case Horizontal:
		s.checkMetric(refuse)
		s.checkGoal(refuse)
		s.checkReplicas(refuse)
	case Vertical:
		s.checkLimits(refuse)
	case Scheduled:
		s.checkReplicas(refuse)
		s.checkSchedule(refuse)
	}
	return faults
}

// scalingFields are the fields that not every type has, and whether a policy has them.
var scalingFields = []struct {
	name  string
	types []string
	given func(Scaling) bool
}{
	{"trigger_metric", []string{Horizontal, Vertical}, func(s Scaling) bool { return s.Metric != "" }},
	{"metric_name", []string{Horizontal}, func(s Scaling) bool { return s.MetricName != "" }},
	{"target_value", []string{Horizontal}, func(s Scaling) bool { return s.Target != nil }},
	{"scale_up_threshold", []string{Horizontal}, func(s Scaling) bool { return s.ScaleUpThreshold != nil }},
	{"scale_down_threshold", []string{Horizontal}, func(s Scaling) bool { return s.ScaleDownThreshold != nil }},
	{"scale_up_adjustment", []string{Horizontal}, func(s Scaling) bool { return s.ScaleUpAdjustment != nil }},
	{"scale_down_adjustment", []string{Horizontal}, func(s Scaling) bool { return s.ScaleDownAdjustment != nil }},
	{"min_replicas", []string{Horizontal, Scheduled}, func(s Scaling) bool { return s.MinReplicas != nil }},
	{"max_replicas", []string{Horizontal, Scheduled}, func(s Scaling) bool { return s.MaxReplicas != nil }},
	{"scale_up_cooldown", []string{Horizontal, Vertical}, func(s Scaling) bool { return s.ScaleUpCooldown != 0 }},
	{"scale_down_cooldown", []string{Horizontal, Vertical}, func(s Scaling) bool { return s.ScaleDownCooldown != 0 }},
	{"stabilization_window", []string{Horizontal}, func(s Scaling) bool { return s.StabilizationWindow != 0 }},
	{"max_scale_up", []string{Horizontal}, func(s Scaling) bool { return s.MaxScaleUp != 0 }},
	{"max_scale_down", []string{Horizontal}, func(s Scaling) bool { return s.MaxScaleDown != 0 }},
	{"scale_period", []string{Horizontal}, func(s Scaling) bool { return s.ScalePeriod != DefaultScalePeriod }},
	{"min_limit", []string{Vertical}, func(s Scaling) bool { return s.MinLimit != "" }},
	{"max_limit", []string{Vertical}, func(s Scaling) bool { return s.MaxLimit != "" }},
	{"schedule_start", []string{Scheduled}, func(s Scaling) bool { return s.ScheduleStart != "" }},
	{"schedule_end", []string{Scheduled}, func(s Scaling) bool { return s.ScheduleEnd != "" }},
	{"time_zone", []string{Scheduled}, func(s Scaling) bool { return s.TimeZone != "" }},
}

// purposes say what policies of each type do, and so why a field is not theirs.
var purposes = map[string]string{
	Horizontal: "changes the number of replicas after a metric",
	Vertical:   "changes what each replica may use, and not their number",
	Scheduled:  "bounds the number of replicas by the clock",
}

// checkFit refuses what the policy's type has no use for.
func (s Scaling) checkFit(refuse func(string, error)) {
	for _, f := range scalingFields {
		if f.given(s) && !slices.Contains(f.types, s.Type) {
			refuse(f.name, fmt.Errorf("does not belong to a %s policy, which %s; leave it out, or use scaling_type %s",
				s.Type, purposes[s.Type], strings.Join(f.types, " or ")))
		}
	}
}

func (s Scaling) checkTimes(refuse func(string, error)) {
	for _, t := range []struct {
		field      string
		value, min int
	}{
		{"scale_up_cooldown", s.ScaleUpCooldown, 0}, {"scale_down_cooldown", s.ScaleDownCooldown, 0},
		{"stabilization_window", s.StabilizationWindow, 0}, {"scale_period", s.ScalePeriod, 1},
	} {
		refuse(t.field, within(t.value, t.min, MaxScalingSeconds, "seconds"))
	}
	refuse("max_scale_up", within(s.MaxScaleUp, 0, MaxReplicas, "replicas"))
	refuse("max_scale_down", within(s.MaxScaleDown, 0, MaxReplicas, "replicas"))
}

func (s Scaling) checkMetric(refuse func(string, error)) {
	switch s.Metric {
	case MetricCPU, MetricMemory, MetricRequestRate, MetricResponseTime:
		if s.MetricName != "" {
			refuse("metric_name", fmt.Errorf("names a custom metric, but trigger_metric is %s; leave it out, or use trigger_metric %s", s.Metric, MetricCustom))
		}
	case MetricCustom:
		if s.MetricName == "" {
			refuse("metric_name", errors.New("is needed with trigger_metric custom: the name under which the metric is posted"))
			return
		}
		refuse("metric_name", MetricName(s.MetricName))
	case "":
		refuse("trigger_metric", fmt.Errorf("is needed by a %s policy: %s, %s, %s, %s or %s",
			s.Type, MetricCPU, MetricMemory, MetricRequestRate, MetricResponseTime, MetricCustom))
	default:
		refuse("trigger_metric", fmt.Errorf("%q is not a metric; use %s, %s, %s, %s or %s",
			s.Metric, MetricCPU, MetricMemory, MetricRequestRate, MetricResponseTime, MetricCustom))
	}
}

var policyNamePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,126}[A-Za-z0-9])?$`)

// PolicyName checks the name of a scaling policy.
func PolicyName(s string) error {
	if !policyNamePattern.MatchString(s) {
		return fmt.Errorf("%q is not the name of a policy; use letters and digits, with spaces, dots, hyphens and underscores in between, for example load", s)
	}
	return nil
}

var metricNamePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.:/-]{0,127}$`)

// MetricName checks the name of a custom metric.
func MetricName(s string) error {
	if !metricNamePattern.MatchString(s) {
		return fmt.Errorf("%q is not the name of a metric; use letters, digits, dots, colons, slashes, hyphens and underscores, for example photos_waiting", s)
	}
	return nil
}

// checkGoal checks the target or the thresholds.
func (s Scaling) checkGoal(refuse func(string, error)) {
	refuse("target_value", s.measurable(s.Target))
	refuse("scale_up_threshold", s.measurable(s.ScaleUpThreshold))
	refuse("scale_down_threshold", s.measurable(s.ScaleDownThreshold))
	given := s.thresholds()
	if len(given) == 0 {
		if s.Target == nil && slices.Contains([]string{MetricRequestRate, MetricResponseTime, MetricCustom}, s.Metric) {
			refuse("target_value", fmt.Errorf("is needed with trigger_metric %s, unless thresholds are given: the definition has targets for %s and %s only",
				s.Metric, MetricCPU, MetricMemory))
		}
		return
	}
	if s.Target != nil {
		refuse("target_value", fmt.Errorf("does not go together with %s: either the mean is kept at a target, or between thresholds; leave out the one or the other",
			strings.Join(given, ", ")))
	}
	s.checkThresholds(refuse, given)
}

// thresholds are the names of the four fields of thresholds, as far as they are given.
func (s Scaling) thresholds() (given []string) {
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"scale_up_threshold", s.ScaleUpThreshold != nil}, {"scale_down_threshold", s.ScaleDownThreshold != nil},
		{"scale_up_adjustment", s.ScaleUpAdjustment != nil}, {"scale_down_adjustment", s.ScaleDownAdjustment != nil},
	} {
		if f.has {
			given = append(given, f.name)
		}
	}
	return given
}

func (s Scaling) checkThresholds(refuse func(string, error), given []string) {
	for _, name := range []string{"scale_up_threshold", "scale_down_threshold", "scale_up_adjustment", "scale_down_adjustment"} {
		if !slices.Contains(given, name) {
			refuse(name, fmt.Errorf("is needed beside %s: thresholds and adjustments are given all four or not at all", strings.Join(given, ", ")))
		}
	}
	adjustment := func(field string, n *int) {
		if n != nil {
			refuse(field, within(*n, 1, MaxReplicas, "replicas"))
		}
	}
	adjustment("scale_up_adjustment", s.ScaleUpAdjustment)
	adjustment("scale_down_adjustment", s.ScaleDownAdjustment)
	up, down := s.ScaleUpThreshold, s.ScaleDownThreshold
	if up != nil && down != nil && *up <= *down {
		refuse("scale_down_threshold", fmt.Errorf("%v is not below scale_up_threshold, %v: replicas would be added and removed in turn", *down, *up))
	}
}

// measurable checks a number that the mean of the metric is compared with.
func (s Scaling) measurable(v *float64) error {
	switch {
	case v == nil:
		return nil
	case math.IsNaN(*v) || math.IsInf(*v, 0):
		return errors.New("is not a finite number")
	case *v <= 0:
		return fmt.Errorf("%v is not above 0", *v)
	case (s.Metric == MetricCPU || s.Metric == MetricMemory) && *v > MaxScalingPercent:
		return fmt.Errorf("%v is above %d; %s is measured in percent of the instance's limit", *v, MaxScalingPercent, s.Metric)
	}
	return nil
}

// checkReplicas checks the bounds. Only the clock can bring replicas back where
// there is none to measure.
func (s Scaling) checkReplicas(refuse func(string, error)) {
	least := 1
	if s.Type == Scheduled {
		least = 0
	}
	if s.MinReplicas != nil {
		refuse("min_replicas", within(*s.MinReplicas, least, MaxReplicas, "replicas"))
	}
	if s.MaxReplicas != nil {
		refuse("max_replicas", within(*s.MaxReplicas, least, MaxReplicas, "replicas"))
	}
	if s.MinReplicas != nil && s.MaxReplicas != nil && *s.MinReplicas > *s.MaxReplicas {
		refuse("min_replicas", fmt.Errorf("%d is more than max_replicas, %d", *s.MinReplicas, *s.MaxReplicas))
	}
}

// checkLimits checks what a vertical policy may set.
func (s Scaling) checkLimits(refuse func(string, error)) {
	var read func(string) (int64, error)
	switch s.Metric {
	case MetricCPU:
		read = CPU
	case MetricMemory:
		read = Memory
	case "":
		refuse("trigger_metric", fmt.Errorf("is needed by a vertical policy: what it resizes, %s or %s", MetricCPU, MetricMemory))
	default:
		refuse("trigger_metric", fmt.Errorf("%q cannot be resized; a vertical policy takes %s or %s", s.Metric, MetricCPU, MetricMemory))
	}
	least, leastErr := s.limit(s.MinLimit, read)
	most, mostErr := s.limit(s.MaxLimit, read)
	refuse("min_limit", leastErr)
	refuse("max_limit", mostErr)
	if leastErr == nil && mostErr == nil && least > most {
		refuse("min_limit", fmt.Errorf("%q is more than max_limit, %q", s.MinLimit, s.MaxLimit))
	}
}

// limit reads a limit; without a function to read it, it need only be there.
func (s Scaling) limit(text string, read func(string) (int64, error)) (int64, error) {
	switch {
	case text == "" && s.Metric == MetricMemory:
		return 0, errors.New("is needed by a vertical policy, for example 256Mi")
	case text == "":
		return 0, errors.New("is needed by a vertical policy, for example 250m of a core")
	case read == nil:
		return 0, nil
	}
	return read(text)
}

func (s Scaling) checkSchedule(refuse func(string, error)) {
	if s.MinReplicas == nil && s.MaxReplicas == nil {
		refuse("min_replicas", errors.New("or max_replicas is needed by a scheduled policy: what holds while its window is open"))
	}
	zone := s.TimeZone
	if zone == "" {
		refuse("time_zone", errors.New("is needed by a scheduled policy, for example Europe/London"))
	} else if err := TimeZone(zone); err != nil {
		refuse("time_zone", err)
		zone = ""
	}
	read := func(field, expression string) scheduler {
		if expression == "" {
			refuse(field, errors.New(`is needed by a scheduled policy: a cron expression of five fields, for example "0 8 * * 6"`))
			return nil
		}
		found, err := scheduleIn(expression, zone)
		refuse(field, err)
		return found
	}
	start, end := read("schedule_start", s.ScheduleStart), read("schedule_end", s.ScheduleEnd)
	if sameTimes(start, end) {
		refuse("schedule_end", errors.New("names the same times as schedule_start: the window would be over as it opens"))
	}
}
