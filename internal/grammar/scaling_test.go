package grammar_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wedsync/terraform-provider-wedsync/internal/grammar"
)

// Policies that are in order, one of each kind.
func tracking() grammar.Scaling {
	s := grammar.DefaultScaling(grammar.Horizontal, false)
	s.Metric, s.Target = grammar.MetricCPU, new(70.0)
	s.MinReplicas, s.MaxReplicas = new(2), new(10)
	return s
}

func thresholds() grammar.Scaling {
	s := grammar.DefaultScaling(grammar.Horizontal, true)
	s.Metric = grammar.MetricResponseTime
	s.ScaleUpThreshold, s.ScaleDownThreshold = new(400.0), new(100.5)
	s.ScaleUpAdjustment, s.ScaleDownAdjustment = new(2), new(1)
	return s
}

func vertical() grammar.Scaling {
	s := grammar.DefaultScaling(grammar.Vertical, false)
	s.Metric, s.MinLimit, s.MaxLimit = grammar.MetricMemory, "256Mi", "2Gi"
	return s
}

func scheduled() grammar.Scaling {
	s := grammar.DefaultScaling(grammar.Scheduled, false)
	s.MinReplicas = new(4)
	s.ScheduleStart, s.ScheduleEnd, s.TimeZone = "0 8 * 5-9 6", "0 23 * 5-9 6", "Europe/London"
	return s
}

