package autoscale

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// What limits are computed from.
const (
	// usageHalfLife is the age at which usage counts half.
	usageHalfLife = 24 * time.Hour
	// usagePercentile is the part of the time that the usage must have sufficed.
	usagePercentile = 0.9
	// usageMargin is what is added.
	usageMargin = 0.15
	// usageBucket is the span of one measurement of usage.
	usageBucket = 5 * time.Minute
	// raiseHistory and lowerHistory are how much must be known before a limit is changed.
	raiseHistory, lowerHistory = 5 * time.Minute, time.Hour
	// recentUsage is how far back the highest use of memory counts in full.
	recentUsage = time.Hour
)

// resource is one of those that a vertical policy resizes.
type resource struct {
	metric, unit string
	step, least  int64
	// used is in the resource's unit.
	used  func(fleet.UsageBucket) float64
	parse func(string) (int64, error)
	limit func(*fleet.Resources) *string
	show  func(int64) string
}

const mebibyte = 1 << 20

var resources = []resource{
	{
		metric: grammar.MetricCPU, unit: fleet.UnitMillicores, step: 10, least: grammar.MinMilliCPU,
		used:  func(b fleet.UsageBucket) float64 { return b.CPUCores * 1000 },
		parse: grammar.CPU,
		limit: func(r *fleet.Resources) *string { return &r.CPU },
		show:  func(n int64) string { return strconv.FormatInt(n, 10) + "m" },
	},
	{
		metric: grammar.MetricMemory, unit: fleet.UnitBytes, step: mebibyte, least: grammar.MinMemory,
		used:  func(b fleet.UsageBucket) float64 { return b.MemoryMB * mebibyte },
		parse: grammar.Memory,
		limit: func(r *fleet.Resources) *string { return &r.Memory },
		show: func(n int64) string {
			if n%mebibyte != 0 {
				return strconv.FormatInt(n, 10)
			}
			return strconv.FormatInt(n/mebibyte, 10) + "Mi"
		},
	},
}

// decideLimits is the part of Decide that is about what each replica may use.
func decideLimits(now time.Time, s fleet.ScalingState, v *Verdict) {
	limits := s.Limits
	for _, r := range resources {
		for _, p := range s.Policies {
			if p.Rules.Type != grammar.Vertical || p.Rules.Metric != r.metric {
				continue
			}
			d := r.decide(now, p, s)
			v.Resizes = append(v.Resizes, d)
			if d.Outcome == fleet.OutcomeResized {
				*r.limit(&limits) = r.show(d.Limited)
			}
			break // a second policy for the same resource is refused when it is created
		}
	}
	if limits != s.Limits {
		v.Resize = &limits
	}
}

// sizing is the way to a limit.
type sizing struct {
	resource
	d       fleet.ScalingDecision
	reasons []string
}

// decide is what becomes of the limit of one resource.
func (r resource) decide(now time.Time, p fleet.ScalingPolicy, s fleet.ScalingState) fleet.ScalingDecision {
	z := sizing{resource: r, d: newDecision(now, s, r.unit)}
	z.d.PolicyID, z.d.PolicyName = p.ID, p.Name
	if limit := *r.limit(&s.Limits); limit != "" {
		z.d.Current, _ = r.parse(limit) // which the definition's validation has let through
	}
	reading := fleet.ScalingReading{PolicyID: p.ID, PolicyName: p.Name, Metric: p.Rules.Metric}
	least, most := r.bounds(p.Rules)
	z.d.Wanted, z.d.Limited = z.d.Current, z.d.Current
	switch usage := r.usage(now, s.Usage); {
	case slices.ContainsFunc(s.Policies, func(o fleet.ScalingPolicy) bool {
		return o.Rules.Type == grammar.Horizontal && o.Rules.Metric == r.metric
	}):
		reading.Note = "a horizontal policy goes by the same metric"
		z.say("a horizontal policy goes by %s too, which another limit would change: nothing is resized", r.metric)
	case len(usage) == 0:
		reading.Note = "no usage is known"
		z.say("no usage of %s is known", r.metric)
		z.within(least, most, r.floor(usage))
	default:
		reading.Note = fmt.Sprintf("%d spans of %d minutes", len(usage), int(usageBucket.Minutes()))
		z.want(now, p.Rules, s, usage, &reading)
	}
	reading.Wanted = z.d.Wanted
	z.d.Inputs = []fleet.ScalingReading{reading}
	z.busy(s)
	z.end()
	return z.d
}

