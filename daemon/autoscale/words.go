package autoscale

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// metricName is what a policy's metric is called in a sentence.
func metricName(p fleet.ScalingPolicy) string {
	if p.Rules.Metric == grammar.MetricCustom {
		return p.Rules.MetricName
	}
	return p.Rules.Metric
}

// unitOf stands behind a metric's value.
func unitOf(p fleet.ScalingPolicy) string {
	switch p.Rules.Metric {
	case grammar.MetricCPU, grammar.MetricMemory:
		return " %"
	case grammar.MetricRequestRate:
		return " requests/s"
	case grammar.MetricResponseTime:
		return " ms"
	default:
		return ""
	}
}

// alike says how replicas that lack a metric counted.
func alike(m measured) string {
	if m.missing+m.unsettled == 0 {
		return ""
	}
	return fmt.Sprintf(" even with %d more at zero", m.missing+m.unsettled)
}

// absent says how many replicas are down; empty for none.
func absent(m measured) string {
	if m.down == 0 {
		return ""
	}
	verb := "are"
	if m.down == 1 {
		verb = "is"
	}
	return fmt.Sprintf("%d of %s %s stopped or failed", m.down, replicas(m.all()+m.down), verb)
}

// beside is a clause with what else has to be known, if there is something.
func beside(clause, aside string) string {
	if aside == "" {
		return clause
	}
	return clause + " (" + aside + ")"
}

// replicas is a number of them.
func replicas(n int) string {
	if n == 1 {
		return "1 replica"
	}
	return strconv.Itoa(n) + " replicas"
}

// number has as many digits as a reader needs.
func number(x float64) string {
	switch size := math.Abs(x); {
	case size >= 1e9:
		return strconv.FormatFloat(x, 'g', 4, 64)
	case size >= 10:
		return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64)
	default:
		return strconv.FormatFloat(math.Round(x*1000)/1000, 'f', -1, 64)
	}
}

// ago says how far a time is away from now.
func ago(now, at time.Time) string {
	if since := now.Sub(at); since >= 0 {
		return seconds(since) + " ago"
	}
	return seconds(at.Sub(now)) + " ahead of the clock"
}

// seconds is a duration in whole seconds, rounded up.
func seconds(d time.Duration) string {
	return strconv.Itoa(int(math.Ceil(d.Seconds()))) + " s"
}