func TestScalingFaults(t *testing.T) {
	all := func() grammar.Scaling {
		return grammar.Scaling{
			Metric: "cpu", MetricName: "x", Target: new(1.0), ScaleUpThreshold: new(2.0), ScaleDownThreshold: new(1.0), ScaleUpAdjustment: new(1), ScaleDownAdjustment: new(1),
			MinReplicas: new(1), MaxReplicas: new(2), ScaleUpCooldown: 1, ScaleDownCooldown: 1, StabilizationWindow: 1, MaxScaleUp: 1, MaxScaleDown: 1, ScalePeriod: 1,
			MinLimit: "250m", MaxLimit: "2", ScheduleStart: "0 8 * * 6", ScheduleEnd: "0 20 * * 6", TimeZone: "UTC",
		}
	}
	goals := []string{"scale_up_threshold", "scale_down_threshold", "scale_up_adjustment", "scale_down_adjustment"}
	tests := []struct {
		name string
		of   func() grammar.Scaling
		set  func(*grammar.Scaling)
		want []string
	}{
		{"a target", tracking, nil, nil},
		{"thresholds", thresholds, nil, nil},
		{"vertical", vertical, nil, nil},
		{"a schedule", scheduled, nil, nil},
		{"the definition's target", tracking, func(s *grammar.Scaling) { s.Target = nil }, nil},
		{"the bounds", thresholds, func(s *grammar.Scaling) {
			s.Metric, s.ScaleUpThreshold, s.ScaleDownThreshold = "cpu", new(1000.0), new(math.SmallestNonzeroFloat64)
			s.ScaleUpAdjustment, s.ScaleDownAdjustment = new(1000), new(1000)
			s.MinReplicas, s.MaxReplicas, s.MaxScaleUp, s.MaxScaleDown = new(1000), new(1000), 1000, 1000
			s.ScaleUpCooldown, s.ScaleDownCooldown, s.StabilizationWindow, s.ScalePeriod = 86400, 0, 86400, 86400
		}, nil},
		{"no metric is a percentage but two", tracking, func(s *grammar.Scaling) { s.Metric, s.Target = "request_rate", new(1e6) }, nil},
		{"a custom metric", tracking, func(s *grammar.Scaling) { s.Metric, s.MetricName = "custom", "photos_waiting" }, nil},
		{"closed at night", scheduled, func(s *grammar.Scaling) { s.MinReplicas, s.MaxReplicas = new(0), new(0) }, nil},

		{"nothing", func() grammar.Scaling { return grammar.Scaling{} }, nil, []string{"scaling_type"}},
		{"another type", tracking, func(s *grammar.Scaling) { s.Type = "diagonal" }, []string{"scaling_type"}},
		{"no metric", thresholds, func(s *grammar.Scaling) { s.Metric = "" }, []string{"trigger_metric"}},
		{"another metric", tracking, func(s *grammar.Scaling) { s.Metric = "disk" }, []string{"trigger_metric"}},
		{"a name of no custom metric", tracking, func(s *grammar.Scaling) { s.MetricName = "x" }, []string{"metric_name"}},
		{"a custom metric without a name", tracking, func(s *grammar.Scaling) { s.Metric = "custom" }, []string{"metric_name"}},
		{"a custom metric of a bad name", tracking, func(s *grammar.Scaling) { s.Metric, s.MetricName = "custom", "a b" }, []string{"metric_name"}},
		{"no target of the definition's", tracking, func(s *grammar.Scaling) { s.Metric, s.Target = "request_rate", nil }, []string{"target_value"}},
		{"target and thresholds", thresholds, func(s *grammar.Scaling) { s.Target = new(5.0) }, []string{"target_value"}},
		{"some thresholds", thresholds, func(s *grammar.Scaling) { s.ScaleDownThreshold, s.ScaleUpAdjustment = nil, nil }, goals[1:3]},
		{"one adjustment", tracking, func(s *grammar.Scaling) { s.Target, s.ScaleDownAdjustment = nil, new(1) }, goals[:3]},
		{"thresholds that cross", thresholds, func(s *grammar.Scaling) { s.ScaleDownThreshold = new(401.0) }, goals[1:2]},
		{"thresholds that meet", thresholds, func(s *grammar.Scaling) { s.ScaleDownThreshold = new(400.0) }, goals[1:2]},
		{"adjustments of nothing", thresholds, func(s *grammar.Scaling) { s.ScaleUpAdjustment, s.ScaleDownAdjustment = new(0), new(-1) }, goals[2:]},
		{"not numbers", thresholds, func(s *grammar.Scaling) { s.ScaleUpThreshold, s.ScaleDownThreshold = new(math.Inf(1)), new(math.NaN()) }, goals[:2]},
		{"nothing to compare with", tracking, func(s *grammar.Scaling) { s.Target = new(0.0) }, []string{"target_value"}},
		{"below nothing", tracking, func(s *grammar.Scaling) { s.Target = new(-1.0) }, []string{"target_value"}},
		{"beyond a percentage", tracking, func(s *grammar.Scaling) { s.Target = new(1000.1) }, []string{"target_value"}},
		{"minimum above maximum", tracking, func(s *grammar.Scaling) { s.MinReplicas = new(11) }, []string{"min_replicas"}},
		{"no replica to come back by", tracking, func(s *grammar.Scaling) { s.MinReplicas = new(0) }, []string{"min_replicas"}},
		{"no replica at all", tracking, func(s *grammar.Scaling) { s.MinReplicas, s.MaxReplicas = nil, new(0) }, []string{"max_replicas"}},
		{"too many replicas", tracking, func(s *grammar.Scaling) { s.MaxReplicas = new(1001) }, []string{"max_replicas"}},
		{"negative", tracking, func(s *grammar.Scaling) {
			s.ScaleUpCooldown, s.ScaleDownCooldown, s.StabilizationWindow, s.ScalePeriod, s.MaxScaleUp, s.MaxScaleDown = -1, -1, -1, 0, -1, -1
		}, []string{"scale_up_cooldown", "scale_down_cooldown", "stabilization_window", "scale_period", "max_scale_up", "max_scale_down"}},
		{"for days", tracking, func(s *grammar.Scaling) {
			s.ScaleUpCooldown, s.ScaleDownCooldown, s.StabilizationWindow, s.ScalePeriod, s.MaxScaleUp, s.MaxScaleDown = 86401, 86401, 86401, 86401, 1001, 1001
		}, []string{"scale_up_cooldown", "scale_down_cooldown", "stabilization_window", "scale_period", "max_scale_up", "max_scale_down"}},

		{"limits of nothing", vertical, func(s *grammar.Scaling) { s.MinLimit, s.MaxLimit = "", "" }, []string{"min_limit", "max_limit"}},
		{"limits of another resource", vertical, func(s *grammar.Scaling) { s.MinLimit, s.MaxLimit = "1", "2" }, []string{"min_limit", "max_limit"}},
		{"limits of a CPU", vertical, func(s *grammar.Scaling) { s.Metric, s.MinLimit, s.MaxLimit = "cpu", "250m", "2" }, nil},
		{"limits that cross", vertical, func(s *grammar.Scaling) { s.MinLimit = "3Gi" }, []string{"min_limit"}},
		{"one limit", vertical, func(s *grammar.Scaling) { s.MinLimit = "2Gi" }, nil},
		{"what cannot be resized", vertical, func(s *grammar.Scaling) { s.Metric = "request_rate" }, []string{"trigger_metric"}},
		{"nothing to resize", vertical, func(s *grammar.Scaling) { s.Metric, s.MinLimit = "", "" }, []string{"trigger_metric", "min_limit"}},

		{"a schedule of nothing", scheduled, func(s *grammar.Scaling) {
			s.MinReplicas, s.ScheduleStart, s.ScheduleEnd, s.TimeZone = nil, "", "", ""
		}, []string{"min_replicas", "time_zone", "schedule_start", "schedule_end"}},
		{"a schedule for a maximum", scheduled, func(s *grammar.Scaling) { s.MinReplicas, s.MaxReplicas = nil, new(1) }, nil},
		{"an unknown zone", scheduled, func(s *grammar.Scaling) { s.TimeZone = "Europe/Weddington" }, []string{"time_zone"}},
		{"the zone of a machine", scheduled, func(s *grammar.Scaling) { s.TimeZone = "Local" }, []string{"time_zone"}},
		{"what never comes", scheduled, func(s *grammar.Scaling) { s.ScheduleStart, s.ScheduleEnd = "0 0 30 2 *", "0 0 31 4,6,9,11 *" }, []string{"schedule_start", "schedule_end"}},
		{"once in four years", scheduled, func(s *grammar.Scaling) { s.ScheduleStart = "0 0 29 2 *" }, nil},
		{"over as it opens", scheduled, func(s *grammar.Scaling) { s.ScheduleEnd = s.ScheduleStart }, []string{"schedule_end"}},
		{"over as it opens, written otherwise", scheduled, func(s *grammar.Scaling) { s.ScheduleEnd = "00  8 * may-sep SAT" }, []string{"schedule_end"}},
		{"six fields and a name", scheduled, func(s *grammar.Scaling) { s.ScheduleStart, s.ScheduleEnd = "0 0 8 * * 6", "@daily" }, []string{"schedule_start", "schedule_end"}},
		{"a zone within", scheduled, func(s *grammar.Scaling) { s.ScheduleStart, s.ScheduleEnd = "TZ=UTC 0 8 * 6", "CRON_TZ=UTC 0 8 * * 6" }, []string{"schedule_start", "schedule_end"}},
		{"hour 25", scheduled, func(s *grammar.Scaling) { s.ScheduleStart = "0 25 * * *" }, []string{"schedule_start"}},

		{"horizontal with everything", func() grammar.Scaling { s := all(); s.Type = "horizontal"; return s }, nil,
			[]string{"min_limit", "max_limit", "schedule_start", "schedule_end", "time_zone", "metric_name", "target_value"}},
		{"vertical with everything", func() grammar.Scaling { s := all(); s.Type = "vertical"; return s }, nil,
			slices.Concat([]string{"metric_name", "target_value"}, goals, []string{"min_replicas", "max_replicas", "stabilization_window",
				"max_scale_up", "max_scale_down", "scale_period", "schedule_start", "schedule_end", "time_zone"})},
		{"a schedule with everything", func() grammar.Scaling { s := all(); s.Type = "scheduled"; return s }, nil,
			slices.Concat([]string{"trigger_metric", "metric_name", "target_value"}, goals, []string{"scale_up_cooldown", "scale_down_cooldown",
				"stabilization_window", "max_scale_up", "max_scale_down", "scale_period", "min_limit", "max_limit"})},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.of()
			if tc.set != nil {
				tc.set(&s)
			}
			if got := fields(s.Faults()); !slices.Equal(got, tc.want) {
				t.Errorf("faults at %v, want %v: %v", got, tc.want, s.Faults())
			}
		})
	}
}