func (z *sizing) say(format string, args ...any) {
	z.reasons = append(z.reasons, fmt.Sprintf(format, args...))
}

// bounds are what a policy keeps the limit within.
func (r resource) bounds(rules grammar.Scaling) (least, most int64) {
	least, most = r.least, math.MaxInt64
	if n, err := r.parse(rules.MinLimit); err == nil {
		least = max(least, n)
	}
	if n, err := r.parse(rules.MaxLimit); err == nil {
		most = max(least, n)
	}
	return least, most
}

// spent is what replicas used in a span of time.
type spent struct {
	age   time.Duration
	value float64
}

// usage is what is known, without what is no number.
func (r resource) usage(now time.Time, buckets []fleet.UsageBucket) []spent {
	list := make([]spent, 0, len(buckets))
	for _, b := range buckets {
		value := r.used(b)
		if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
			continue
		}
		list = append(list, spent{max(0, now.Sub(b.At)), value})
	}
	return list
}

// percentile is the usage that sufficed for that part of the time, where time
// counts half after each half-life.
func percentile(usage []spent, part float64) float64 {
	sorted := slices.SortedFunc(slices.Values(usage), func(a, b spent) int { return cmp.Compare(a.value, b.value) })
	weight := func(s spent) float64 { return math.Exp2(-float64(s.age) / float64(usageHalfLife)) }
	total := 0.0
	for _, s := range sorted {
		total += weight(s)
	}
	sum := 0.0
	for _, s := range sorted {
		if sum += weight(s); sum >= part*total*(1-hair) {
			return s.value
		}
	}
	return sorted[len(sorted)-1].value
}

// peak is the highest recent usage; NaN when none is known.
func peak(usage []spent) float64 {
	most := math.NaN()
	for _, s := range usage {
		if s.age <= recentUsage && !(s.value <= most) {
			most = s.value
		}
	}
	return most
}

// unknownFloor is the floor where the memory in use may be any.
const unknownFloor = math.MaxInt64

// floor is what a limit is not brought down below, as less of it would kill the
// container: the memory lately in use, with the margin.
func (r resource) floor(usage []spent) int64 {
	switch highest := peak(usage); {
	case r.metric != grammar.MetricMemory:
		return 0
	case math.IsNaN(highest):
		return unknownFloor
	default:
		return r.withMargin(highest)
	}
}

// withMargin is a usage with the margin, rounded up to a whole step.
func (r resource) withMargin(usage float64) int64 {
	const most = float64(grammar.MaxMemory)
	return int64(math.Ceil(min(usage*(1+usageMargin), most)/float64(r.step)*(1-hair))) * r.step
}

// want goes from usage to a limit.
func (z *sizing) want(now time.Time, rules grammar.Scaling, s fleet.ScalingState, usage []spent, reading *fleet.ScalingReading) {
	least, most := z.bounds(rules)
	typical := percentile(usage, usagePercentile)
	reading.Value = &typical
	z.d.Wanted = max(z.withMargin(typical), z.least)
	z.say("%s: %s sufficed %g %% of the time, with %g %% more %s", z.metric, z.show(int64(math.Ceil(typical))), usagePercentile*100, usageMargin*100, z.show(z.d.Wanted))
	floor := z.floor(usage)
	if floor > z.d.Wanted && floor != unknownFloor {
		z.d.Wanted = floor
		z.say("up to %s within the last hour, with %g %% more %s", z.show(int64(math.Ceil(peak(usage)))), usageMargin*100, z.show(floor))
	}
	z.d.Limited = z.d.Wanted
	current := z.d.Current
	if current > 0 && math.Abs(float64(z.d.Wanted-current)) <= float64(current)*(Tolerance+hair) {
		z.say("within %g %% of what it is", Tolerance*100)
		z.d.Wanted, z.d.Limited = current, current
	}
	z.slow(now, rules, s.Resized, usage)
	z.within(least, most, floor)
}