// TestScalingFaultsExplain: a field that does not belong is refused with the reason and a way out.
func TestScalingFaultsExplain(t *testing.T) {
	s := vertical()
	s.MinReplicas = new(2)
	faults := s.Faults()
	const want = "does not belong to a vertical policy, which changes what each replica may use, and not their number; leave it out, or use scaling_type horizontal or scheduled"
	if len(faults) != 1 || faults[0].Err.Error() != want {
		t.Errorf("refused with %v", faults)
	}
}

// FuzzCron: what is accepted has five fields and fires later than it is asked after.
func FuzzCron(f *testing.F) {
	for _, s := range []string{"0 8 * * 6", "*/5 0-23/2 1,15 JAN-MAR MON", "0 0 30 2 *", "@daily", "TZ=UTC 0 8 * *", "60 * * * *", "0 22-2 * * *", "? ? ? ? ?", "0 0 * * 7", "H H * * *", "*/0 * * * *"} {
		f.Add(s, "Europe/London")
	}
	f.Add("0 8 * * 6", "../etc/passwd")
	now := time.Date(2026, time.June, 6, 8, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s, zone string) {
		err := grammar.Schedule(s, zone)
		explained(t, s, err)
		w, windowErr := grammar.NewWindow(s, "59 23 * * *", zone)
		if err != nil || windowErr != nil {
			return
		}
		if n := len(strings.Fields(s)); n != 5 {
			t.Errorf("%q is accepted with %d fields", s, n)
		}
		if _, until := w.At(now); !until.After(now) {
			t.Errorf("a window from %q in %q changes at %s, before now", s, zone, until)
		}
	})
}

// FuzzScaling: a policy is refused by field, in words; what is accepted can be gone by.
func FuzzScaling(f *testing.F) {
	f.Add("horizontal", "cpu", "", 70.0, 80.0, 20.0, 1, 1, 2, 10, uint8(0b100), 300, 60, "", "", "", "", "")
	f.Add("horizontal", "custom", "photos_waiting", 70.0, 80.0, 20.0, 1, 1, 2, 10, uint8(0b011), 300, 60, "", "", "", "", "")
	f.Add("vertical", "memory", "", 0.0, 0.0, 0.0, 0, 0, 0, 0, uint8(0), 300, 60, "256Mi", "2Gi", "", "", "")
	f.Add("scheduled", "", "", 0.0, 0.0, 0.0, 0, 0, 4, 8, uint8(0b001), 0, 60, "", "", "0 8 * * 6", "0 23 * * 6", "UTC")
	f.Fuzz(func(t *testing.T, kind, metric, name string, target, up, down float64, more, fewer, least, most int, has uint8, seconds, period int, low, high, start, end, zone string) {
		s := grammar.Scaling{
			Type: kind, Metric: metric, MetricName: name, ScaleUpCooldown: seconds, ScaleDownCooldown: seconds, ScalePeriod: period,
			MinLimit: low, MaxLimit: high, ScheduleStart: start, ScheduleEnd: end, TimeZone: zone,
		}
		if has&0b001 != 0 {
			s.MinReplicas, s.MaxReplicas = &least, &most
		}
		if has&0b010 != 0 {
			s.ScaleUpThreshold, s.ScaleDownThreshold, s.ScaleUpAdjustment, s.ScaleDownAdjustment = &up, &down, &more, &fewer
		}
		if has&0b100 != 0 {
			s.Target = &target
		}
		faults := s.Faults()
		for _, fault := range faults {
			explained(t, fault.Field, fault.Err)
		}
		if len(faults) > 0 {
			return
		}
		switch {
		case s.ScaleUpThreshold != nil && !(up > down && down > 0 && more > 0 && fewer > 0),
			s.Target != nil && !(target > 0 && !math.IsInf(target, 0)),
			s.MinReplicas != nil && (least < 0 || least > most),
			kind == grammar.Horizontal && s.MinReplicas != nil && least == 0,
			seconds < 0 || period < 1:
			t.Errorf("%+v is accepted", s)
		}
		if kind == grammar.Scheduled {
			if _, err := grammar.NewWindow(start, end, zone); err != nil {
				t.Errorf("from %q to %q in %q is accepted: %v", start, end, zone, err)
			}
		}
	})
}