// lowers reports whether the limit would become a lower one; none is the highest.
func (z *sizing) lowers() bool {
	return z.d.Limited < z.d.Current || z.d.Current == 0 && z.d.Limited > 0
}

// slow keeps a limit for want of history and for its cooldown.
func (z *sizing) slow(now time.Time, rules grammar.Scaling, resized *time.Time, usage []spent) {
	if z.d.Limited == z.d.Current {
		return
	}
	known := min(usage[0].age, time.Duration(len(usage))*usageBucket)
	needed, cooldown, limit := raiseHistory, rules.ScaleUpCooldown, fleet.LimitScaleUpCooldown
	if z.lowers() {
		needed, cooldown, limit = lowerHistory, rules.ScaleDownCooldown, fleet.LimitScaleDownCooldown
	}
	switch {
	case known < needed:
		z.d.Limited, z.d.Limit = z.d.Current, fleet.LimitHistory
		z.say("only %d minutes are known, and %d are needed", int(known.Minutes()), int(needed.Minutes()))
		return
	case z.lowers() && usage[len(usage)-1].age > recentUsage:
		z.d.Limited, z.d.Limit = z.d.Current, fleet.LimitMissingMetrics
		z.say("nothing is known of the last hour, and nothing is lowered without")
		return
	}
	if resized == nil {
		return
	}
	holds := time.Duration(cooldown) * time.Second
	if since, counts := distanceTo(now, *resized, !z.lowers()); counts && since < holds {
		z.d.Limited, z.d.Limit = z.d.Current, limit
		z.say("%s holds for another %s, after the change %s", limit, seconds(holds-now.Sub(*resized)), ago(now, *resized))
	}
}

// within brings a limit into the policy's bounds, at once; but never down below what
// is in use, as that would kill the container.
func (z *sizing) within(least, most, inUse int64) {
	value, current := z.d.Limited, z.d.Current
	if value == 0 {
		return // no limit, and nothing known that one could be made of
	}
	bounded, limit := min(max(value, least), most), fleet.LimitMinLimit
	if bounded == value {
		return
	}
	if bounded < value {
		limit = fleet.LimitMaxLimit
		z.say("at most max_limit %s", z.show(most))
	} else {
		z.say("at least min_limit %s", z.show(least))
	}
	if lowered := current == 0 || bounded < current; lowered && bounded < inUse {
		if bounded = inUse; current > 0 {
			bounded = min(current, inUse)
		}
		if inUse == unknownFloor {
			limit = fleet.LimitMissingMetrics
			z.say("but it is not known what is in use")
		} else {
			z.say("but not below what is in use")
		}
	}
	if bounded == z.d.Wanted && bounded != current {
		z.d.Limit = ""
	} else if away := gap(bounded, z.d.Wanted) > gap(value, z.d.Wanted); away || z.d.Limit == "" {
		z.d.Limit = limit
	}
	z.d.Limited = bounded
}

func gap(a, b int64) int64 { return max(a-b, b-a) }

// busy keeps a limit while a deployment is in progress.
func (z *sizing) busy(s fleet.ScalingState) {
	if s.Busy == "" || z.d.Limited == z.d.Current {
		return
	}
	z.d.Limited, z.d.Limit = z.d.Current, fleet.LimitDeploymentInProgress
	z.say("deployment %s is in progress", s.Busy)
}

// end says what it came to.
func (z *sizing) end() {
	is := func(n int64) string {
		if n == 0 {
			return "no limit"
		}
		return z.show(n)
	}
	switch {
	case z.d.Limited != z.d.Current:
		z.d.Outcome = fleet.OutcomeResized
		z.say("from %s to %s", is(z.d.Current), is(z.d.Limited))
	case z.d.Limit != "":
		z.d.Outcome = fleet.OutcomeLimited
		z.say("it stays at %s", is(z.d.Current))
	default:
		z.d.Outcome = fleet.OutcomeNoChange
	}
	z.d.Reason = strings.Join(z.reasons, "; ")
}
